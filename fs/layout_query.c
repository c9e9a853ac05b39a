/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a file lies, for who asks; and making durable what was stored there by others. */
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/fault.h"
#include "fs/file.h"
#include "fs/op.h"

/* What is flushed before the file's lock is let go for a moment. */
#define SYNC_STEP (UINT64_C(64) << 20)

/* The end of the range, cut at the end of file; off if nothing of it lies there. */
static uint64_t range_end(const struct ddfs_inode *ip, uint64_t off, uint64_t len)
{
	uint64_t size = ddfs_le64(ddfs_inode_view(ip, NULL)->size);

	if (off >= size)
		return off;
	return len && len < size - off ? off + len : size;
}

/* ---- query ---------------------------------------------------------------------------------- */

/* What holds the file's bytes from off on, cut at end. */
static int extent_at(
	struct ddfs_inode *ip, uint64_t off, uint64_t end, struct ddfs_file_extent *out)
{
	uint64_t in_block = off % DDFS_BLOCK_BYTES, len;
	struct ddfs_map m;
	int err = ddfs_extent_lookup(
		ip->fs, NULL, ddfs_inode_view(ip, NULL), (uint32_t)(off >> DDFS_BLOCK_SHIFT), &m);

	if (err)
		return err;
	len = ddfs_block_off(m.len) - in_block;
	*out = (struct ddfs_file_extent){ .off = off,
		.len = len < end - off ? len : end - off,
		.device_off = m.kind == DDFS_MAP_HOLE ? 0 : ddfs_block_off(m.pblk) + in_block,
		.hole = m.kind == DDFS_MAP_HOLE,
		.unwritten = m.kind == DDFS_MAP_UNWRITTEN };
	return 0;
}

static bool joins(const struct ddfs_file_extent *a, const struct ddfs_file_extent *b)
{
	return a->hole == b->hole && a->unwritten == b->unwritten &&
	       (a->hole || a->device_off + a->len == b->device_off);
}

static int query(struct ddfs_inode *ip, uint64_t off, uint64_t end,
	struct ddfs_file_extent *extents, uint32_t max, uint64_t *next)
{
	uint32_t nr = 0;

	while (off < end) {
		struct ddfs_file_extent e;
		int err = extent_at(ip, off, end, &e);

		if (err)
			return err;
		if (nr && joins(&extents[nr - 1], &e))
			extents[nr - 1].len += e.len;
		else if (nr == max)
			break;
		else
			extents[nr++] = e;
		off += e.len;
	}
	*next = off;
	return (int)nr;
}

static int fault_range(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t off, uint64_t end)
{
	int err = ddfs_fs_writable(ip->fs);

	if (!err && !ip->dax)
		err = -EOPNOTSUPP;
	if (!err && ddfs_le32(ddfs_inode_view(ip, NULL)->flags) &
			    (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		err = -EPERM;
	if (err)
		return err;
	return ddfs_file_fault(op, ip, off >> DDFS_BLOCK_SHIFT, ddfs_file_end_block(end));
}

/* As much as others can be kept waiting for. More to do: 1. */
static int fault_some(struct ddfs_inode *ip, uint64_t off, uint64_t len)
{
	struct ddfs_op op;
	int ret;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	ret = ddfs_file_check(ip);
	if (!ret)
		ret = fault_range(&op, ip, off, range_end(ip, off, len));
	return ddfs_op_end(&op, ret);
}

int ddfs_layout_query(struct ddfs_inode *ip, uint64_t off, uint64_t len, bool fault,
	struct ddfs_file_extent *extents, uint32_t max, uint64_t *next)
{
	int ret = fault ? 1 : 0;

	while (ret == 1)
		ret = fault_some(ip, off, len);
	if (ret)
		return ret;
	pthread_rwlock_rdlock(&ip->lock);
	ret = ddfs_file_check(ip);
	if (!ret)
		ret = query(ip, off, range_end(ip, off, len), extents, max, next);
	pthread_rwlock_unlock(&ip->lock);
	return ret;
}

/* ---- sync ----------------------------------------------------------------------------------- */

/* Flush what is written of the next part of [*off, *end), which is cut at the end of file. */
static int flush_some(struct ddfs_inode *ip, uint64_t *off, uint64_t end)
{
	struct ddfs_media *m = ip->fs->media;
	uint64_t stop = end - *off > SYNC_STEP ? *off + SYNC_STEP : end;

	while (*off < stop) {
		struct ddfs_file_extent e;
		int err = extent_at(ip, *off, stop, &e);

		if (err)
			return err;
		if (!e.hole && !e.unwritten)
			m->ops->flush(m, e.device_off, e.len);
		*off += e.len;
	}
	return 0;
}

/* More to do: 1. */
static int sync_some(struct ddfs_inode *ip, uint64_t *off, uint64_t len)
{
	uint64_t end;
	int ret;

	pthread_rwlock_rdlock(&ip->lock);
	ret = ddfs_file_check(ip);
	end = ret ? *off : range_end(ip, *off, len);
	if (!ret)
		ret = flush_some(ip, off, end);
	pthread_rwlock_unlock(&ip->lock);
	if (ret)
		return ret;
	return *off < end;
}

int ddfs_sync_range(struct ddfs_inode *ip, uint64_t off, uint64_t len)
{
	struct ddfs_media *m = ip->fs->media;
	uint64_t at = off;
	int ret;

	if (m->readonly)
		return 0;
	do {
		ret = sync_some(ip, &at, len ? len - (at - off) : 0);
	} while (ret == 1);
	if (!ret)
		ret = m->ops->drain(m);
	return ret ? ret : m->ops->deep_flush(m);
}
