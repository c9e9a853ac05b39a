/* SPDX-License-Identifier: BSD-3-Clause */
/* Random operations on names. */
#include <check.h>
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/model.h"

#define NODES_MAX  600
#define NAMES_POOL 400

/* A name of any length; the same few hundred again and again. */
static size_t any_name(struct world *w, char name[256])
{
	unsigned int i = (unsigned int)rng_below(&w->rng, NAMES_POOL);
	size_t len = i % 3 ? 4 + i % 20 : 4 + i * 37 % 252;

	memset(name, 'a' + (int)(i % 26), len);
	name[snprintf(name, 5, "%04u", i)] = 'x';
	if (len == 4)
		return 4;
	return len;
}

/* A name that is there, more often than not. */
static size_t some_name(struct world *w, struct mnode *dir, char name[256])
{
	const struct mentry *e;

	if (!dir->nr_entries || rng_below(&w->rng, 3) == 0)
		return any_name(w, name);
	e = &dir->entry[rng_below(&w->rng, dir->nr_entries)];
	memcpy(name, e->name, e->len);
	return e->len;
}

static void random_target(struct world *w, char *s)
{
	size_t len = rng_below(&w->rng, 2) ? 1 + rng_below(&w->rng, 64)
					   : 1 + rng_below(&w->rng, DDFS_SYMLINK_MAX);

	for (size_t i = 0; i < len; i++)
		s[i] = (char)('!' + rng_below(&w->rng, 90));
	s[len] = 0;
}

static uint32_t any_mode(struct world *w)
{
	static const uint32_t types[] = { S_IFREG, S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR,
		S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK };

	return types[rng_below(&w->rng, sizeof(types) / sizeof(types[0]))] |
	       (uint32_t)rng_below(&w->rng, 010000);
}

/* What the inode that was just made is to be. */
static struct mnode *node_made(
	struct world *w, struct mnode *dir, const struct ddfs_new *q, const struct ddfs_attr *a)
{
	struct mnode *n = model_node_new(w, q->mode & ~q->umask);

	n->id = a->id;
	model_trace(w, "made", n, q->mode, 0);
	n->uid = q->uid;
	n->gid = q->gid;
	if (dir->mode & S_ISGID) {
		n->gid = dir->gid;
		if (S_ISDIR(q->mode))
			n->mode |= S_ISGID;
	}
	if (S_ISLNK(q->mode)) {
		/* A symlink has no use for its permissions: umask leaves them alone. */
		n->mode = q->mode;
		n->target = strdup(q->target);
		n->size = strlen(q->target);
	}
	if (S_ISCHR(q->mode) || S_ISBLK(q->mode))
		n->rdev = q->rdev;
	if (S_ISDIR(q->mode)) {
		n->parent = dir;
		dir->nlink++;
	}
	return n;
}

/* Nothing can be made where a directory was. */
static void create_in_removed(struct world *w)
{
	struct ddfs_new q = { .mode = S_IFREG | 0644 };
	struct mnode *dir = model_removed_dir(w);
	struct ddfs_inode *ip, *root;
	struct ddfs_entry e;

	if (!dir)
		return;
	ip = model_get(w, dir);
	root = model_get(w, w->node[0]);
	ck_assert_int_eq(ddfs_create(ip, "x", 1, &q, &e, NULL), -ENOENT);
	if (w->node[0]->nr_entries) {
		const struct mentry *from = &w->node[0]->entry[0];
		int err = ddfs_rename(root, from->name, from->len, ip, "x", 1, 0);

		/* What the directory was in must not be moved into it either. */
		ck_assert(err == -ENOENT || err == -EINVAL);
	}
	ddfs_inode_put(root);
	ddfs_inode_put(ip);
}

void model_op_create(struct world *w)
{
	struct mnode *dir = model_any_dir(w);
	char name[256], target[DDFS_SYMLINK_MAX + 1];
	size_t len = any_name(w, name);
	struct ddfs_inode *ip = model_get(w, dir), *opened = NULL;
	struct ddfs_new q = { .mode = any_mode(w), .umask = 022, .target = target };
	bool open = rng_below(&w->rng, 4) == 0;
	struct ddfs_entry e;
	int want = model_find(dir, name, len) ? -EEXIST : 0;

	create_in_removed(w);
	random_target(w, target);
	q.uid = (uint32_t)rng_below(&w->rng, 3);
	q.gid = (uint32_t)rng_below(&w->rng, 3);
	q.rdev = (uint32_t)rng_next(&w->rng);
	model_trace(w, "create in", dir, q.mode, len);
	if (w->nr_nodes < NODES_MAX &&
		model_result(w, "create", ddfs_create(ip, name, len, &q, &e, open ? &opened : NULL),
			want, 600)) {
		model_add(dir, name, len, node_made(w, dir, &q, &e.attr));
		if (opened) {
			ddfs_release(opened);
			ddfs_inode_put(opened);
		}
	}
	ddfs_inode_put(ip);
}

