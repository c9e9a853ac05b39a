/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/repair_stage.h"

#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/check_image.h"
#include "tests/unit/tree.h"

#define BUF (1u << 20)

/* ---- what is in it -------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t hash_content(struct ddfs_inode *ip, const struct ddfs_attr *a, uint64_t h)
{
	static uint8_t buf[BUF];
	uint64_t off = 0;
	ssize_t n;

	h = mix(h, &a->size, sizeof(a->size));
	if (S_ISLNK(a->mode)) {
		n = ddfs_readlink(ip, (char *)buf, sizeof(buf));
		ck_assert_int_eq(n, (ssize_t)a->size);
		h = mix(h, buf, (size_t)n);
	}
	/* The holes of a file whose size was damaged may be huge. */
	while (S_ISREG(a->mode) && off < UINT64_C(64) << 20 &&
		(n = ddfs_pread(ip, buf, sizeof(buf), off)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i])
				h = mix(mix(h, &i, sizeof(i)), buf + i, 1);
		off += (uint64_t)n;
	}
	return h;
}

static uint64_t hash_xattrs(struct ddfs_inode *ip)
{
	static char names[BUF];
	static uint8_t value[DDFS_XATTR_SIZE_MAX];
	ssize_t len = ddfs_listxattr(ip, names, sizeof(names));
	uint64_t sum = 0;

	ck_assert_int_ge(len, 0);
	for (const char *at = names; at < names + len; at += strlen(at) + 1) {
		ssize_t n = ddfs_getxattr(ip, at, value, DDFS_XATTR_SIZE_MAX);

		ck_assert_int_ge(n, 0);
		sum += mix(mix(1, at, strlen(at)), value, (size_t)n);
	}
	return sum;
}

struct child {
	char name[256];
	size_t len;
};

struct children {
	struct child *e;
	size_t nr, cap;
};

static int collect(void *arg, const struct ddfs_dirent *d)
{
	struct children *c = arg;

	if (d->cookie <= 2)
		return 0;
	if (c->nr == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 64;
		c->e = realloc(c->e, c->cap * sizeof(*c->e));
	}
	memcpy(c->e[c->nr].name, d->name, d->name_len);
	c->e[c->nr].name[d->name_len] = 0;
	c->e[c->nr++].len = d->name_len;
	return 0;
}

static struct children children_of(struct ddfs_inode *dir)
{
	struct children c = { 0 };

	ck_assert_int_eq(ddfs_readdir(dir, 0, false, collect, &c), 0);
	return c;
}

static void look_at(
	struct ddfs_inode *ip, uint64_t path, struct seen_inode *seen, unsigned int depth)
{
	struct children c = { 0 };
	struct seen_inode *s;
	struct ddfs_attr a;
	uint32_t ino;

	ddfs_getattr(ip, &a);
	ino = (uint32_t)a.id;
	ck_assert_uint_lt(ino, HEALED_INODES);
	ck_assert_uint_lt(depth, 20);
	s = &seen[ino];
	s->path += path;
	if (s->hash)
		return;
	s->type = a.mode & S_IFMT;
	s->plain = hash_content(ip,
		&(struct ddfs_attr){ .mode = a.mode, .size = S_ISDIR(a.mode) ? 0 : a.size },
		mix(mix(mix(7, &a.mode, sizeof(a.mode)), &a.uid, sizeof(a.uid)), &a.gid,
			sizeof(a.gid)));
	s->hash = s->plain + hash_xattrs(ip);
	if (S_ISDIR(a.mode))
		c = children_of(ip);
	for (size_t i = 0; i < c.nr; i++) {
		struct ddfs_inode *child = tree_get(ip, c.e[i].name);

		look_at(child, mix(path * 31 + 1, c.e[i].name, c.e[i].len), seen, depth + 1);
		ddfs_inode_put(child);
	}
	free(c.e);
}

void healed_look(struct ddfs_fs *fs, struct seen_inode *seen)
{
	struct ddfs_inode *root = ram_root(fs);

	memset(seen, 0, HEALED_INODES * sizeof(*seen));
	look_at(root, 1, seen, 0);
	ddfs_inode_put(root);
}

/* ---- the stage ------------------------------------------------------------------------------ */

static void populate(struct ddfs_inode *root)
{
	struct ddfs_inode *a = tree_make_get(root, "a", S_IFDIR | 0711), *b, *ip;
	char name[32];

	b = tree_make_get(a, "b", S_IFDIR | 0755);
	ck_assert_int_eq(tree_make(b, "c", S_IFDIR | 0700), 0);
	ck_assert_int_eq(tree_make(b, "empty", S_IFDIR | 0700), 0);
	for (unsigned int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "content %u", i);
		ip = tree_make_get(i % 2 ? a : b, name, S_IFREG | 0640);
		ck_assert_int_gt(tree_fill(ip, i * 4096, 5000 + i, 'A' + (int)i), 0);
		if (i == 3)
			ck_assert_int_eq(
				ddfs_link(ip, root, "second", 6, &(struct ddfs_entry){ 0 }), 0);
		ddfs_inode_put(ip);
	}
	ddfs_inode_put(b);
	ddfs_inode_put(a);
}

static void note_store(void *arg, uint64_t off, size_t len)
{
	struct healed *h = arg;

	h->nr_stores++;
	for (uint64_t b = off / 4096; b <= (off + len - 1) / 4096; b++)
		h->dirty[b] = 1;
}

static void note_drain(void *arg)
{
	(void)arg;
}

void healed_touch(struct healed *h, uint64_t off, size_t len)
{
	note_store(h, off, len);
}

