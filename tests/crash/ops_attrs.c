/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on attributes, size among them, and on extended ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/crash/world.h"

#define FROZEN	(DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND)
#define SETS_ID (DDFS_SET_UID | DDFS_SET_GID)
#define NOW	(DDFS_SET_ATIME_NOW | DDFS_SET_MTIME_NOW)

/* ---- setattr -------------------------------------------------------------------------------- */

static bool is(const struct crash_op *op, const char *name)
{
	return strcmp(op->kind->name, name) == 0;
}

static void set_time(struct timespec *t, uint64_t sec, unsigned int bit, unsigned int *mask)
{
	if (!sec)
		return;
	t->tv_sec = (time_t)sec;
	t->tv_nsec = 123456789;
	*mask |= bit;
}

/* What the operation asks for: the one of "setattr a SIZE MODE UID GID MTIME" is all at once. */
static unsigned int setattr_of(const struct crash_op *op, struct ddfs_attr *a)
{
	unsigned int mask = 0;

	*a = (struct ddfs_attr){ 0 };
	if (is(op, "chmod") || is(op, "setattr")) {
		a->mode = (uint32_t)op->n[is(op, "setattr")];
		mask |= DDFS_SET_MODE;
	}
	if (is(op, "chown") || is(op, "setattr")) {
		a->uid = (uint32_t)op->n[is(op, "setattr") ? 2 : 0];
		a->gid = (uint32_t)op->n[is(op, "setattr") ? 3 : 1];
		mask |= SETS_ID;
	}
	if (is(op, "truncate") || is(op, "setattr")) {
		a->size = op->n[0];
		mask |= DDFS_SET_SIZE | (strcmp(op->word, "kill") == 0 ? DDFS_SET_KILL_PRIV : 0);
	}
	if (is(op, "setattr"))
		set_time(&a->mtime, op->n[4], DDFS_SET_MTIME, &mask);
	if (is(op, "touch"))
		mask |= NOW;
	if (is(op, "utimes")) {
		set_time(&a->atime, op->n[0], DDFS_SET_ATIME, &mask);
		set_time(&a->mtime, op->n[1], DDFS_SET_MTIME, &mask);
		set_time(&a->ctime, op->n[2], DDFS_SET_CTIME, &mask);
	}
	return mask;
}

static int64_t call_setattr(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *ip;
	struct ddfs_attr a, out;
	unsigned int mask = setattr_of(op, &a);
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	err = ddfs_setattr(ip, &a, mask, &out, NULL);
	ddfs_inode_put(ip);
	return err;
}

static int check_setattr(const struct crash_world *w, const struct snap_node *n,
	const struct ddfs_attr *a, unsigned int mask)
{
	int err = mask & DDFS_SET_SIZE ? world_check_file(n) : 0;

	if (n->flags & DDFS_FLAG_IMMUTABLE || (n->flags & DDFS_FLAG_APPEND && mask & ~NOW))
		return -EPERM;
	if (!err && mask & DDFS_SET_SIZE && a->size < n->size &&
		world_is_pinned(w, n, (a->size + SNAP_BLOCK - 1) / SNAP_BLOCK, UINT64_MAX))
		err = -EBUSY;
	return err;
}

static void apply_owner(struct snap_node *n, const struct ddfs_attr *a)
{
	n->uid = a->uid;
	n->gid = a->gid;
	if (!S_ISDIR(n->mode))
		world_kill_priv(n);
}

static void apply_times(struct snap_node *n, const struct ddfs_attr *a, unsigned int mask)
{
	if (mask & (DDFS_SET_ATIME | DDFS_SET_ATIME_NOW))
		n->time[SNAP_ATIME] = mask & DDFS_SET_ATIME ? a->atime.tv_sec : 0;
	if (mask & (DDFS_SET_MTIME | DDFS_SET_MTIME_NOW | DDFS_SET_SIZE))
		n->time[SNAP_MTIME] = mask & DDFS_SET_MTIME ? a->mtime.tv_sec : 0;
	n->time[SNAP_CTIME] = mask & DDFS_SET_CTIME ? a->ctime.tv_sec : 0;
}

static void apply_setattr(struct snap_node *n, const struct ddfs_attr *a, unsigned int mask)
{
	if (mask & SETS_ID)
		apply_owner(n, a);
	if (mask & DDFS_SET_KILL_PRIV)
		world_kill_priv(n);
	if (mask & DDFS_SET_MODE) {
		n->mode = (n->mode & S_IFMT) | (a->mode & 07777);
		world_acl_chmod(n);
	}
	if (mask & DDFS_SET_SIZE)
		snap_node_truncate(n, a->size);
	apply_times(n, a, mask);
}

static int64_t model_setattr(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n;
	struct ddfs_attr a;
	unsigned int mask = setattr_of(op, &a);
	int err = world_find(w, op->path, &n);

	if (!err)
		err = check_setattr(w, n, &a, mask);
	if (!err)
		apply_setattr(n, &a, mask);
	return err;
}

/* ---- flags ---------------------------------------------------------------------------------- */

/* Of chattr(1): i, a, A, x; "-" none. */
static uint32_t flags_of(const struct crash_op *op)
{
	return (strchr(op->word, 'i') ? DDFS_FLAG_IMMUTABLE : 0) |
	       (strchr(op->word, 'a') ? DDFS_FLAG_APPEND : 0) |
	       (strchr(op->word, 'A') ? DDFS_FLAG_NOATIME : 0) |
	       (strchr(op->word, 'x') ? DDFS_FLAG_DAX : 0);
}

