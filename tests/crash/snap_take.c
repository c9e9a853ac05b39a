/* SPDX-License-Identifier: BSD-3-Clause */
/* A snapshot, read from a filesystem. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/snap.h"

#define READ_MAX (1u << 20)

struct taking {
	struct ddfs_fs *fs;
	struct crash_snap *snap;
	char *why;
};

__attribute__((format(printf, 3, 4))) static int failed(
	struct taking *t, int err, const char *fmt, ...)
{
	int n = snprintf(t->why, 256, "%s: ", strerror(err < 0 ? -err : EUCLEAN));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why + n, 256 - (size_t)n, fmt, ap);
	va_end(ap);
	return err < 0 ? err : -EUCLEAN;
}

/* ---- contents ------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *p, size_t len)
{
	return !*p && memcmp(p, p + 1, len - 1) == 0;
}

struct content {
	struct snap_node *n;
	uint64_t off;
};

static void keep(struct content *c, const uint8_t *p, size_t len)
{
	while (len) {
		size_t room = SNAP_BLOCK - c->off % SNAP_BLOCK, take = len < room ? len : room;

		if (!is_zero(p, take))
			snap_node_write(c->n, c->off, p, take);
		c->off += take;
		p += take;
		len -= take;
	}
}

static ssize_t keep_pieces(void *arg, const struct iovec *iov, int nr, size_t len)
{
	for (int i = 0; i < nr; i++)
		if (iov[i].iov_len)
			keep(arg, iov[i].iov_base, iov[i].iov_len);
	return (ssize_t)len;
}

/* Read through, holes too: that they are zeroes is to be seen. */
static int take_content(struct taking *t, struct ddfs_inode *ip, struct snap_node *n)
{
	struct content c = { n, 0 };

	while (c.off < n->size) {
		uint64_t at = c.off;
		ssize_t got = ddfs_read(ip, at, READ_MAX, DDFS_READ_WHOLE, keep_pieces, &c);

		if (got <= 0 || c.off != at + (uint64_t)got)
			return failed(t, (int)got, "inode %u can't be read at byte %llu",
				(uint32_t)n->id, (unsigned long long)at);
	}
	return c.off == n->size ? 0
				: failed(t, 0, "inode %u goes on behind its end", (uint32_t)n->id);
}

static int take_target(struct taking *t, struct ddfs_inode *ip, struct snap_node *n)
{
	ssize_t len;

	n->target = calloc(1, DDFS_SYMLINK_MAX + 2);
	len = ddfs_readlink(ip, n->target, DDFS_SYMLINK_MAX + 1);
	if (len < 0 || (uint64_t)len != n->size)
		return failed(t, (int)len, "symlink %u can't be read", (uint32_t)n->id);
	return 0;
}

/* ---- xattrs --------------------------------------------------------------------------------- */

static int take_xattr(
	struct taking *t, struct ddfs_inode *ip, struct snap_node *n, const char *name)
{
	ssize_t size = ddfs_getxattr(ip, name, NULL, 0), got;
	uint8_t *value;

	if (size < 0)
		return failed(t, (int)size, "xattr %s of inode %u", name, (uint32_t)n->id);
	if (snap_node_xattr(n, name))
		return failed(t, 0, "xattr %s of inode %u twice", name, (uint32_t)n->id);
	value = malloc((size_t)size + 1);
	got = ddfs_getxattr(ip, name, value, (size_t)size + 1);
	if (got == size)
		snap_node_set_xattr(n, name, value, (size_t)size);
	free(value);
	return got == size ? 0
			   : failed(t, (int)got, "xattr %s of inode %u can't be read", name,
				     (uint32_t)n->id);
}

static int take_xattrs(struct taking *t, struct ddfs_inode *ip, struct snap_node *n)
{
	ssize_t len = ddfs_listxattr(ip, NULL, 0);
	char *names;
	int err = 0;

	if (len <= 0)
		return len ? failed(t, (int)len, "xattrs of inode %u", (uint32_t)n->id) : 0;
	names = malloc((size_t)len);
	if (ddfs_listxattr(ip, names, (size_t)len) != len)
		err = failed(t, 0, "xattrs of inode %u change while listed", (uint32_t)n->id);
	for (const char *at = names; !err && at < names + len; at += strlen(at) + 1)
		err = take_xattr(t, ip, n, at);
	free(names);
	return err;
}

/* ---- inodes --------------------------------------------------------------------------------- */

static int64_t set_time(struct timespec t)
{
	return t.tv_sec < SNAP_TIME_SET_MAX ? t.tv_sec : 0;
}

static struct snap_node *node_of(const struct ddfs_attr *a)
{
	struct snap_node *n = snap_node_new(a->mode);

	n->id = a->id;
	n->nlink = a->nlink;
	n->uid = a->uid;
	n->gid = a->gid;
	n->rdev = a->rdev;
	n->flags = a->flags;
	n->size = a->size;
	n->blocks = a->sectors;
	n->time[SNAP_ATIME] = set_time(a->atime);
	n->time[SNAP_MTIME] = set_time(a->mtime);
	n->time[SNAP_CTIME] = set_time(a->ctime);
	return n;
}

static int fill(struct taking *t, struct ddfs_inode *ip, struct snap_node *n)
{
	int err = take_xattrs(t, ip, n);

	if (!err && S_ISREG(n->mode))
		err = take_content(t, ip, n);
	else if (!err && S_ISLNK(n->mode))
		err = take_target(t, ip, n);
	return err;
}

struct child {
	char name[DDFS_NAME_MAX + 1];
	ddfs_id id;
	uint32_t type;
};

