/* SPDX-License-Identifier: BSD-3-Clause */
/* Is the filesystem what the model says? */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check_image.h"
#include "tests/unit/model.h"

struct ddfs_inode *model_get(struct world *w, const struct mnode *n)
{
	struct ddfs_inode *ip;
	int err = ddfs_inode_get(w->fs, n->id, &ip);

	ck_assert_msg(!err, "inode %#llx: %s", (unsigned long long)n->id, strerror(-err));
	return ip;
}

static void verify_attr(struct ddfs_inode *ip, const struct mnode *n)
{
	struct ddfs_attr a;

	ddfs_getattr(ip, &a);
	ck_assert_uint_eq(a.id, n->id);
	ck_assert_msg(a.mode == n->mode, "inode %u: mode %o, want %o", a.ino, a.mode, n->mode);
	ck_assert_msg(a.nlink == n->nlink, "inode %u: nlink %u, want %u", a.ino, a.nlink, n->nlink);
	ck_assert_uint_eq(a.uid, n->uid);
	ck_assert_uint_eq(a.gid, n->gid);
	ck_assert_uint_eq(a.rdev, n->rdev);
	if (!model_is_dir(n))
		ck_assert_msg(a.size == n->size, "inode %u: size %llu, want %llu", a.ino,
			(unsigned long long)a.size, (unsigned long long)n->size);
}

/* The written run that starts at or behind off; false at the end of file. */
static bool next_run(struct mnode *n, uint64_t off, uint64_t *from, uint64_t *to)
{
	struct mblock *b = model_block_from(n, (uint32_t)(off / MODEL_BLOCK));

	if (off >= n->size || !b || (uint64_t)b->lblk * MODEL_BLOCK >= n->size)
		return false;
	*from = (uint64_t)b->lblk * MODEL_BLOCK;
	if (*from < off)
		*from = off;
	for (*to = b->lblk; b < n->block + n->nr_blocks && b->lblk == *to; b++)
		++*to;
	*to *= MODEL_BLOCK;
	if (*to > n->size)
		*to = n->size;
	return true;
}

static void fail_at_difference(const struct world *w, const struct mnode *n, uint64_t from)
{
	const uint8_t *got = w->buf, *want = w->buf + MODEL_BUF / 2;
	size_t i = 0;

	while (got[i] == want[i])
		i++;
	ck_abort_msg("inode %#llx (size %llu): byte %llu is %#x, want %#x",
		(unsigned long long)n->id, (unsigned long long)n->size,
		(unsigned long long)(from + i), got[i], want[i]);
}

static void verify_run(
	struct world *w, struct ddfs_inode *ip, struct mnode *n, uint64_t from, uint64_t to)
{
	while (from < to) {
		size_t len = to - from < MODEL_BUF / 2 ? to - from : MODEL_BUF / 2;
		ssize_t got = ddfs_pread(ip, w->buf, len, from);

		ck_assert_msg(got == (ssize_t)len, "read of %zu at %llu: %zd", len,
			(unsigned long long)from, got);
		model_read(n, from, w->buf + MODEL_BUF / 2, len);
		if (memcmp(w->buf, w->buf + MODEL_BUF / 2, len) != 0)
			fail_at_difference(w, n, from);
		from += len;
	}
}