void healed_begin(struct healed *h)
{
	struct ddfs_inode *root;
	struct ddfs_fs *fs;

	memset(h, 0, sizeof(*h));
	h->quiet = true;
	ram_mkfs(&h->r, STAGE_SIZE, 4096);
	fs = ram_mount(&h->r, NULL);
	root = ram_root(fs);
	stage_populate(root);
	populate(root);
	ddfs_inode_put(root);
	healed_look(fs, h->before);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	h->healthy = malloc(STAGE_SIZE);
	memcpy(h->healthy, h->r.writable, STAGE_SIZE);
	h->ear = (struct ram_ear){ note_store, note_drain, h };
	h->r.ear = &h->ear;
}

void healed_end(struct healed *h)
{
	ram_fini(&h->r);
	free(h->healthy);
}

void healed_mend(struct healed *h)
{
	for (size_t b = 0; b < STAGE_SIZE / 4096; b++) {
		if (h->dirty[b])
			memcpy(h->r.writable + b * 4096, h->healthy + b * 4096, 4096);
		h->dirty[b] = 0;
	}
}

/* ---- repairs -------------------------------------------------------------------------------- */

static void say(void *arg, const char *problem, bool fixed)
{
	struct healed *h = arg;

	h->nr_said++;
	if (!h->quiet)
		fprintf(stderr, "  %s%s\n", problem, fixed ? " (fixed)" : "");
}

int healed_fsck(struct healed *h, enum ddfs_fsck_mode mode, struct ddfs_fsck_result *out)
{
	struct ddfs_fsck_options opt = { .mode = mode, .nr_threads = 1, .say = say, .arg = h };

	return ddfs_fsck(&h->r.media, &opt, out);
}

/* Damage may have made it immutable; what is neither file nor directory stays so. */
static bool can_be_removed(struct ddfs_inode *ip, const struct ddfs_attr *a)
{
	if (!(a->flags & (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND)))
		return true;
	if (!S_ISREG(a->mode) && !S_ISDIR(a->mode))
		return false;
	ck_assert_int_eq(ddfs_set_flags(ip, 0), 0);
	return true;
}

/* Everything in a directory removed, what lies below first; returns how much was not. */
static unsigned int empty(struct ddfs_inode *dir)
{
	struct children c = children_of(dir);
	unsigned int left = 0;

	for (size_t i = 0; i < c.nr; i++) {
		struct ddfs_inode *child = tree_get(dir, c.e[i].name);
		struct ddfs_attr a;
		int err = 0;

		ddfs_getattr(child, &a);
		if (!can_be_removed(child, &a))
			left++;
		else if (S_ISDIR(a.mode))
			left += empty(child);
		ddfs_inode_put(child);
		if (!left)
			err = S_ISDIR(a.mode) ? ddfs_rmdir(dir, c.e[i].name, c.e[i].len)
					      : ddfs_unlink(dir, c.e[i].name, c.e[i].len);
		ck_assert_msg(!err, "removing %s: %d", c.e[i].name, err);
	}
	free(c.e);
	return left;
}

/* It can be written to, and emptied; then all is as free as it can be. */
static void use(struct healed *h, const char *what)
{
	struct ddfs_fs *fs = ram_mount(&h->r, NULL);
	struct ddfs_inode *root = ram_root(fs), *ip;
	struct image_summary s;
	unsigned int left;

	ck_assert_int_eq(ddfs_set_flags(root, 0), 0);
	healed_look(fs, h->after);
	ip = tree_make_get(root, "made after the repair", S_IFREG | 0600);
	ck_assert_int_eq(tree_fill(ip, 12345, 300000, 'm'), 300000);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.new", "value", 5, 0, false), 0);
	ddfs_inode_put(ip);
	left = empty(root);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	image_check(h->r.media.base, h->r.media.size, 0, &s);
	ck_assert_msg(!s.nr_problems, "%s: %u problems once emptied", what, s.nr_problems);
	ck_assert_msg(left || !s.nr_inodes, "%s: %lu inodes once emptied", what, s.nr_inodes);
}

static void give_up(struct healed *h, const char *what, const char *when)
{
	struct ddfs_fsck_result r;

	h->quiet = false;
	fprintf(stderr, "%s: %s; a check finds now:\n", what, when);
	healed_fsck(h, DDFS_FSCK_NO, &r);
	ck_abort_msg("%s: %s", what, when);
}

void healed_repair(struct healed *h, const char *what)
{
	struct ddfs_fsck_result r;
	int err = healed_fsck(h, DDFS_FSCK_YES, &h->result);

	if (err || h->result.nr_left)
		give_up(h, what, "problems are left by a repair");
	err = healed_fsck(h, DDFS_FSCK_NO, &r);
	if (err || r.nr_problems)
		give_up(h, what, "problems are found after a repair");
	h->nr_stores = 0;
	err = healed_fsck(h, DDFS_FSCK_YES, &r);
	if (err || r.nr_problems || h->nr_stores)
		give_up(h, what, "a second repair has something to do");
	use(h, what);
}

static bool is_harmed(const struct harm *harm, uint32_t ino)
{
	for (unsigned int i = 0; i < 4; i++)
		if (harm->ino[i] == ino)
			return true;
	return false;
}

void healed_expect(const struct healed *h, const struct harm *harm, const char *what)
{
	for (uint32_t ino = 1; ino < HEALED_INODES && !harm->all; ino++) {
		const struct seen_inode *a = &h->before[ino], *b = &h->after[ino];

		if (!a->hash || is_harmed(harm, ino))
			continue;
		ck_assert_msg(b->hash, "%s: inode %u is lost", what, ino);
		ck_assert_msg(a->hash == b->hash, "%s: inode %u has changed", what, ino);
		ck_assert_msg(
			harm->paths || a->path == b->path, "%s: inode %u has moved", what, ino);
	}
}