struct children {
	struct child *c;
	size_t nr, cap;
	bool lacks_attr;
};

static int note_child(void *arg, const struct ddfs_dirent *d)
{
	struct children *l = arg;

	if (d->cookie <= 2)
		return 0;
	l->lacks_attr |= !d->attr;
	if (!d->attr)
		return 0;
	if (l->nr == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->c = realloc(l->c, l->cap * sizeof(*l->c));
		if (!l->c)
			abort();
	}
	l->c[l->nr] = (struct child){ .id = d->attr->id, .type = d->type };
	memcpy(l->c[l->nr++].name, d->name, d->name_len);
	return 0;
}

static int take_node(struct taking *t, const char *path, ddfs_id id, uint32_t type);

static int take_child(
	struct taking *t, const char *path, struct ddfs_inode *dir, const struct child *c)
{
	size_t len = strlen(path) + strlen(c->name) + 2;
	char *below = malloc(len);
	struct ddfs_entry e;
	int err = ddfs_lookup(dir, c->name, strlen(c->name), &e);

	snprintf(below, len, "%s%s%s", path, *path ? "/" : "", c->name);
	if (err || e.attr.id != c->id)
		err = failed(t, err, "'%.100s' is listed, but not found", below);
	else if (snap_find(t->snap, below))
		err = failed(t, 0, "'%.100s' is there twice", below);
	else
		err = take_node(t, below, c->id, c->type);
	free(below);
	return err;
}

static int take_children(struct taking *t, const char *path, struct ddfs_inode *dir)
{
	struct children l = { 0 };
	int err = ddfs_readdir(dir, 0, true, note_child, &l);

	if (err || l.lacks_attr)
		err = failed(t, err, "directory '%.100s' can't be listed", path);
	for (size_t i = 0; !err && i < l.nr; i++)
		err = take_child(t, path, dir, &l.c[i]);
	free(l.c);
	return err;
}

static int take_new(struct taking *t, const char *path, struct ddfs_inode *ip, uint32_t type)
{
	struct ddfs_attr a;
	struct snap_node *n;
	int err = ddfs_getattr(ip, &a);

	if (err)
		return failed(t, err, "'%.100s' has no attributes", path);
	n = node_of(&a);
	snap_add(t->snap, path, n);
	snap_node_put(n);
	if ((a.mode & S_IFMT) != type)
		return failed(
			t, 0, "'%.100s' is of type %o, listed as %o", path, a.mode & S_IFMT, type);
	err = fill(t, ip, n);
	return err || type != S_IFDIR ? err : take_children(t, path, ip);
}

static int take_node(struct taking *t, const char *path, ddfs_id id, uint32_t type)
{
	struct snap_node *n = type == S_IFDIR ? NULL : snap_find_id(t->snap, id);
	struct ddfs_inode *ip;
	int err;

	if (n) {
		snap_add(t->snap, path, n);
		return 0;
	}
	if (strlen(path) > 20 * DDFS_NAME_MAX)
		return failed(t, 0, "directories in a loop at '%.100s'", path);
	err = ddfs_inode_get(t->fs, id, &ip);
	if (err)
		return failed(t, err, "'%.100s' leads to no inode", path);
	err = take_new(t, path, ip, type);
	ddfs_inode_put(ip);
	return err;
}

/* ---- pins ----------------------------------------------------------------------------------- */

static void note_held(struct crash_snap *s, ddfs_id id, const struct ddfs_file_extent *e)
{
	uint64_t nr = (e->len + SNAP_BLOCK - 1) / SNAP_BLOCK;

	if (e->hole)
		return;
	s->held = realloc(s->held, (s->nr_held + nr) * sizeof(*s->held));
	for (uint64_t i = 0; i < nr; i++)
		s->held[s->nr_held++] = (struct snap_held){ id, e->off / SNAP_BLOCK + i,
			e->device_off / SNAP_BLOCK + i };
}

static int take_pin(struct taking *t, const struct ddfs_pin_info *p)
{
	uint64_t off = p->first * SNAP_BLOCK, end = p->last * SNAP_BLOCK;
	struct ddfs_file_extent e;
	struct ddfs_inode *ip;
	int nr = ddfs_inode_get(t->fs, p->file, &ip);

	if (nr)
		return failed(t, nr, "inode %u is pinned, but not there", (uint32_t)p->file);
	while (off < end && (nr = ddfs_layout_query(ip, off, end - off, false, &e, 1, &off)) == 1)
		note_held(t->snap, p->file, &e);
	ddfs_inode_put(ip);
	return nr < 0 ? failed(t, nr, "what inode %u has pinned", (uint32_t)p->file) : 0;
}

static int held_order(const void *a, const void *b)
{
	return snap_held_compare(a, b);
}

static int take_pins(struct taking *t)
{
	struct ddfs_layouts *ls = ddfs_fs_layouts(t->fs);
	struct ddfs_pin_info p = { 0 };
	int err = 0;

	while (!err && ddfs_layouts_list(ls, NULL, p.id, &p, 1))
		err = take_pin(t, &p);
	if (t->snap->nr_held)
		qsort(t->snap->held, t->snap->nr_held, sizeof(*t->snap->held), held_order);
	return err;
}

struct crash_snap *crash_snap_take(struct ddfs_fs *fs, char why[256])
{
	struct taking t = { fs, calloc(1, sizeof(*t.snap)), why };
	int err = take_node(&t, "", DDFS_ID_ROOT, S_IFDIR);

	if (!err)
		err = take_pins(&t);
	if (!err)
		return t.snap;
	crash_snap_delete(t.snap);
	return NULL;
}