void model_op_link(struct world *w)
{
	struct mnode *n = model_any(w), *dir = model_any_dir(w);
	struct ddfs_inode *ip = model_get(w, n), *dp = model_get(w, dir);
	struct ddfs_entry e;
	char name[256];
	size_t len = any_name(w, name);
	int want = model_is_dir(n)		? -EPERM
		   : model_find(dir, name, len) ? -EEXIST
		   : !n->nlink			? -ENOENT
						: 0;

	if (model_result(w, "link", ddfs_link(ip, dp, name, len, &e), want, 8)) {
		n->nlink++;
		model_add(dir, name, len, n);
		ck_assert_uint_eq(e.attr.nlink, n->nlink);
	}
	ddfs_inode_put(ip);
	ddfs_inode_put(dp);
}

void model_op_lookup(struct world *w)
{
	struct mnode *dir = model_any_dir(w);
	struct ddfs_inode *dp = model_get(w, dir);
	struct ddfs_entry entry;
	char name[256];
	size_t len = some_name(w, dir, name);
	const struct mentry *e = model_find(dir, name, len);

	if (model_result(w, "lookup", ddfs_lookup(dp, name, len, &entry), e ? 0 : -ENOENT, 0))
		ck_assert_uint_eq(entry.attr.id, e->node->id);
	ck_assert_int_eq(ddfs_lookup_parent(dp, &entry), 0);
	ck_assert_uint_eq(entry.attr.id, dir->parent->id);
	ddfs_inode_put(dp);
}

void model_settle(struct world *w, struct mnode *n)
{
	struct ddfs_inode *ip;
	struct ddfs_attr a;
	int err;

	if (n->nlink || n->opens)
		return;
	err = ddfs_inode_get(w->fs, n->id, &ip);
	if (w->opt.kernel_refs) {
		ck_assert_int_eq(err, 0);
		ddfs_getattr(ip, &a);
		ck_assert_uint_eq(a.nlink, 0);
		ddfs_inode_put(ip);
		if (w->nr_dead == sizeof(w->dead) / sizeof(w->dead[0]))
			model_op_forget(w);
		w->dead[w->nr_dead++] = n->id;
	} else {
		ck_assert_int_eq(err, -ESTALE);
	}
	model_node_delete(w, n);
}

static void drop(struct world *w, struct mnode *dir, struct mentry *e)
{
	struct mnode *n = e->node;

	model_del(dir, e);
	if (model_is_dir(n)) {
		n->nlink = 0;
		dir->nlink--;
	} else {
		n->nlink--;
	}
	model_settle(w, n);
}

static void remove_one(struct world *w, bool rmdir)
{
	struct mnode *dir = model_any_dir(w);
	struct ddfs_inode *dp = model_get(w, dir);
	char name[256];
	size_t len = some_name(w, dir, name);
	struct mentry *e = model_find(dir, name, len);
	int want = !e						  ? -ENOENT
		   : rmdir && !model_is_dir(e->node)		  ? -ENOTDIR
		   : !rmdir && model_is_dir(e->node)		  ? -EISDIR
		   : model_is_dir(e->node) && e->node->nr_entries ? -ENOTEMPTY
								  : 0;
	int got;

	model_trace(w, "remove from", dir, len, rmdir);
	if (e)
		model_trace(w, "remove of", e->node, e->node->mode, e->node->nlink);
	got = rmdir ? ddfs_rmdir(dp, name, len) : ddfs_unlink(dp, name, len);

	ddfs_inode_put(dp);
	if (model_result(w, rmdir ? "rmdir" : "unlink", got, want, 0))
		drop(w, dir, e);
}

void model_op_unlink(struct world *w)
{
	remove_one(w, false);
}

void model_op_rmdir(struct world *w)
{
	remove_one(w, true);
}

