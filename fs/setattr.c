/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes, size among them. */
#include <string.h>
#include <sys/stat.h>

#include "fs/acl.h"
#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/file.h"
#include "fs/layout_break.h"
#include "fs/orphan.h"
#include "fs/tx.h"

/* ---- size ----------------------------------------------------------------------------------- */

static int shrink(
	struct ddfs_op *op, struct ddfs_inode *ip, uint64_t size, ddfs_size_fn change, void *arg)
{
	const struct ddfs_inode_disk *view = ddfs_inode_view(ip, NULL);
	uint32_t end = ddfs_file_end_block(size), from = ddfs_file_first_freed(ip, size);
	bool small = ddfs_extent_range_is_small(op->fs, NULL, view, from, UINT32_MAX - from);
	bool unlinked = !ddfs_le32(view->nlink);
	struct ddfs_inode_disk *di;
	int err;

	/* Too much for one transaction: the new size first, and the inode among the orphans, where
	 * an unlinked one is already, until the blocks behind it are free. */
	if (!small && !unlinked)
		ddfs_op_lock(op, op->fs->orphans, true);
	err = ddfs_op_tx_reserve(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	di->size = ddfs_to64(size);
	err = change(op->tx, di, arg);
	/* What a DAX file keeps behind its end must read as zeroes when it grows again. */
	if (!err && from > end)
		err = ddfs_extent_convert(op->tx, di, end, from - end, DDFS_MAP_UNWRITTEN);
	if (!err && small)
		err = ddfs_extent_remove(op->tx, di, from, UINT32_MAX - from, true);
	else if (!err && !unlinked)
		err = ddfs_orphan_add(op->tx, ip->ino);
	if (!err)
		err = ddfs_op_commit(op);
	if (err || small)
		return err;
	if (unlinked)
		return ddfs_orphan_trim(op, ip, from);
	pthread_rwlock_unlock(&op->locked[--op->nr_locked]->lock);
	return ddfs_orphan_finish(op, ip);
}

int ddfs_resize(
	struct ddfs_op *op, struct ddfs_inode *ip, uint64_t size, ddfs_size_fn change, void *arg)
{
	uint64_t old = ddfs_le64(ddfs_inode_view(ip, NULL)->size);
	struct ddfs_inode_disk *di;
	int err;

