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

/* Cut e, which is written, where it begins or ceases to be bad. */
static void split_bad(struct ddfs_fs *fs, struct ddfs_file_extent *e)
{
	uint64_t first = e->device_off >> DDFS_BLOCK_SHIFT;
	uint64_t last = (e->device_off + e->len + DDFS_BLOCK_BYTES - 1) >> DDFS_BLOCK_SHIFT;
	struct ddfs_range bad = ddfs_bad_find(fs, (struct ddfs_range){ first, last - first });
	uint64_t stop;

	e->bad = bad.len && bad.start == first;
	stop = ddfs_block_off(bad.start + (e->bad ? bad.len : 0));
	if (stop - e->device_off < e->len)
		e->len = stop - e->device_off;
}

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
	if (m.kind == DDFS_MAP_WRITTEN)
		split_bad(ip->fs, out);
	return 0;
}

static bool joins(const struct ddfs_file_extent *a, const struct ddfs_file_extent *b)
{
	return a->hole == b->hole && a->unwritten == b->unwritten && a->bad == b->bad &&
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
	/* Nothing of it lies before the end of file: not even the block that off is in. */
	if (err || off == end)
		return err;
	return ddfs_file_fault(op, ip, off >> DDFS_BLOCK_SHIFT, ddfs_file_end_block(end));
}

static int check_and_fault(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t off, uint64_t len)
{
	int err = ddfs_file_check(ip);

	return err ? err : fault_range(op, ip, off, range_end(ip, off, len));
}

/* As much as others can be kept waiting for. More to do: 1. */
static int fault_some(struct ddfs_inode *ip, uint64_t off, uint64_t len)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, check_and_fault(&op, ip, off, len)));
}

static int check_and_query(struct ddfs_inode *ip, uint64_t off, uint64_t len,
	struct ddfs_file_extent *extents, uint32_t max, uint64_t *next)
{
	int err = ddfs_file_check(ip);

	return err ? err : query(ip, off, range_end(ip, off, len), extents, max, next);
}

int ddfs_layout_query(struct ddfs_inode *ip, uint64_t off, uint64_t len, bool fault,
	struct ddfs_file_extent *extents, uint32_t max, uint64_t *next)
{
	struct ddfs_op op;
	int ret = fault ? 1 : 0;

	while (ret == 1)
		ret = fault_some(ip, off, len);
	if (ret)
		return ret;
	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	return ddfs_op_end(
		&op, DDFS_GUARDED(op.fs, check_and_query(ip, off, len, extents, max, next)));
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

static int check_and_flush(struct ddfs_inode *ip, uint64_t *off, uint64_t len)
{
	uint64_t end;
	int err = ddfs_file_check(ip);

	if (err)
		return err;
	end = range_end(ip, *off, len);
	err = flush_some(ip, off, end);
	return err ? err : *off < end;
}

/* More to do: 1. */
static int sync_some(struct ddfs_inode *ip, uint64_t *off, uint64_t len)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, check_and_flush(ip, off, len)));
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
	return ret ? ret : m->ops->deep_flush(m, DDFS_SYNC_RANGE);
}