/* Data and holes lie where they should, data is right, and a little of each hole is zero. */
static void verify_content(struct world *w, struct ddfs_inode *ip, struct mnode *n)
{
	uint64_t off = 0, from, to;

	while (next_run(n, off, &from, &to)) {
		int64_t data = ddfs_seek(ip, off, SEEK_DATA), hole;

		ck_assert_msg(data == (int64_t)from,
			"inode %#llx: data behind %llu at %lld, want %llu",
			(unsigned long long)n->id, (unsigned long long)off, (long long)data,
			(unsigned long long)from);
		hole = ddfs_seek(ip, from, SEEK_HOLE);
		ck_assert_msg(hole == (int64_t)to,
			"inode %#llx: hole behind %llu at %lld, want %llu",
			(unsigned long long)n->id, (unsigned long long)from, (long long)hole,
			(unsigned long long)to);
		verify_run(w, ip, n, from - off > MODEL_BLOCK ? from - MODEL_BLOCK : off, to);
		off = to;
	}
	if (off < n->size) {
		ck_assert_int_eq(ddfs_seek(ip, off, SEEK_DATA), -ENXIO);
		ck_assert_int_eq(ddfs_seek(ip, off, SEEK_HOLE), (int64_t)off);
		verify_run(w, ip, n, off, n->size - off > MODEL_BUF ? off + MODEL_BUF : n->size);
	}
	ck_assert_int_eq(ddfs_seek(ip, n->size, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(ddfs_pread(ip, w->buf, 100, n->size), 0);
}

static void verify_xattrs(struct world *w, struct ddfs_inode *ip, struct mnode *n)
{
	size_t want = 0;

	for (unsigned int i = 0; i < MODEL_XATTRS; i++) {
		const struct mxattr *x = &n->xattr[i];

		if (!x->value)
			continue;
		want += strlen(x->name) + 1;
		ck_assert_int_eq(ddfs_getxattr(ip, x->name, NULL, 0), (ssize_t)x->size);
		ck_assert_int_eq(ddfs_getxattr(ip, x->name, w->buf, MODEL_BUF), (ssize_t)x->size);
		ck_assert_msg(memcmp(w->buf, x->value, x->size) == 0, "xattr %s differs", x->name);
	}
	ck_assert_int_eq(ddfs_listxattr(ip, NULL, 0), (ssize_t)want);
	ck_assert_int_eq(ddfs_listxattr(ip, (char *)w->buf, MODEL_BUF), (ssize_t)want);
	for (size_t at = 0; at < want; at += strlen((char *)w->buf + at) + 1) {
		unsigned int i = 0;

		while (i < MODEL_XATTRS &&
			(!n->xattr[i].value || strcmp(n->xattr[i].name, (char *)w->buf + at) != 0))
			i++;
		ck_assert_msg(i < MODEL_XATTRS, "unknown xattr %s", (char *)w->buf + at);
	}
}

struct listing {
	struct mnode *dir;
	size_t nr;
	uint64_t cookie;
	unsigned int stop_after; /* 0: never */
	bool stopped;
};

static int list_one(void *arg, const struct ddfs_dirent *d)
{
	struct listing *l = arg;
	struct mentry *e;

	if (l->stop_after && --l->stop_after == 0) {
		l->stopped = true;
		return 1;
	}
	ck_assert_uint_gt(d->cookie, l->cookie);
	l->cookie = d->cookie;
	l->nr++;
	if (d->name[0] == '.' && (d->name_len == 1 || (d->name_len == 2 && d->name[1] == '.'))) {
		const struct mnode *n = d->name_len == 2 && l->dir->nlink ? l->dir->parent : l->dir;

		ck_assert(!l->dir->nlink || d->ino == (uint32_t)n->id);
		return 0;
	}
	e = model_find(l->dir, d->name, d->name_len);
	ck_assert_msg(e, "directory %#llx: %.*s should not be there",
		(unsigned long long)l->dir->id, (int)d->name_len, d->name);
	ck_assert_uint_eq(d->ino, (uint32_t)e->node->id);
	ck_assert_uint_eq(d->type, e->node->mode & S_IFMT);
	ck_assert(!d->attr || d->attr->id == e->node->id);
	return 0;
}

static void verify_dir(struct world *w, struct ddfs_inode *ip, struct mnode *n)
{
	struct listing l = { .dir = n };

	do {
		l.stopped = false;
		l.stop_after = rng_below(&w->rng, 2) ? 0 : 2 + (unsigned int)rng_below(&w->rng, 50);
		ck_assert_int_eq(
			ddfs_readdir(ip, l.cookie, rng_below(&w->rng, 2), list_one, &l), 0);
	} while (l.stopped);
	ck_assert_msg(l.nr == n->nr_entries + 2, "directory %#llx: %zu names, want %zu",
		(unsigned long long)n->id, l.nr, n->nr_entries + 2);
}

void model_verify_node(struct world *w, struct mnode *n)
{
	struct ddfs_inode *ip = model_get(w, n);
	ssize_t len;

	verify_attr(ip, n);
	verify_xattrs(w, ip, n);
	if (model_is_dir(n)) {
		verify_dir(w, ip, n);
	} else if (model_is_reg(n)) {
		verify_content(w, ip, n);
	} else if (n->target) {
		len = ddfs_readlink(ip, (char *)w->buf, MODEL_BUF);
		ck_assert_int_eq(len, (ssize_t)strlen(n->target));
		ck_assert(memcmp(w->buf, n->target, (size_t)len) == 0);
	}
	ddfs_inode_put(ip);
}

void model_verify(struct world *w)
{
	struct image_summary s;
	struct ddfs_statfs st;

	/* First: it gives back what the inode table does not need. */
	ck_assert_int_eq(ddfs_fs_statfs(w->fs, &st), 0);
	image_check(w->ram.media.base, w->ram.media.size, w->image_flags, &s);
	ck_assert_msg(!s.nr_problems, "%u problems on media", s.nr_problems);
	ck_assert_msg(st.nr_free == s.nr_free, "statfs: %llu free, on media %llu",
		(unsigned long long)st.nr_free, (unsigned long long)s.nr_free);
	ck_assert_msg(s.nr_inodes + 1 == w->nr_nodes, "%llu inodes on media, want %zu",
		(unsigned long long)s.nr_inodes, w->nr_nodes - 1);
	ck_assert_uint_eq(st.nr_inodes - st.nr_free_inodes - 16, s.nr_inodes);
	for (size_t i = 0; i < w->nr_nodes; i++)
		model_verify_node(w, w->node[i]);
}
