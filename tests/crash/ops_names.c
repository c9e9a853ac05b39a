/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations that make, move and remove names. */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/world.h"

#define UMASK  022u
#define RDEV   0x12345u
#define FROZEN (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND)

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- making --------------------------------------------------------------------------------- */

static uint32_t mode_of(const struct crash_op *op)
{
	static const struct {
		const char *word;
		uint32_t mode;
	} modes[] = { { "fifo", S_IFIFO | 0666 }, { "chr", S_IFCHR | 0660 },
		{ "blk", S_IFBLK | 0660 }, { "sock", S_IFSOCK | 0777 }, { "mkdir", S_IFDIR | 0777 },
		{ "symlink", S_IFLNK | 0777 } };

	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(op->word, modes[i].word) == 0 ||
			strcmp(op->kind->name, modes[i].word) == 0)
			return modes[i].mode;
	return S_IFREG | 0666;
}

static char *target_of(const struct crash_op *op)
{
	char *s = calloc(1, op->n[0] + 1);

	for (uint64_t i = 0; i < op->n[0]; i++)
		s[i] = (char)('a' + (op->nr * 7 + i) % 26);
	return s;
}

static int64_t call_create(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	bool opens = strcmp(op->word, "open") == 0;
	char *target = target_of(op);
	struct ddfs_new n = { .mode = mode_of(op), .umask = UMASK, .rdev = RDEV, .target = target };
	struct ddfs_inode *dir, *opened = NULL;
	struct ddfs_entry e;
	const char *name;
	int err = world_get_parent(w, fs, op->path, &dir, &name);

	if (!err) {
		err = ddfs_create(dir, name, strlen(name), &n, &e, opens ? &opened : NULL);
		ddfs_inode_put(dir);
	}
	if (opened) {
		ddfs_release(opened);
		ddfs_inode_put(opened);
	}
	free(target);
	return err;
}

static struct snap_node *node_made(const struct snap_node *dir, const struct crash_op *op)
{
	struct snap_node *n = snap_node_new(mode_of(op));

	n->nlink = S_ISDIR(n->mode) ? 2 : 1;
	if (dir->mode & S_ISGID) {
		n->gid = dir->gid;
		n->mode |= S_ISDIR(n->mode) ? S_ISGID : 0;
	}
	if (S_ISREG(n->mode) || S_ISDIR(n->mode))
		n->flags = dir->flags & (DDFS_FLAG_DAX | DDFS_FLAG_NOATIME);
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode))
		n->rdev = RDEV;
	if (S_ISLNK(n->mode)) {
		n->target = target_of(op);
		n->size = strlen(n->target);
	}
	world_acl_inherit(dir, n, UMASK);
	return n;
}

