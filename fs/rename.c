/* SPDX-License-Identifier: BSD-3-Clause */
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/dir.h"
#include "fs/namei.h"
#include "fs/tx.h"

/* Parents followed before a loop on media is suspected. */
#define DEPTH_MAX 100000

/* One end of a rename. */
struct end {
	struct ddfs_inode *dir;
	const char *name;
	size_t len;
	struct ddfs_inode *ip; /* what the name leads to; NULL: nothing */
	bool is_dir;
};

static bool type_is_dir(const struct ddfs_inode *ip)
{
	return S_ISDIR(ip->type);
}

static DDFS_GUARD_STEP int parent_of(const struct ddfs_inode *dir, uint32_t *parent)
{
	*parent = ddfs_le32(ddfs_inode_view(dir, NULL)->parent);
	return dir->dead ? -ENOENT : 0;
}

/* Whether dir is ip or lies below it. Called with rename_lock: no parent changes. */
static int is_below(struct ddfs_inode *dir, const struct ddfs_inode *ip, bool *below)
{
	struct ddfs_inode *at = dir;

	*below = dir == ip;
	ddfs_inode_hold(at);
	for (unsigned int depth = 0; !*below && at->ino != DDFS_INO_ROOT; depth++) {
		uint32_t parent;
		int err =
			depth > DEPTH_MAX ? -ELOOP : DDFS_GUARDED(dir->fs, parent_of(at, &parent));

		ddfs_inode_put(at);
		if (!err)
			err = ddfs_inode_get_ino(dir->fs, parent, &at);
		if (err)
			return err;
		*below = at == ip;
	}
	ddfs_inode_put(at);
	return 0;
}

static int get_end(struct ddfs_op *op, struct end *e)
{
	int err = ddfs_child_get(op, e->dir, e->name, e->len, &e->ip);

	if (err)
		return err == -ENOENT && !e->dir->dead ? 0 : err;
	e->is_dir = type_is_dir(e->ip);
	return 0;
}

/* Both directories (with rename_lock if they are two): the one above first, else by number. */
static int lock_dirs(struct ddfs_op *op, struct ddfs_inode *a, struct ddfs_inode *b)
{
	bool below;
	int err;

	if (a == b) {
		ddfs_op_lock(op, a, true);
		return 0;
	}
	err = is_below(a, b, &below);
	if (err)
		return err;
	if (below) {
		ddfs_op_lock(op, b, true);
		ddfs_op_lock(op, a, true);
		return 0;
	}
	err = is_below(b, a, &below);
	if (err)
		return err;
	if (!below) {
		ddfs_op_lock_two(op, a, b);
		return 0;
	}
	ddfs_op_lock(op, a, true);
	ddfs_op_lock(op, b, true);
	return 0;
}

/* The inodes that move or go. A directory that is also one of the parents has its lock. */
static void lock_ends(struct ddfs_op *op, const struct end *from, const struct end *to)
{
	struct ddfs_inode *a = from->ip, *b = to->ip;

	if (a == to->dir || a == from->dir)
		a = NULL;
	if (b && (b == from->dir || b == to->dir))
		b = NULL;
	if (a && b && from->is_dir != to->is_dir) {
		ddfs_op_lock(op, from->is_dir ? a : b, true);
		ddfs_op_lock(op, from->is_dir ? b : a, true);
	} else if (a && b) {
		ddfs_op_lock_two(op, a, b);
	} else if (a || b) {
		ddfs_op_lock(op, a ? a : b, true);
	}
}

static int check_move(const struct end *from, const struct end *to, unsigned int flags)
{
	bool below;
	int err;

	if (from->dir != to->dir && from->is_dir) {
		err = is_below(to->dir, from->ip, &below);
		if (err || below)
			return err ? err : -EINVAL;
	}
	if (from->dir != to->dir && to->ip && to->is_dir) {
		err = is_below(from->dir, to->ip, &below);
		if (err || below)
			return err ? err : flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	}
	return 0;
}

static int check(const struct end *from, const struct end *to, unsigned int flags)
{
	int err;

	if (flags & RENAME_EXCHANGE && !to->ip)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && to->ip)
		return -EEXIST;
	err = ddfs_may_remove(from->dir, from->ip);
	if (!err)
		err = to->ip ? ddfs_may_remove(to->dir, to->ip) : ddfs_may_add(to->dir);
	if (err || flags & RENAME_EXCHANGE || !to->ip || from->ip == to->ip)
		return err;
	if (from->is_dir && !to->is_dir)
		return -ENOTDIR;
	if (!from->is_dir && to->is_dir)
		return -EISDIR;
	if (to->is_dir && ddfs_le64(ddfs_inode_view(to->ip, NULL)->body.root))
		return -ENOTEMPTY;
	return 0;
}

