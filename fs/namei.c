/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking names up, linking and removing them. */
#include "fs/namei.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/dir.h"
#include "fs/orphan.h"
#include "fs/tx.h"

static uint32_t flags_of(const struct ddfs_inode *ip)
{
	return ddfs_le32(ddfs_inode_view(ip, NULL)->flags);
}

int ddfs_may_add(const struct ddfs_inode *dir)
{
	/* Removed, but still open. */
	if (!ddfs_le32(ddfs_inode_view(dir, NULL)->nlink))
		return -ENOENT;
	return flags_of(dir) & DDFS_FLAG_IMMUTABLE ? -EPERM : 0;
}

int ddfs_may_remove(const struct ddfs_inode *dir, const struct ddfs_inode *child)
{
	uint32_t frozen = DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND;

	return (flags_of(dir) | flags_of(child)) & frozen ? -EPERM : 0;
}

void ddfs_links_add(struct ddfs_inode_disk *di, int n)
{
	di->nlink = ddfs_to32(ddfs_le32(di->nlink) + (uint32_t)n);
}

/* A directory must say that dir is its parent, or two could be locked in either order. */
static int check_parent(const struct ddfs_inode *dir, const struct ddfs_inode *ip)
{
	uint32_t parent;

	if (ip->type != S_IFDIR)
		return 0;
	/* It changes with that parent locked. */
	parent = ddfs_le32(ddfs_inode_view(ip, NULL)->parent);
	if (parent == dir->ino)
		return 0;
	return ddfs_corrupt(dir->fs, "directory %u: an entry leads to directory %u of directory %u",
		dir->ino, ip->ino, parent);
}

int ddfs_child_get(struct ddfs_op *op, struct ddfs_inode *dir, const char *name, size_t len,
	struct ddfs_inode **out)
{
	struct ddfs_inode *ip;
	uint32_t ino;
	int err = ddfs_dir_find(dir, NULL, name, len, &ino);

	if (err)
		return err;
	/* Also since it would be locked twice. */
	if (ino < DDFS_INO_FIRST || ino == dir->ino)
		return ddfs_corrupt(dir->fs,
			"directory %u: an entry leads to inode %u, which can't be", dir->ino, ino);
	err = ddfs_inode_get_ino(dir->fs, ino, &ip);
	if (err == -ESTALE)
		return ddfs_corrupt(dir->fs,
			"directory %u: an entry leads to inode %u, which is free", dir->ino, ino);
	if (err)
		return err;
	ddfs_op_hold(op, ip);
	err = check_parent(dir, ip);
	if (!err)
		*out = ip;
	return err;
}

static int lookup(struct ddfs_op *op, struct ddfs_inode *dir, const char *name, size_t len,
	struct ddfs_attr *out)
{
	struct ddfs_inode *ip;
	int err = ddfs_child_get(op, dir, name, len, &ip);

	if (err)
		return err;
	ddfs_op_lock(op, ip, false);
	ddfs_inode_attr(ip, out);
	return 0;
}

int ddfs_lookup(struct ddfs_inode *dir, const char *name, size_t len, struct ddfs_entry *out)
{
	struct ddfs_op op;

	if (len > DDFS_NAME_MAX)
		return -ENAMETOOLONG;
	ddfs_op_begin(&op, dir->fs);
	ddfs_op_lock(&op, dir, false);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, lookup(&op, dir, name, len, &out->attr)));
}

static DDFS_GUARD_STEP int parent_of(const struct ddfs_inode *dir, uint32_t *parent)
{
	if (dir->dead)
		return -ESTALE;
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	*parent = ddfs_le32(ddfs_inode_view(dir, NULL)->parent);
	return 0;
}

int ddfs_lookup_parent(struct ddfs_inode *dir, struct ddfs_entry *out)
{
	struct ddfs_inode *ip;
	struct ddfs_op op;
	uint32_t parent;
	int err;

	ddfs_op_begin(&op, dir->fs);
	ddfs_op_lock(&op, dir, false);
	err = ddfs_op_end(&op, DDFS_GUARDED(op.fs, parent_of(dir, &parent)));
	if (err)
		return err;
	err = ddfs_inode_get_ino(dir->fs, parent, &ip);
	if (err)
		return err;
	err = ddfs_getattr(ip, &out->attr);
	ddfs_inode_put(ip);
	return err;
}

/* ---- links ---------------------------------------------------------------------------------- */

