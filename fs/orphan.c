/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/orphan.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/dir.h"
#include "fs/extent.h"
#include "fs/extent_bulk.h"
#include "fs/file.h"
#include "fs/htree.h"
#include "fs/layout_break.h"
#include "fs/op.h"
#include "fs/tx.h"
#include "fs/xattr.h"

/* The name of an orphan is its number in hex; the directory needs no other order. */
static size_t orphan_name(uint32_t ino, char name[9])
{
	return (size_t)snprintf(name, 9, "%08x", ino);
}

int ddfs_orphan_add(struct ddfs_tx *tx, uint32_t ino)
{
	struct ddfs_dirent_value v = { ddfs_to32(ino) };
	char name[9];
	struct ddfs_inode_disk *di = ddfs_inode_edit(tx, tx->fs->orphans);
	size_t len = orphan_name(ino, name);
	struct ddfs_hrecord r;
	struct ddfs_htree t;
	int err;

	ddfs_dir_tree(di, &t);
	/* One that met poison when it was to be finished is there still. */
	err = ddfs_htree_find(tx->fs, tx, &t, name, len, &r);
	if (err != -ENOENT)
		return err;
	err = ddfs_htree_insert(tx, &t, name, len, 0, &v, sizeof(v));
	ddfs_dir_tree_save(di, &t);
	return err;
}

int ddfs_orphan_del(struct ddfs_tx *tx, uint32_t ino)
{
	struct ddfs_inode_disk *di = ddfs_inode_edit(tx, tx->fs->orphans);
	struct ddfs_htree t;
	char name[9];
	int err;

	ddfs_dir_tree(di, &t);
	err = ddfs_htree_remove(tx, &t, name, orphan_name(ino, name));
	ddfs_dir_tree_save(di, &t);
	return err;
}

static bool has_extents(const struct ddfs_inode_disk *di)
{
	uint32_t type = ddfs_le16(di->mode) & S_IFMT;

	return type == S_IFREG || (type == S_IFLNK && ddfs_le64(di->size) > DDFS_INLINE_SYMLINK);
}

bool ddfs_inode_is_small(struct ddfs_fs *fs, const struct ddfs_inode_disk *di)
{
	if (ddfs_le64(di->xattr_root) && !ddfs_xattr_is_small(fs, di))
		return false;
	return !has_extents(di) || ddfs_extent_range_is_small(fs, NULL, di, 0, UINT32_MAX);
}

int ddfs_inode_free(struct ddfs_tx *tx, struct ddfs_inode_disk *di)
{
	int err = ddfs_xattr_free_some(tx, di);

	if (!err && has_extents(di))
		err = ddfs_extent_remove(tx, di, 0, UINT32_MAX, true);
	di->mode = ddfs_to16(0);
	di->nlink = ddfs_to32(0);
	return err;
}

/* One transaction's worth of what lies at or behind lblk, from the end; with whole, of the xattrs
 * first. */
static int trim_step(struct ddfs_op *op, struct ddfs_inode *ip, uint32_t lblk, bool whole)
{
	struct ddfs_inode_disk *di;
	int err = ddfs_op_tx_reserve(op);

	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	if (whole && ddfs_le64(di->xattr_root) && !ddfs_xattr_is_small(op->fs, di))
		err = ddfs_xattr_free_some(op->tx, di);
	else
		err = ddfs_extent_trim_some(op->tx, di, lblk);
	return err ? err : ddfs_op_commit(op);
}

static bool tail_is_small(const struct ddfs_inode *ip, uint32_t lblk)
{
	return ddfs_extent_range_is_small(
		ip->fs, NULL, ddfs_inode_view(ip, NULL), lblk, UINT32_MAX - lblk);
}

int ddfs_orphan_trim(struct ddfs_op *op, struct ddfs_inode *ip, uint32_t lblk)
{
	struct ddfs_inode_disk *di;
	int err = 0;

	while (!err && !tail_is_small(ip, lblk))
		err = trim_step(op, ip, lblk, false);
	if (!err)
		err = ddfs_op_tx_reserve(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	err = ddfs_extent_remove(op->tx, di, lblk, UINT32_MAX - lblk, true);
	return err ? err : ddfs_op_commit(op);
}

static uint32_t end_block(const struct ddfs_inode *ip)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	return ddfs_le32(di->nlink) ? ddfs_file_first_freed(ip, ddfs_le64(di->size)) : 0;
}

static bool wants_step(const struct ddfs_inode *ip)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	return ddfs_le32(di->nlink) ? !tail_is_small(ip, end_block(ip))
				    : !ddfs_inode_is_small(ip->fs, di);
}

/* The last step for a file that lives on. Of a unit that it keeps as a DAX file, but was not when
 * it was truncated, what lies behind its end must not come back when it grows. */
