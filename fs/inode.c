/* SPDX-License-Identifier: BSD-3-Clause */
/* What an inode holds: checked, viewed, edited. icache.c keeps them in memory. */
#include "fs/inode.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/extent.h"
#include "fs/op.h"
#include "fs/tx.h"
#include "fs/xattr.h"

static bool tree_root_valid(const struct ddfs_fs *fs, struct le64 root, uint8_t depth)
{
	uint64_t blk = ddfs_le64(root);

	return depth <= 8 && (!blk || ddfs_blocks_valid(fs, blk, 1));
}

static bool body_valid(const struct ddfs_fs *fs, const struct ddfs_inode_disk *di)
{
	switch (ddfs_le16(di->mode) & S_IFMT) {
	case S_IFREG:
		return ddfs_le64(di->size) <= DDFS_FILE_SIZE_MAX &&
		       ddfs_extent_inline_valid(fs, di);
	case S_IFDIR:
		return tree_root_valid(fs, di->body.root, di->depth);
	case S_IFLNK:
		if (!ddfs_le64(di->size) || ddfs_le64(di->size) > DDFS_SYMLINK_MAX)
			return false;
		return ddfs_le64(di->size) <= DDFS_INLINE_SYMLINK ||
		       (!di->depth && ddfs_le16(di->nr_extents) == 1 &&
			       ddfs_extent_inline_valid(fs, di));
	default:
		return true;
	}
}

int ddfs_inode_check(struct ddfs_fs *fs, uint32_t ino, uint64_t off)
{
	const struct ddfs_inode_disk *di = (const void *)(fs->base + off);

	if (!ddfs_le16(di->magic) && !ddfs_le32(di->crc) && !ddfs_le16(di->mode))
		return -ESTALE;
	if (!ddfs_csum_holds(fs->csum_seed, off, di, sizeof(*di)))
		return ddfs_corrupt(fs, "inode %u fails its checksum", ino);
	if (!ddfs_le16(di->mode))
		return -ESTALE;
	if (ddfs_le16(di->magic) != DDFS_INODE_MAGIC || ddfs_le32(di->ino) != ino ||
		!ddfs_type_is_known(ddfs_le16(di->mode)) || !body_valid(fs, di) ||
		!tree_root_valid(fs, di->xattr_root, di->xattr_depth) ||
		!ddfs_xattr_inline_valid(di))
		return ddfs_corrupt(fs, "inode %u holds what cannot be", ino);
	return 0;
}

const struct ddfs_inode_disk *ddfs_inode_view(const struct ddfs_inode *ip, const struct ddfs_tx *tx)
{
	return ddfs_tx_view(ip->fs, tx, ip->off);
}

struct ddfs_inode_disk *ddfs_inode_edit(struct ddfs_tx *tx, struct ddfs_inode *ip)
{
	struct ddfs_inode_disk *di = ddfs_tx_edit(tx, ip->off, sizeof(*di));

	if (!ip->lazy)
		return di;
	pthread_mutex_lock(&ip->tlock);
	if (ip->lazy & DDFS_LAZY_ATIME)
		ddfs_set_time(&di->atime, &di->atime_ns, ip->atime);
	if (ip->lazy & DDFS_LAZY_MTIME) {
		ddfs_set_time(&di->mtime, &di->mtime_ns, ip->mtime);
		ddfs_set_time(&di->ctime, &di->ctime_ns, ip->ctime);
	}
	if (tx->nr_inodes < DDFS_TX_INODES) {
		tx->inodes[tx->nr_inodes].ip = ip;
		tx->inodes[tx->nr_inodes++].lazy = ip->lazy;
	}
	ip->lazy = 0;
	pthread_mutex_unlock(&ip->tlock);
	return di;
}

static struct timespec get_time(struct le64 sec, struct le32 ns)
{
	return (struct timespec){ .tv_sec = (time_t)ddfs_le64(sec), .tv_nsec = ddfs_le32(ns) };
}

void ddfs_attr_fill(struct ddfs_attr *a, const struct ddfs_inode_disk *di)
{
	*a = (struct ddfs_attr){
		.id = ddfs_id_make(ddfs_le32(di->ino), ddfs_le32(di->gen)),
		.ino = ddfs_le32(di->ino),
		.gen = ddfs_le32(di->gen),
		.mode = ddfs_le16(di->mode),
		.nlink = ddfs_le32(di->nlink),
		.uid = ddfs_le32(di->uid),
		.gid = ddfs_le32(di->gid),
		.rdev = ddfs_le32(di->rdev),
		.flags = ddfs_le32(di->flags) & DDFS_FLAGS_SETTABLE,
		.size = ddfs_le64(di->size),
		.sectors = ddfs_le64(di->nr_blocks) * (DDFS_BLOCK_BYTES / 512),
		.atime = get_time(di->atime, di->atime_ns),
		.mtime = get_time(di->mtime, di->mtime_ns),
		.ctime = get_time(di->ctime, di->ctime_ns),
		.btime = get_time(di->btime, di->btime_ns),
	};
}

void ddfs_inode_attr(struct ddfs_inode *ip, struct ddfs_attr *out)
{
	if (ip->dead) {
		*out = ip->last;
		return;
	}
	ddfs_attr_fill(out, ddfs_inode_view(ip, NULL));
	pthread_mutex_lock(&ip->tlock);
	if (ip->lazy & DDFS_LAZY_ATIME)
		out->atime = ip->atime;
	if (ip->lazy & DDFS_LAZY_MTIME) {
		out->mtime = ip->mtime;
		out->ctime = ip->ctime;
	}
	pthread_mutex_unlock(&ip->tlock);
}

static int attr(struct ddfs_inode *ip, struct ddfs_attr *out)
{
	ddfs_inode_attr(ip, out);
	return 0;
}

int ddfs_getattr(struct ddfs_inode *ip, struct ddfs_attr *out)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, attr(ip, out)));
}

bool ddfs_inode_is_dax(struct ddfs_inode *ip)
{
	return ip->dax;
}

ddfs_id ddfs_inode_id(const struct ddfs_inode *ip)
{
	return ddfs_id_make(ip->ino, ip->gen);
}

struct ddfs_fs *ddfs_inode_fs(const struct ddfs_inode *ip)
{
	return ip->fs;
}