/* ---- rename --------------------------------------------------------------------------------- */

struct ends {
	struct mnode *odir, *ndir;
	struct mentry *from, *to;
};

static int rename_error(const struct ends *s, unsigned int flags)
{
	const struct mnode *a, *b;

	if (!s->from)
		return -ENOENT;
	a = s->from->node;
	b = s->to ? s->to->node : NULL;
	if (model_is_dir(a) && s->odir != s->ndir && model_is_above(a, s->ndir))
		return -EINVAL;
	if (b && model_is_dir(b) && s->odir != s->ndir && model_is_above(b, s->odir))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (flags & RENAME_EXCHANGE)
		return b ? 0 : -ENOENT;
	if (flags & RENAME_NOREPLACE && b)
		return -EEXIST;
	if (!b || a == b)
		return 0;
	if (model_is_dir(a) != model_is_dir(b))
		return model_is_dir(a) ? -ENOTDIR : -EISDIR;
	return b->nr_entries ? -ENOTEMPTY : 0;
}

static void reparent(struct mnode *n, struct mnode *from, struct mnode *to)
{
	if (!model_is_dir(n))
		return;
	n->parent = to;
	from->nlink--;
	to->nlink++;
}

static void rename_apply(
	struct world *w, struct ends *s, const char *nname, size_t nlen, unsigned int flags)
{
	struct mnode *a = s->from->node, *b = s->to ? s->to->node : NULL;
	char oname[256];
	size_t olen = s->from->len;

	if (a == b)
		return;
	memcpy(oname, s->from->name, olen);
	reparent(a, s->odir, s->ndir);
	if (flags & RENAME_EXCHANGE) {
		reparent(b, s->ndir, s->odir);
		s->from->node = b;
		s->to->node = a;
		return;
	}
	if (b)
		drop(w, s->ndir, s->to);
	model_del(s->odir, model_find(s->odir, oname, olen));
	model_add(s->ndir, nname, nlen, a);
}

void model_op_rename(struct world *w)
{
	static const unsigned int all_flags[] = { 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	unsigned int flags = all_flags[rng_below(&w->rng, 5)];
	struct ends s = { .odir = model_any_dir(w), .ndir = model_any_dir(w) };
	struct ddfs_inode *op = model_get(w, s.odir), *np = model_get(w, s.ndir);
	char oname[256], nname[256];
	size_t olen = some_name(w, s.odir, oname), nlen = some_name(w, s.ndir, nname);
	int want, got;

	s.from = model_find(s.odir, oname, olen);
	s.to = model_find(s.ndir, nname, nlen);
	want = rename_error(&s, flags);
	model_trace(w, "rename from", s.odir, olen, flags);
	model_trace(w, "rename to", s.ndir, nlen, flags);
	if (s.from)
		model_trace(
			w, "rename of", s.from->node, s.from->node->mode, s.from->node->nr_entries);
	if (s.to)
		model_trace(w, "rename over", s.to->node, s.to->node->mode, s.to->node->nr_entries);
	got = ddfs_rename(op, oname, olen, np, nname, nlen, flags);
	ddfs_inode_put(op);
	ddfs_inode_put(np);
	if (model_result(w, "rename", got, want, 8))
		rename_apply(w, &s, nname, nlen, flags);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void remove_below(struct world *w, struct mnode *dir)
{
	struct ddfs_inode *dp = model_get(w, dir);

	while (dir->nr_entries) {
		struct mentry *e = &dir->entry[dir->nr_entries - 1];
		bool is_dir = model_is_dir(e->node);

		if (is_dir)
			remove_below(w, e->node);
		e = &dir->entry[dir->nr_entries - 1];
		ck_assert_int_eq(
			is_dir ? ddfs_rmdir(dp, e->name, e->len) : ddfs_unlink(dp, e->name, e->len),
			0);
		drop(w, dir, e);
	}
	ddfs_inode_put(dp);
}

void model_remove_all(struct world *w)
{
	struct ddfs_inode *root = model_get(w, w->node[0]);

	remove_below(w, w->node[0]);
	for (unsigned int i = 0; i < MODEL_XATTRS; i++) {
		struct mxattr *x = &w->node[0]->xattr[i];

		if (!x->value)
			continue;
		ck_assert_int_eq(ddfs_removexattr(root, x->name), 0);
		free(x->value);
		x->value = NULL;
	}
	ddfs_inode_put(root);
}