static void move_parent(struct ddfs_tx *tx, const struct end *e, struct ddfs_inode *new_dir,
	struct ddfs_inode_disk *old, struct ddfs_inode_disk *new)
{
	if (!e->is_dir || old == new)
		return;
	ddfs_inode_edit(tx, e->ip)->parent = ddfs_to32(new_dir->ino);
	ddfs_links_add(old, -1);
	ddfs_links_add(new, 1);
}

static int exchange(struct ddfs_op *op, const struct end *from, const struct end *to)
{
	struct ddfs_inode_disk *odi = ddfs_inode_edit(op->tx, from->dir);
	struct ddfs_inode_disk *ndi = ddfs_inode_edit(op->tx, to->dir);
	struct ddfs_inode_disk *a = ddfs_inode_edit(op->tx, from->ip);
	struct ddfs_inode_disk *b = ddfs_inode_edit(op->tx, to->ip);
	int err = ddfs_dir_replace(
		op->tx, odi, from->name, from->len, to->ip->ino, ddfs_le16(b->mode));

	if (!err)
		err = ddfs_dir_replace(
			op->tx, ndi, to->name, to->len, from->ip->ino, ddfs_le16(a->mode));
	ddfs_touch(a, false);
	ddfs_touch(b, false);
	move_parent(op->tx, from, to->dir, odi, ndi);
	move_parent(op->tx, to, from->dir, ndi, odi);
	return err;
}

static int move(
	struct ddfs_op *op, const struct end *from, const struct end *to, struct ddfs_fate *fate)
{
	struct ddfs_inode_disk *odi = ddfs_inode_edit(op->tx, from->dir);
	struct ddfs_inode_disk *ndi = ddfs_inode_edit(op->tx, to->dir);
	struct ddfs_inode_disk *a = ddfs_inode_edit(op->tx, from->ip);
	int err = ddfs_dir_remove(op->tx, odi, from->name, from->len);

	if (err)
		return err;
	ddfs_touch(a, false);
	move_parent(op->tx, from, to->dir, odi, ndi);
	if (!to->ip)
		return ddfs_dir_insert(
			op->tx, ndi, to->name, to->len, from->ip->ino, ddfs_le16(a->mode));
	err = ddfs_dir_replace(op->tx, ndi, to->name, to->len, from->ip->ino, ddfs_le16(a->mode));
	if (err)
		return err;
	if (to->is_dir)
		ddfs_links_add(ndi, -1);
	return ddfs_link_drop(
		op, to->ip, ddfs_inode_edit(op->tx, to->ip), to->is_dir ? 2 : 1, fate);
}

static DDFS_GUARD_STEP int rename_locked(struct ddfs_op *op, struct end *from, struct end *to,
	unsigned int flags, struct ddfs_fate *fate)
{
	bool swap = flags & RENAME_EXCHANGE;
	int err = lock_dirs(op, from->dir, to->dir);

	if (!err)
		err = get_end(op, from);
	if (!err)
		err = get_end(op, to);
	if (!err)
		err = from->ip ? 0 : -ENOENT;
	if (!err && !op->renaming && from->is_dir && to->is_dir)
		err = -EAGAIN;
	/* Before more is locked: a directory must not be locked behind what lies below it. */
	if (!err)
		err = check_move(from, to, flags);
	if (err)
		return err;
	lock_ends(op, from, to);
	err = check(from, to, flags);
	/* Two names of one file, or the same name twice: POSIX wants nothing done. */
	if (err || from->ip == to->ip)
		return err;
	if (to->ip && !swap)
		ddfs_link_drop_begin(op, to->ip, to->is_dir ? 2 : 1, fate);
	err = ddfs_op_tx_reserve(op);
	if (err)
		return err;
	err = swap ? exchange(op, from, to) : move(op, from, to, fate);
	if (!err)
		err = ddfs_op_commit(op);
	if (!err)
		ddfs_link_dropped(fate);
	return err;
}

static int rename_once(
	struct end from, struct end to, unsigned int flags, bool alone, struct ddfs_fate *fate)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, from.dir->fs);
	if (alone)
		ddfs_op_lock_rename(&op);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, rename_locked(&op, &from, &to, flags, fate)));
}

int ddfs_rename(struct ddfs_inode *odir, const char *oname, size_t olen, struct ddfs_inode *ndir,
	const char *nname, size_t nlen, unsigned int flags)
{
	struct end from = { .dir = odir, .name = oname, .len = olen };
	struct end to = { .dir = ndir, .name = nname, .len = nlen };
	struct ddfs_fate fate = { 0 };
	int err = ddfs_name_check(oname, olen);

	if (!err)
		err = ddfs_name_check(nname, nlen);
	if (!err && (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
			    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)))
		err = -EINVAL;
	if (err)
		return err;
	/* Directories that are not in each other are locked by number, which is no order beside
	 * that of parent before child unless one thread at a time does it. */
	err = rename_once(from, to, flags, odir != ndir, &fate);
	if (err == -EAGAIN)
		err = rename_once(from, to, flags, true, &fate);
	ddfs_link_reap(&fate);
	return err;
}