	if (size > DDFS_FILE_SIZE_MAX)
		return -EFBIG;
	/* To be as long as it is costs nobody who has it pinned what lies behind. */
	if (size < old || (size == old && !ddfs_layout_is_pinned(&ip->layout)))
		return shrink(op, ip, size, change, arg);
	err = ddfs_zero_tail(ip, old, size);
	if (!err)
		err = ddfs_op_tx(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	di->size = ddfs_to64(size);
	err = change(op->tx, di, arg);
	return err ? err : ddfs_op_commit(op);
}

/* ---- setattr -------------------------------------------------------------------------------- */

struct change {
	const struct ddfs_attr *attr;
	unsigned int mask;
};

static int chown_kills(struct ddfs_tx *tx, struct ddfs_inode_disk *di)
{
	if (S_ISDIR(ddfs_le16(di->mode)))
		return 0;
	return ddfs_kill_priv(tx, di);
}

static void set_times(struct ddfs_inode_disk *di, const struct change *c)
{
	struct timespec now = ddfs_now();

	if (c->mask & DDFS_SET_ATIME_NOW)
		ddfs_set_time(&di->atime, &di->atime_ns, now);
	else if (c->mask & DDFS_SET_ATIME)
		ddfs_set_time(&di->atime, &di->atime_ns, c->attr->atime);
	if (c->mask & DDFS_SET_MTIME_NOW)
		ddfs_set_time(&di->mtime, &di->mtime_ns, now);
	else if (c->mask & DDFS_SET_MTIME)
		ddfs_set_time(&di->mtime, &di->mtime_ns, c->attr->mtime);
	else if (c->mask & DDFS_SET_SIZE)
		ddfs_set_time(&di->mtime, &di->mtime_ns, now);
	if (c->mask & DDFS_SET_CTIME)
		ddfs_set_time(&di->ctime, &di->ctime_ns, c->attr->ctime);
	else
		ddfs_set_time(&di->ctime, &di->ctime_ns, now);
}

static int apply(struct ddfs_tx *tx, struct ddfs_inode_disk *di, void *arg)
{
	const struct change *c = arg;
	uint32_t mode = ddfs_le16(di->mode);
	int err = 0;

	if (c->mask & DDFS_SET_UID)
		di->uid = ddfs_to32(c->attr->uid);
	if (c->mask & DDFS_SET_GID)
		di->gid = ddfs_to32(c->attr->gid);
	if (c->mask & (DDFS_SET_UID | DDFS_SET_GID))
		err = chown_kills(tx, di);
	if (!err && c->mask & DDFS_SET_SIZE && c->mask & DDFS_SET_KILL_PRIV)
		err = ddfs_kill_priv(tx, di);
	if (!err && c->mask & DDFS_SET_MODE) {
		di->mode = ddfs_to16((uint16_t)((mode & S_IFMT) | (c->attr->mode & 07777)));
		err = ddfs_acl_chmod(tx, di);
	}
	set_times(di, c);
	return err;
}

/* Immutable: nothing. Append-only: no more than the times becoming now. */
static int may_set(const struct ddfs_inode *ip, unsigned int mask)
{
	uint32_t flags = ddfs_le32(ddfs_inode_view(ip, NULL)->flags);
	unsigned int now = DDFS_SET_ATIME | DDFS_SET_ATIME_NOW | DDFS_SET_MTIME |
			   DDFS_SET_MTIME_NOW | DDFS_SET_CTIME | DDFS_SET_KILL_PRIV;
	bool times_now = !(mask & ~now) &&
			 (!(mask & DDFS_SET_ATIME) || mask & DDFS_SET_ATIME_NOW) &&
			 (!(mask & DDFS_SET_MTIME) || mask & DDFS_SET_MTIME_NOW);

	if (ip->dead)
		return -ESTALE;
	if (flags & DDFS_FLAG_IMMUTABLE)
		return -EPERM;
	return flags & DDFS_FLAG_APPEND && !times_now ? -EPERM : 0;
}

/* What is cut off is given back, or made unwritten. */
static int break_behind(
	struct ddfs_op *op, struct ddfs_inode *ip, uint64_t size, struct ddfs_wait *wait)
{
	if (size >= ddfs_le64(ddfs_inode_view(ip, NULL)->size))
		return 0;
	return ddfs_break_layouts(op, ip, ddfs_file_end_block(size), UINT64_MAX, wait);
}

static int set(struct ddfs_op *op, struct ddfs_inode *ip, struct change *c, struct ddfs_wait *wait)
{
	int err = may_set(ip, c->mask);

	if (!err)
		err = ddfs_fs_writable(op->fs);
	if (!err && c->mask & DDFS_SET_SIZE)
		err = ddfs_file_check(ip);
	if (!err && c->mask & DDFS_SET_SIZE)
		err = break_behind(op, ip, c->attr->size, wait);
	if (err)
		return err;
	if (c->mask & DDFS_SET_SIZE)
		return ddfs_resize(op, ip, c->attr->size, apply, c);
	err = ddfs_op_tx(op);
	if (!err)
		err = apply(op->tx, ddfs_inode_edit(op->tx, ip), c);
	return err ? err : ddfs_op_commit(op);
}

static int set_and_tell(struct ddfs_op *op, struct ddfs_inode *ip, struct change *c,
	struct ddfs_attr *out, struct ddfs_wait *wait)
{
	int err = set(op, ip, c, wait);

	if (!err && out)
		ddfs_inode_attr(ip, out);
	return err;
}

int ddfs_setattr(struct ddfs_inode *ip, const struct ddfs_attr *attr, unsigned int mask,
	struct ddfs_attr *out, struct ddfs_wait *wait)
{
	struct change c = { attr, mask };
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, set_and_tell(&op, ip, &c, out, wait)));
}

static int set_flags(struct ddfs_op *op, struct ddfs_inode *ip, uint32_t flags)
{
	struct ddfs_inode_disk *di;
	int err = ip->dead ? -ESTALE : ddfs_op_tx(op);
	bool dax;

	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	if (!S_ISREG(ddfs_le16(di->mode)) && !S_ISDIR(ddfs_le16(di->mode)))
		return -EOPNOTSUPP;
	di->flags = ddfs_to32((ddfs_le32(di->flags) & ~DDFS_FLAGS_SETTABLE) | flags);
	ddfs_touch(di, false);
	dax = ddfs_inode_wants_dax(ip->fs, di);
	err = ddfs_op_commit(op);
	/* While it is open or pinned it stays what it is: the end of that looks again. */
	if (!err && !ddfs_inode_in_use(ip))
		ip->dax = dax;
	return err;
}

int ddfs_set_flags(struct ddfs_inode *ip, uint32_t flags)
{
	struct ddfs_op op;

	if (flags & ~DDFS_FLAGS_SETTABLE)
		return -EOPNOTSUPP;
	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, set_flags(&op, ip, flags)));
}