static int64_t call_chattr(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *ip;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	err = ddfs_set_flags(ip, flags_of(op));
	ddfs_inode_put(ip);
	return err;
}

static int64_t model_chattr(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n;
	int err = world_find(w, op->path, &n);

	if (err)
		return err;
	if (!S_ISREG(n->mode) && !S_ISDIR(n->mode))
		return -EOPNOTSUPP;
	n->flags = flags_of(op);
	world_touch(n, false);
	return 0;
}

/* ---- xattrs --------------------------------------------------------------------------------- */

static int xattr_flags(const struct crash_op *op)
{
	/* "user.x=create": the word is name and flag. */
	const char *flag = strchr(op->word, '=');

	if (!flag)
		return 0;
	return strcmp(flag, "=create") == 0 ? XATTR_CREATE : XATTR_REPLACE;
}

static char *xattr_name(const struct crash_op *op)
{
	return strndup(op->word, strcspn(op->word, "="));
}

static int64_t call_setxattr(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *ip;
	uint8_t *value;
	char *name;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	value = malloc(op->n[0] + 1);
	name = xattr_name(op);
	op_pattern(op, 0, value, op->n[0]);
	err = ddfs_setxattr(ip, name, value, op->n[0], xattr_flags(op), false);
	free(name);
	free(value);
	ddfs_inode_put(ip);
	return err;
}

static int check_setxattr(const struct snap_node *n, const char *name, const struct crash_op *op)
{
	bool has = snap_node_xattr(n, name);

	if (op->n[0] > DDFS_XATTR_SIZE_MAX)
		return -E2BIG;
	if (n->flags & FROZEN)
		return -EPERM;
	if (xattr_flags(op) == XATTR_CREATE && has)
		return -EEXIST;
	return xattr_flags(op) == XATTR_REPLACE && !has ? -ENODATA : 0;
}

static int64_t model_setxattr(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n;
	uint8_t *value;
	char *name;
	int err = world_find(w, op->path, &n);

	if (err)
		return err;
	name = xattr_name(op);
	err = check_setxattr(n, name, op);
	if (!err) {
		value = malloc(op->n[0] + 1);
		op_pattern(op, 0, value, op->n[0]);
		snap_node_set_xattr(n, name, value, op->n[0]);
		free(value);
		world_touch(n, false);
	}
	free(name);
	return err;
}

static int64_t call_removexattr(
	struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *ip;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	err = ddfs_removexattr(ip, op->word);
	ddfs_inode_put(ip);
	return err;
}

static int64_t model_removexattr(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n;
	int err = world_find(w, op->path, &n);

	if (err)
		return err;
	if (n->flags & FROZEN)
		return -EPERM;
	if (!snap_node_remove_xattr(n, op->word) && strncmp(op->word, "system.", 7) != 0)
		return -ENODATA;
	world_touch(n, false);
	return 0;
}

/* acl a access|default PERMS */
static const char *acl_name(const struct crash_op *op)
{
	return strcmp(op->word, "default") == 0 ? WORLD_ACL_DEFAULT : WORLD_ACL_ACCESS;
}

static int64_t call_acl(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	uint8_t value[WORLD_ACL_BYTES];
	struct ddfs_inode *ip;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	world_acl_make((uint32_t)op->n[0], value);
	err = ddfs_setxattr(ip, acl_name(op), value, sizeof(value), 0, false);
	ddfs_inode_put(ip);
	return err;
}

static int64_t model_acl(struct crash_world *w, const struct crash_op *op)
{
	bool is_default = strcmp(op->word, "default") == 0;
	uint8_t value[WORLD_ACL_BYTES];
	struct snap_node *n;
	int err = world_find(w, op->path, &n);

	if (!err && n->flags & FROZEN)
		err = -EPERM;
	if (!err && is_default && !S_ISDIR(n->mode))
		err = -EACCES;
	if (err)
		return err;
	world_acl_make((uint32_t)op->n[0], value);
	snap_node_set_xattr(n, acl_name(op), value, sizeof(value));
	if (!is_default)
		n->mode = (n->mode & ~0777u) | ((uint32_t)op->n[0] & 0777);
	world_touch(n, false);
	return 0;
}

const struct op_kind op_kinds_attrs[] = {
	{ "truncate", "pnW", JUDGE_WHOLE, OP_TAKES_SPACE, call_setattr, model_setattr },
	{ "chmod", "po", JUDGE_WHOLE, 0, call_setattr, model_setattr },
	{ "chown", "pnn", JUDGE_WHOLE, 0, call_setattr, model_setattr },
	{ "utimes", "pnnn", JUDGE_WHOLE, OP_SETS_TIMES, call_setattr, model_setattr },
	{ "touch", "p", JUDGE_WHOLE, 0, call_setattr, model_setattr },
	{ "setattr", "pnonnn", JUDGE_WHOLE, OP_TAKES_SPACE | OP_SETS_TIMES, call_setattr,
		model_setattr },
	{ "chattr", "pw", JUDGE_WHOLE, 0, call_chattr, model_chattr },
	{ "setxattr", "pwn", JUDGE_WHOLE, OP_TAKES_SPACE, call_setxattr, model_setxattr },
	{ "removexattr", "pw", JUDGE_WHOLE, OP_TAKES_SPACE, call_removexattr, model_removexattr },
	{ "acl", "pwo", JUDGE_WHOLE, OP_TAKES_SPACE, call_acl, model_acl },
	{ 0 },
};
