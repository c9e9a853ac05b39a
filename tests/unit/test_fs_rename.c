/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rename(2), all of it: every pair of paths of a small tree with every flag, against a list of
 * paths that says what must come of it; then what a list cannot say.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/mounted.h"
#include "tests/unit/rename_model.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define SIZE (UINT64_C(16) << 20)

/* ---- the filesystem ------------------------------------------------------------------------- */

/* The directory that path is in, referenced. */
static struct ddfs_inode *walk(struct mounted *m, const char *path)
{
	struct ddfs_inode *dir = ram_root(m->fs);
	const char *slash;

	for (; (slash = strchr(path, '/')); path = slash + 1) {
		struct ddfs_inode *next;
		struct ddfs_entry e;

		ck_assert_int_eq(ddfs_lookup(dir, path, (size_t)(slash - path), &e), 0);
		ck_assert_int_eq(ddfs_inode_get(m->fs, e.attr.id, &next), 0);
		ddfs_inode_put(dir);
		dir = next;
	}
	return dir;
}

static const char *leaf(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void plant(struct mounted *m, struct model *mo)
{
	mo->nr = 0;
	for (size_t i = 0; i < NR(tree); i++) {
		struct ddfs_inode *dir = walk(m, tree[i].path), *f;
		const char *name = leaf(tree[i].path);
		struct path *p = &mo->paths[mo->nr++];
		struct ddfs_entry e;

		if (tree[i].type) {
			ck_assert_int_eq(tree_make(dir, name, tree[i].type | 0755), 0);
		} else {
			f = tree_get(m->root, "f");
			ck_assert_int_eq(ddfs_link(f, dir, name, strlen(name), &e), 0);
			ddfs_inode_put(f);
		}
		ck_assert_int_eq(ddfs_lookup(dir, name, strlen(name), &e), 0);
		snprintf(p->text, sizeof(p->text), "%s", tree[i].path);
		p->id = e.attr.id;
		p->is_dir = S_ISDIR(e.attr.mode);
		ddfs_inode_put(dir);
	}
}

static int count(void *arg, const struct ddfs_dirent *d)
{
	(void)d;
	++*(unsigned int *)arg;
	return 0;
}

/* A directory has these entries and no more, and knows the one above. */
static void ck_dir(struct model *mo, struct ddfs_inode *dir, const char *text, const char *above)
{
	unsigned int nr = 0, want = 2, subdirs = 0;
	struct path *up = model_find(mo, above);
	struct ddfs_entry e;
	struct ddfs_attr a;

	for (size_t i = 0; i < mo->nr; i++) {
		if (is_parent(text, mo->paths[i].text)) {
			want++;
			subdirs += mo->paths[i].is_dir;
		}
	}
	ck_assert_int_eq(ddfs_readdir(dir, 0, false, count, &nr), 0);
	ck_assert_uint_eq(nr, want);
	ddfs_getattr(dir, &a);
	ck_assert_uint_eq(a.nlink, 2 + subdirs);
	ck_assert_int_eq(ddfs_lookup_parent(dir, &e), 0);
	ck_assert_uint_eq(e.attr.id, up ? up->id : DDFS_ID_ROOT);
}

static void ck_path(struct mounted *m, struct model *mo, const struct path *p)
{
	struct ddfs_inode *dir = walk(m, p->text), *ip;
	unsigned int names = 0;
	char above[600];
	struct ddfs_attr a;

	ip = tree_get(dir, leaf(p->text));
	ck_assert_uint_eq(ddfs_inode_id(ip), p->id);
	for (size_t i = 0; i < mo->nr; i++)
		names += mo->paths[i].id == p->id;
	ddfs_getattr(ip, &a);
	if (p->is_dir) {
		snprintf(above, sizeof(above), "%.*s", (int)dir_len(p->text), p->text);
		ck_dir(mo, ip, p->text, above);
	} else {
		ck_assert_uint_eq(a.nlink, names);
	}
	ddfs_inode_put(ip);
	ddfs_inode_put(dir);
}

static void ck_model(struct mounted *m, struct model *mo)
{
	for (size_t i = 0; i < mo->nr; i++)
		ck_path(m, mo, &mo->paths[i]);
	ck_dir(mo, m->root, "", "");
	ck_image(&m->ram.media);
}

static int rename_path(struct mounted *m, const char *from, const char *to, unsigned int flags)
{
	struct ddfs_inode *a = walk(m, from), *b = walk(m, to);
	int err = tree_rename(a, leaf(from), b, leaf(to), flags);

	ddfs_inode_put(a);
	ddfs_inode_put(b);
	return err;
}

static const char *end_path(size_t i)
{
	return i < NR(tree) ? tree[i].path : absent[i - NR(tree)];
}

static void run_pair(const char *from, const char *to, unsigned int flags)
{
	bool nothing = false;
	struct model mo;
	struct mounted m;
	int want, err;

	mounted_begin(&m, SIZE, 4096, NULL);
	plant(&m, &mo);
	want = model_check(&mo, from, to, flags, &nothing);
	err = rename_path(&m, from, to, flags);
	ck_assert_msg(err == want, "%s to %s, flags %u: %d, not %d", from, to, flags, err, want);
	if (!err && !nothing)
		model_rename(&mo, from, to, flags);
	ck_model(&m, &mo);
	mounted_again(&m, NULL);
	ck_model(&m, &mo);
	mounted_end(&m);
}

/* From one path to every other. */
START_TEST(pairs)
{
	for (size_t to = 0; to < NR_ENDS; to++)
		run_pair(
			end_path((size_t)_i / NR_FLAGS), end_path(to), (unsigned int)_i % NR_FLAGS);
}
END_TEST

/* One after another in one tree, so that it gets deep and odd. */
START_TEST(many)
{
	static const unsigned int flags[] = { 0, 0, RENAME_EXCHANGE, RENAME_NOREPLACE };
	struct model mo;
	struct mounted m;
	struct rng r;

	rng_seed(&r, (uint64_t)_i + 1);
	mounted_begin(&m, SIZE, 4096, NULL);
	plant(&m, &mo);
	for (unsigned int i = 0; i < 300; i++) {
		const struct path *a = &mo.paths[rng_below(&r, mo.nr)];
		const struct path *b = &mo.paths[rng_below(&r, mo.nr)];
		unsigned int f = flags[rng_below(&r, NR(flags))];
		char from[600], to[600];
		bool nothing = false;
		int err;

		snprintf(from, sizeof(from), "%s", a->text);
		snprintf(to, sizeof(to), "%s", b->text);
		/* What replaces makes the tree smaller: mostly names that are new. */
		if (f == RENAME_NOREPLACE || (!f && i % 16)) {
			if (b->is_dir && strlen(to) < 500)
				strcat(to, "/");
			else
				to[dir_len(to) + (dir_len(to) > 0)] = 0;
			snprintf(to + strlen(to), 20, "n%u", i);
		}
		err = rename_path(&m, from, to, f);
		ck_assert_int_eq(err, model_check(&mo, from, to, f, &nothing));
		if (!err && !nothing)
			model_rename(&mo, from, to, f);
		if (i % 10 == 0)
			ck_model(&m, &mo);
	}
	ck_model(&m, &mo);
	mounted_end(&m);
}
END_TEST

/* ---- names ---------------------------------------------------------------------------------- */

START_TEST(bad_names)
{
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	ck_assert_int_eq(tree_make(m.root, "f", S_IFREG | 0644), 0);
	ck_assert_int_eq(tree_rename(m.root, "f", m.root, "", 0), -EINVAL);
	ck_assert_int_eq(tree_rename(m.root, "", m.root, "f", 0), -EINVAL);
	ck_assert_int_eq(tree_rename(m.root, "f", m.root, "a/b", 0), -EINVAL);
	ck_assert_int_eq(tree_rename(m.root, "f", m.root, LONG255 "56", 0), -ENAMETOOLONG);
	ck_assert_int_eq(tree_rename(m.root, LONG255 "56", m.root, "f", 0), -ENAMETOOLONG);
	ck_assert_int_eq(tree_rename(m.root, "f", m.root, "g", 1u << 2), -EINVAL);
	ck_assert_int_eq(tree_rename(m.root, "f", m.root, "g", 1u << 31), -EINVAL);
	mounted_end(&m);
}
END_TEST

#define NR_NAMES 3000

static void name_of(char *buf, size_t size, unsigned int i)
{
	snprintf(buf, size, "%0*u", (int)(1 + i % 255), i);
}

/* From one large directory to another, each name to one of another length, and back over what is
 * there. */
START_TEST(large)
{
	struct ddfs_inode *a, *b;
	struct mounted m;
	char from[300], to[300];
	unsigned int nr = 0;

	mounted_begin(&m, UINT64_C(64) << 20, 4096, NULL);
	a = tree_make_get(m.root, "a", S_IFDIR | 0755);
	b = tree_make_get(m.root, "b", S_IFDIR | 0755);
	for (unsigned int i = 0; i < NR_NAMES; i++) {
		name_of(from, sizeof(from), i);
		ck_assert_int_eq(tree_make(a, from, (i % 3 ? S_IFREG : S_IFDIR) | 0755), 0);
	}
	for (unsigned int i = 0; i < NR_NAMES; i++) {
		name_of(from, sizeof(from), i);
		name_of(to, sizeof(to), (i * 7 + 13) % NR_NAMES + NR_NAMES);
		ck_assert_int_eq(tree_rename(a, from, b, to, RENAME_NOREPLACE), 0);
	}
	ck_image(&m.ram.media);
	ck_assert_int_eq(ddfs_readdir(a, 0, false, count, &nr), 0);
	ck_assert_uint_eq(nr, 2);
	for (unsigned int i = 0; i < NR_NAMES; i++) {
		name_of(from, sizeof(from), (i * 7 + 13) % NR_NAMES + NR_NAMES);
		name_of(to, sizeof(to), i % 3);
		ck_assert_int_eq(tree_rename(b, from, i % 3 ? a : b, i % 3 ? to : from, 0), 0);
	}
	nr = 0;
	ck_assert_int_eq(ddfs_readdir(a, 0, false, count, &nr), 0);
	ck_assert_uint_eq(nr, 2 + 2);
	nr = 0;
	ck_assert_int_eq(ddfs_readdir(b, 0, false, count, &nr), 0);
	ck_assert_uint_eq(nr, 2 + NR_NAMES / 3);
	ddfs_inode_put(a);
	ddfs_inode_put(b);
	mounted_end(&m);
}
END_TEST

/* ---- what else it minds --------------------------------------------------------------------- */

/* What is replaced while it is open lives until it is closed. */
START_TEST(over_open)
{
	struct ddfs_inode *ip;
	struct ddfs_attr a;
	struct mounted m;
	uint8_t buf[10];

	mounted_begin(&m, SIZE, 4096, NULL);
	ck_assert_int_eq(tree_make(m.root, "f", S_IFREG | 0644), 0);
	ip = tree_make_get(m.root, "g", S_IFREG | 0644);
	ck_assert_int_eq(tree_fill(ip, 0, 10000, 'g'), 10000);
	ck_assert_int_eq(ddfs_open(ip, 0, false, NULL), 0);
	ck_assert_int_eq(tree_rename(m.root, "f", m.root, "g", 0), 0);
	ddfs_getattr(ip, &a);
	ck_assert_uint_eq(a.nlink, 0);
	ck_assert_int_eq(ddfs_pread(ip, buf, 10, 9990), 10);
	ck_assert(buf[9] == 'g');
	ck_image(&m.ram.media);
	ddfs_release(ip);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

/* Into a directory that was removed, and out of it. */
START_TEST(dead_directory)
{
	struct ddfs_inode *dir;
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	ck_assert_int_eq(tree_make(m.root, "f", S_IFREG | 0644), 0);
	ck_assert_int_eq(tree_make(m.root, "e", S_IFDIR | 0755), 0);
	dir = tree_make_get(m.root, "d", S_IFDIR | 0755);
	ck_assert_int_eq(ddfs_open(dir, 0, false, NULL), 0);
	ck_assert_int_eq(ddfs_rmdir(m.root, "d", 1), 0);
	ck_assert_int_eq(tree_rename(m.root, "f", dir, "f", 0), -ENOENT);
	ck_assert_int_eq(tree_rename(m.root, "e", dir, "e", 0), -ENOENT);
	ck_assert_int_eq(tree_rename(dir, "f", m.root, "f", 0), -ENOENT);
	ddfs_release(dir);
	ddfs_inode_put(dir);
	mounted_end(&m);
}
END_TEST

static const struct flag_case {
	const char *holder; /* of the flag */
	uint32_t flag;
	unsigned int how;
	int want;
} flag_cases[] = {
	{ "a/f", DDFS_FLAG_IMMUTABLE, 0, -EPERM },
	{ "a/f", DDFS_FLAG_APPEND, 0, -EPERM },
	{ "b/g", DDFS_FLAG_IMMUTABLE, 0, -EPERM },
	{ "b/g", DDFS_FLAG_APPEND, RENAME_EXCHANGE, -EPERM },
	{ "a", DDFS_FLAG_IMMUTABLE, 0, -EPERM },
	{ "a", DDFS_FLAG_APPEND, 0, -EPERM },
	{ "b", DDFS_FLAG_IMMUTABLE, 0, -EPERM },
	{ "b", DDFS_FLAG_APPEND, 0, -EPERM },
	{ "b", DDFS_FLAG_APPEND, RENAME_EXCHANGE, -EPERM },
	{ "a", DDFS_FLAG_NOATIME, 0, 0 },
	{ "a/f", DDFS_FLAG_NOATIME, RENAME_EXCHANGE, 0 },
};

static void set_flags(struct mounted *m, const char *path, uint32_t flags)
{
	struct ddfs_inode *dir = walk(m, path), *ip = tree_get(dir, leaf(path));

	ck_assert_int_eq(ddfs_set_flags(ip, flags), 0);
	ddfs_inode_put(ip);
	ddfs_inode_put(dir);
}

START_TEST(inode_flags)
{
	const struct flag_case *c = &flag_cases[_i];
	struct ddfs_inode *dir;
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	for (const char *d = "ab"; *d; d++) {
		dir = tree_make_get(m.root, *d == 'a' ? "a" : "b", S_IFDIR | 0755);
		ck_assert_int_eq(tree_make(dir, *d == 'a' ? "f" : "g", S_IFREG | 0644), 0);
		ddfs_inode_put(dir);
	}
	set_flags(&m, c->holder, c->flag);
	ck_assert_int_eq(rename_path(&m, "a/f", "b/g", c->how), c->want);
	/* A new name in an append-only directory is what it is for. */
	if (c->flag == DDFS_FLAG_APPEND && strcmp(c->holder, "b") == 0)
		ck_assert_int_eq(rename_path(&m, "a/f", "b/new", 0), 0);
	ck_image(&m.ram.media);
	mounted_end(&m);
}
END_TEST

static void age(struct ddfs_inode *ip)
{
	struct ddfs_attr a = { 0 };

	ck_assert_int_eq(
		ddfs_setattr(ip, &a, DDFS_SET_ATIME | DDFS_SET_MTIME | DDFS_SET_CTIME, NULL, NULL),
		0);
}

static void ck_times(struct ddfs_inode *ip, bool mtime, bool ctime)
{
	struct ddfs_attr a;

	ddfs_getattr(ip, &a);
	ck_assert_int_eq(a.mtime.tv_sec != 0, mtime);
	ck_assert_int_eq(a.ctime.tv_sec != 0, ctime);
}

START_TEST(times)
{
	struct ddfs_inode *a, *b, *f, *g;
	struct mounted m;

	mounted_begin(&m, SIZE, 4096, NULL);
	a = tree_make_get(m.root, "a", S_IFDIR | 0755);
	b = tree_make_get(m.root, "b", S_IFDIR | 0755);
	f = tree_make_get(a, "f", S_IFREG | 0644);
	g = tree_make_get(b, "g", S_IFDIR | 0755);
	age(a);
	age(b);
	age(f);
	age(g);
	ck_assert_int_eq(tree_rename(a, "f", b, "g", _i ? RENAME_EXCHANGE : 0), _i ? 0 : -EISDIR);
	ck_times(a, _i, _i);
	ck_times(b, _i, _i);
	ck_times(f, false, _i);
	ck_times(g, false, _i);
	ddfs_inode_put(a);
	ddfs_inode_put(b);
	ddfs_inode_put(f);
	ddfs_inode_put(g);
	mounted_end(&m);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "pairs", pairs, NR_ENDS * NR_FLAGS },
		{ "many", many, 20 },
		{ "bad names", bad_names, 0 },
		{ "large", large, 0 },
		{ "over open", over_open, 0 },
		{ "dead directory", dead_directory, 0 },
		{ "inode flags", inode_flags, NR(flag_cases) },
		{ "times", times, 2 },
	};

	return suite_run("fs_rename", cases, NR(cases));
}