static int check_create(
	const struct crash_world *w, const struct crash_op *op, const struct snap_node *dir)
{
	if (strlen(last_of(op->path)) > DDFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (snap_find(w->model, op->path))
		return -EEXIST;
	return dir->flags & DDFS_FLAG_IMMUTABLE ? -EPERM : 0;
}

static int64_t model_create(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *dir, *n;
	char *path;
	int err = world_find_parent(w, op->path, &dir, &path);

	if (err)
		return err;
	free(path);
	err = check_create(w, op, dir);
	if (err)
		return err;
	n = node_made(dir, op);
	dir->nlink += S_ISDIR(n->mode);
	world_touch(dir, true);
	snap_add(w->model, op->path, n);
	snap_node_put(n);
	return 0;
}

static int64_t call_link(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *ip, *dir;
	const char *name;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	err = world_get_parent(w, fs, op->to, &dir, &name);
	if (!err) {
		err = ddfs_link(ip, dir, name, strlen(name), NULL);
		ddfs_inode_put(dir);
	}
	ddfs_inode_put(ip);
	return err;
}

static int64_t model_link(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n, *dir;
	char *path;
	int err = world_find(w, op->path, &n);

	if (!err)
		err = world_find_parent(w, op->to, &dir, &path);
	if (err)
		return err;
	free(path);
	if (S_ISDIR(n->mode))
		return -EPERM;
	if (snap_find(w->model, op->to))
		return -EEXIST;
	if (!n->nlink)
		return -ENOENT;
	if (dir->flags & DDFS_FLAG_IMMUTABLE || n->flags & FROZEN)
		return -EPERM;
	n->nlink++;
	world_touch(n, false);
	world_touch(dir, true);
	snap_add(w->model, op->to, n);
	return 0;
}

/* ---- removing ------------------------------------------------------------------------------- */

static int64_t remove_path(struct crash_world *w, struct ddfs_fs *fs, const char *path, bool rmdir)
{
	struct ddfs_inode *dir;
	const char *name;
	int err = world_get_parent(w, fs, path, &dir, &name);

	if (err)
		return err;
	err = rmdir ? ddfs_rmdir(dir, name, strlen(name)) : ddfs_unlink(dir, name, strlen(name));
	ddfs_inode_put(dir);
	return err;
}

static int64_t call_unlink(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	return remove_path(w, fs, op->path, false);
}

static int64_t call_rmdir(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	return remove_path(w, fs, op->path, true);
}

static int check_remove(const struct crash_world *w, const char *path, const struct snap_node *dir,
	const struct snap_node *n, bool rmdir)
{
	if ((dir->flags | n->flags) & FROZEN)
		return -EPERM;
	if (rmdir != S_ISDIR(n->mode))
		return rmdir ? -ENOTDIR : -EISDIR;
	return rmdir && !snap_dir_is_empty(w->model, path) ? -ENOTEMPTY : 0;
}

/* A name of n in dir goes. */
static void drop(
	struct crash_world *w, const char *path, struct snap_node *dir, struct snap_node *n)
{
	world_touch(n, false);
	if (S_ISDIR(n->mode))
		dir->nlink--;
	n->nlink -= S_ISDIR(n->mode) ? 2 : 1;
	snap_remove(w->model, path);
}

static int64_t model_remove(struct crash_world *w, const char *of, bool rmdir)
{
	struct snap_node *dir, *n;
	char *path;
	int err = world_find_parent(w, of, &dir, &path);

	if (err)
		return err;
	free(path);
	n = snap_find(w->model, of);
	err = n ? check_remove(w, of, dir, n, rmdir) : -ENOENT;
	if (err)
		return err;
	world_touch(dir, true);
	drop(w, of, dir, n);
	return 0;
}

static int64_t model_unlink(struct crash_world *w, const struct crash_op *op)
{
	return model_remove(w, op->path, false);
}

static int64_t model_rmdir(struct crash_world *w, const struct crash_op *op)
{
	return model_remove(w, op->path, true);
}

/* ---- renaming ------------------------------------------------------------------------------- */

static unsigned int rename_flags(const struct crash_op *op)
{
	if (strcmp(op->kind->name, "exchange") == 0)
		return RENAME_EXCHANGE;
	return strcmp(op->word, "noreplace") == 0 ? RENAME_NOREPLACE : 0;
}

static int64_t call_rename(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *from, *to;
	const char *oname, *nname;
	int err = world_get_parent(w, fs, op->path, &from, &oname);

	if (err)
		return err;
	err = world_get_parent(w, fs, op->to, &to, &nname);
	if (!err) {
		err = ddfs_rename(
			from, oname, strlen(oname), to, nname, strlen(nname), rename_flags(op));
		ddfs_inode_put(to);
	}
	ddfs_inode_put(from);
	return err;
}

/* Both ends: paths of the directories, and what is there. */
struct ends {
	char *opath, *npath;
	struct snap_node *odir, *ndir, *a, *b;
};

static int find_ends(struct crash_world *w, const struct crash_op *op, struct ends *e)
{
	int err = world_find_parent(w, op->path, &e->odir, &e->opath);

	if (err)
		return err;
	err = world_find_parent(w, op->to, &e->ndir, &e->npath);
	if (err) {
		free(e->opath);
		return err;
	}
	e->a = snap_find(w->model, op->path);
	e->b = snap_find(w->model, op->to);
	return 0;
}

static bool is_in(const char *dir, const char *path)
{
	size_t n = strlen(path);

	return strncmp(dir, path, n) == 0 && (!dir[n] || dir[n] == '/');
}

static int check_loops(const struct crash_op *op, const struct ends *e, unsigned int flags)
{
	if (e->odir == e->ndir)
		return 0;
	if (S_ISDIR(e->a->mode) && is_in(e->npath, op->path))
		return -EINVAL;
	if (e->b && S_ISDIR(e->b->mode) && is_in(e->opath, op->to))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int check_rename(const struct crash_world *w, const struct crash_op *op,
	const struct ends *e, unsigned int flags)
{
	int err = e->a ? check_loops(op, e, flags) : -ENOENT;

	if (err)
		return err;
	if (flags & RENAME_EXCHANGE && !e->b)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && e->b)
		return -EEXIST;
	if ((e->odir->flags | e->a->flags) & FROZEN)
		return -EPERM;
	if (e->b ? (e->ndir->flags | e->b->flags) & FROZEN : e->ndir->flags & DDFS_FLAG_IMMUTABLE)
		return -EPERM;
	if (!e->b || e->a == e->b || flags & RENAME_EXCHANGE)
		return 0;
	if (S_ISDIR(e->a->mode) != S_ISDIR(e->b->mode))
		return S_ISDIR(e->a->mode) ? -ENOTDIR : -EISDIR;
	return S_ISDIR(e->b->mode) && !snap_dir_is_empty(w->model, op->to) ? -ENOTEMPTY : 0;
}

static void apply_rename(
	struct crash_world *w, const struct crash_op *op, struct ends *e, unsigned int flags)
{
	if (flags & RENAME_EXCHANGE) {
		e->odir->nlink += S_ISDIR(e->b->mode);
		e->odir->nlink -= S_ISDIR(e->a->mode);
		e->ndir->nlink += S_ISDIR(e->a->mode);
		e->ndir->nlink -= S_ISDIR(e->b->mode);
		world_touch(e->b, false);
		snap_move(w->model, op->path, "\n");
		snap_move(w->model, op->to, op->path);
		snap_move(w->model, "\n", op->to);
	} else {
		if (e->b)
			drop(w, op->to, e->ndir, e->b);
		e->odir->nlink -= S_ISDIR(e->a->mode);
		e->ndir->nlink += S_ISDIR(e->a->mode);
		snap_move(w->model, op->path, op->to);
	}
	world_touch(e->a, false);
	world_touch(e->odir, true);
	world_touch(e->ndir, true);
}

static int64_t model_rename(struct crash_world *w, const struct crash_op *op)
{
	unsigned int flags = rename_flags(op);
	struct ends e;
	int err = find_ends(w, op, &e);

	if (err)
		return err;
	err = strlen(last_of(op->to)) > DDFS_NAME_MAX ? -ENAMETOOLONG
						      : check_rename(w, op, &e, flags);
	if (!err && e.a != e.b)
		apply_rename(w, op, &e, flags);
	free(e.opath);
	free(e.npath);
	return err;
}

/* ---- many names ----------------------------------------------------------------------------- */

/* "many d 0 60 200": d/000___... to d/059___... */
static char *numbered(const struct crash_op *op, uint64_t i)
{
	size_t len = strlen(op->path);
	char *path = malloc(len + DDFS_NAME_MAX + 8);
	int n = sprintf(path, "%s%s%03llu", op->path, len ? "/" : "", (unsigned long long)i);

	while ((size_t)n < len + !!len + op->n[2])
		path[n++] = '_';
	path[n] = 0;
	return path;
}

static int64_t each(
	struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op, const char *kind)
{
	char text[DDFS_NAME_MAX + 64];
	int64_t err = 0;

	for (uint64_t i = op->n[0]; i < op->n[1] && !err; i++) {
		char *path = numbered(op, i);
		struct crash_op one;

		snprintf(text, sizeof(text), "%s %s", kind, path);
		if (op_parse(text, op->nr, &one))
			abort();
		err = fs ? one.kind->call(w, fs, &one) : one.kind->model(w, &one);
		op_fini(&one);
		free(path);
	}
	return err;
}

static int64_t call_many(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	return each(w, fs, op, "create");
}

static int64_t model_many(struct crash_world *w, const struct crash_op *op)
{
	return each(w, NULL, op, "create");
}

static int64_t call_fewer(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	return each(w, fs, op, "unlink");
}

static int64_t model_fewer(struct crash_world *w, const struct crash_op *op)
{
	return each(w, NULL, op, "unlink");
}

const struct op_kind op_kinds_names[] = {
	{ "create", "pW", JUDGE_WHOLE, OP_TAKES_SPACE, call_create, model_create },
	{ "mkdir", "p", JUDGE_WHOLE, OP_TAKES_SPACE, call_create, model_create },
	{ "mknod", "pw", JUDGE_WHOLE, OP_TAKES_SPACE, call_create, model_create },
	{ "symlink", "pn", JUDGE_WHOLE, OP_TAKES_SPACE, call_create, model_create },
	{ "link", "pq", JUDGE_WHOLE, OP_TAKES_SPACE, call_link, model_link },
	{ "unlink", "p", JUDGE_WHOLE, 0, call_unlink, model_unlink },
	{ "rmdir", "p", JUDGE_WHOLE, 0, call_rmdir, model_rmdir },
	{ "rename", "pqW", JUDGE_WHOLE, OP_TAKES_SPACE, call_rename, model_rename },
	{ "exchange", "pq", JUDGE_WHOLE, 0, call_rename, model_rename },
	{ "many", "pnnn", JUDGE_WHOLE, OP_PREPARES, call_many, model_many },
	{ "fewer", "pnnn", JUDGE_WHOLE, OP_PREPARES, call_fewer, model_fewer },
	{ 0 },
};