static int finish_trim(struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint32_t end)
{
	uint32_t eof = ddfs_file_end_block(ddfs_le64(di->size));
	int err = 0;

	if (eof < end)
		err = ddfs_extent_convert(tx, di, eof, end - eof, DDFS_MAP_UNWRITTEN);
	return err ? err : ddfs_extent_remove(tx, di, end, UINT32_MAX - end, true);
}

static DDFS_GUARD_STEP int finish(struct ddfs_op *op, struct ddfs_inode *ip)
{
	struct ddfs_inode_disk last, *di;
	uint32_t end = end_block(ip);
	int err = 0;

	while (!err && wants_step(ip))
		err = trim_step(op, ip, end, !ddfs_le32(ddfs_inode_view(ip, NULL)->nlink));
	if (err)
		return err;
	ddfs_op_lock(op, op->fs->orphans, true);
	err = ddfs_op_tx_reserve(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	last = *di;
	err = ddfs_le32(di->nlink) ? finish_trim(op->tx, di, end) : ddfs_inode_free(op->tx, di);
	if (!err)
		err = ddfs_orphan_del(op->tx, ip->ino);
	if (!err)
		err = ddfs_op_commit(op);
	if (!err && !ddfs_le32(last.nlink))
		ddfs_inode_bury(ip, &last);
	return err;
}

int ddfs_orphan_finish(struct ddfs_op *op, struct ddfs_inode *ip)
{
	int err = DDFS_GUARDED(op->fs, finish(op, ip));

	if (err)
		atomic_store(&op->fs->orphans_left, true);
	return err;
}

static int reap(struct ddfs_op *op, struct ddfs_inode *ip)
{
	if (ip->dead || ddfs_inode_in_use(ip) || ddfs_le32(ddfs_inode_view(ip, NULL)->nlink))
		return 0;
	return ddfs_orphan_finish(op, ip);
}

int ddfs_orphan_reap(struct ddfs_inode *ip)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, reap(&op, ip)));
}

struct first {
	uint32_t ino;
	uint64_t key;
};

static int first_orphan(void *arg, const struct ddfs_hrecord *r)
{
	struct first *first = arg;
	struct ddfs_dirent_value v;

	if (r->val_len != sizeof(v))
		return -EUCLEAN;
	memcpy(&v, r->value, sizeof(v));
	*first = (struct first){ ddfs_le32(v.ino), r->key };
	return 1;
}

static DDFS_GUARD_STEP int find_next(struct ddfs_fs *fs, uint64_t after, struct first *first)
{
	struct ddfs_htree t;

	ddfs_dir_tree(ddfs_inode_view(fs->orphans, NULL), &t);
	return ddfs_htree_walk(fs, NULL, &t, after, first_orphan, first);
}

/* The first behind key after. */
static int next_orphan(struct ddfs_fs *fs, uint64_t after, struct first *first)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, fs);
	ddfs_op_lock(&op, fs->orphans, false);
	return ddfs_op_end(&op, DDFS_GUARDED(fs, find_next(fs, after, first)));
}

/* What lies behind the end of a file is given up, or made unwritten. */
static uint32_t first_given_up(const struct ddfs_inode *ip)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	return ddfs_le32(di->nlink) ? ddfs_file_end_block(ddfs_le64(di->size)) : 0;
}

static int finish_unpinned(struct ddfs_op *op, struct ddfs_inode *ip)
{
	/* What a client of an earlier mount holds of it stays until the pin ends. */
	int err = ddfs_break_layouts(op, ip, first_given_up(ip), UINT64_MAX, NULL);

	return err ? err : ddfs_orphan_finish(op, ip);
}

static int recover_one(struct ddfs_fs *fs, uint32_t ino)
{
	struct ddfs_inode *ip;
	struct ddfs_op op;
	int err = ddfs_inode_get_ino(fs, ino, &ip);

	if (err)
		return ddfs_corrupt(fs, "orphan %u can't be read (%s)", ino, strerror(-err));
	ddfs_op_begin(&op, fs);
	ddfs_op_hold(&op, ip);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op, DDFS_GUARDED(fs, finish_unpinned(&op, ip)));
}

int ddfs_orphans_recover(struct ddfs_fs *fs, uint64_t *nr)
{
	struct first first;
	uint64_t after = 0;
	int ret;

	*nr = 0;
	while ((ret = next_orphan(fs, after, &first)) == 1) {
		ret = recover_one(fs, first.ino);
		/* A damaged one stays, with what it holds, as one that is pinned, and keeps nobody
		 * from the others. */
		if (ret == -EUCLEAN || ret == -EIO || ret == -EBUSY) {
			after = first.key;
			atomic_store(&fs->orphans_left, true);
		} else if (ret)
			return ret;
		else
			++*nr;
	}
	return ret;
}