static int link_into(struct ddfs_op *op, struct ddfs_inode *ip, struct ddfs_inode *dir,
	const char *name, size_t len, struct ddfs_entry *out)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	struct ddfs_inode_disk *edit;
	uint32_t ino;
	int err = ddfs_dir_find(dir, NULL, name, len, &ino);

	if (err != -ENOENT)
		return err ? err : -EEXIST;
	if (dir->dead || ip->dead || !ddfs_le32(di->nlink))
		return -ENOENT;
	err = ddfs_may_add(dir);
	if (!err && flags_of(ip) & (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		err = -EPERM;
	if (!err && ddfs_le32(di->nlink) >= DDFS_LINK_MAX)
		err = -EMLINK;
	if (!err)
		err = ddfs_op_tx(op);
	if (err)
		return err;
	edit = ddfs_inode_edit(op->tx, ip);
	ddfs_links_add(edit, 1);
	ddfs_touch(edit, false);
	err = ddfs_dir_insert(
		op->tx, ddfs_inode_edit(op->tx, dir), name, len, ip->ino, ddfs_le16(edit->mode));
	if (!err)
		err = ddfs_op_commit(op);
	if (!err && out)
		ddfs_inode_attr(ip, &out->attr);
	return err;
}

int ddfs_link(struct ddfs_inode *ip, struct ddfs_inode *dir, const char *name, size_t len,
	struct ddfs_entry *out)
{
	struct ddfs_op op;
	int err = ddfs_name_check(name, len);

	if (err)
		return err;
	/* A directory has one name; and locking it behind another would break the order. What is
	 * none can't be dir: it could be ip. */
	if (S_ISDIR(ip->type))
		return -EPERM;
	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	ddfs_op_begin(&op, dir->fs);
	ddfs_op_lock(&op, dir, true);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, link_into(&op, ip, dir, name, len, out)));
}

static bool becomes_orphan(struct ddfs_inode *ip, int links)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	if (ddfs_le32(di->nlink) > (uint32_t)links)
		return false;
	/* One that could not be finished is an orphan already, and goes with its entry. */
	return ddfs_inode_in_use(ip) || atomic_load(&ip->fs->orphans_left) ||
	       !ddfs_inode_is_small(ip->fs, di);
}

void ddfs_link_drop_begin(
	struct ddfs_op *op, struct ddfs_inode *ip, int links, struct ddfs_fate *fate)
{
	fate->is_orphan = becomes_orphan(ip, links);
	if (fate->is_orphan)
		ddfs_op_lock(op, op->fs->orphans, true);
}

int ddfs_link_drop(struct ddfs_op *op, struct ddfs_inode *ip, struct ddfs_inode_disk *di, int links,
	struct ddfs_fate *fate)
{
	if (ddfs_le32(di->nlink) < (uint32_t)links)
		return ddfs_corrupt(op->fs, "inode %u has more names than links", ip->ino);
	ddfs_touch(di, false);
	ddfs_links_add(di, -links);
	if (ddfs_le32(di->nlink))
		return 0;
	if (fate->is_orphan) {
		if (!ddfs_inode_in_use(ip)) {
			ddfs_inode_hold(ip);
			fate->reap = ip;
		}
		return ddfs_orphan_add(op->tx, ip->ino);
	}
	fate->last = *di;
	fate->bury = ip;
	return ddfs_inode_free(op->tx, di);
}

void ddfs_link_dropped(struct ddfs_fate *fate)
{
	if (fate->bury)
		ddfs_inode_bury(fate->bury, &fate->last);
}

void ddfs_link_reap(struct ddfs_fate *fate)
{
	if (!fate->reap)
		return;
	ddfs_orphan_reap(fate->reap);
	ddfs_inode_put(fate->reap);
}

static int check_removal(struct ddfs_inode *dir, struct ddfs_inode *ip, bool want_dir)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	bool is_dir = S_ISDIR(ddfs_le16(di->mode));

	int err = ddfs_may_remove(dir, ip);

	if (err)
		return err;
	if (want_dir && !is_dir)
		return -ENOTDIR;
	if (!want_dir && is_dir)
		return -EISDIR;
	return is_dir && ddfs_le64(di->body.root) ? -ENOTEMPTY : 0;
}

static DDFS_GUARD_STEP int remove_locked(struct ddfs_op *op, struct ddfs_inode *dir,
	const char *name, size_t len, bool want_dir, struct ddfs_fate *fate)
{
	int links = want_dir ? 2 : 1;
	struct ddfs_inode_disk *di;
	struct ddfs_inode *ip;
	int err = ddfs_child_get(op, dir, name, len, &ip);

	if (err)
		return err;
	ddfs_op_lock(op, ip, true);
	err = check_removal(dir, ip, want_dir);
	if (err)
		return err;
	ddfs_link_drop_begin(op, ip, links, fate);
	err = ddfs_op_tx_reserve(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, dir);
	err = ddfs_dir_remove(op->tx, di, name, len);
	if (!err && want_dir)
		ddfs_links_add(di, -1);
	if (!err)
		err = ddfs_link_drop(op, ip, ddfs_inode_edit(op->tx, ip), links, fate);
	if (!err)
		err = ddfs_op_commit(op);
	if (!err)
		ddfs_link_dropped(fate);
	return err;
}

static int remove_name(struct ddfs_inode *dir, const char *name, size_t len, bool want_dir)
{
	struct ddfs_fate fate = { 0 };
	struct ddfs_op op;
	int err = ddfs_name_check(name, len);

	if (err)
		return err;
	ddfs_op_begin(&op, dir->fs);
	ddfs_op_lock(&op, dir, true);
	ddfs_guard_keep(&fate);
	err = ddfs_op_end(
		&op, DDFS_GUARDED(op.fs, remove_locked(&op, dir, name, len, want_dir, &fate)));
	ddfs_link_reap(&fate);
	return err;
}

int ddfs_unlink(struct ddfs_inode *dir, const char *name, size_t len)
{
	return remove_name(dir, name, len, false);
}

int ddfs_rmdir(struct ddfs_inode *dir, const char *name, size_t len)
{
	return remove_name(dir, name, len, true);
}
