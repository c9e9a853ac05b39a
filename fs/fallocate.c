/* SPDX-License-Identifier: BSD-3-Clause */
/* Space of files: allocated ahead, punched out, zeroed, taken out of the middle or put in. */
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/file.h"
#include "fs/layout_break.h"
#include "fs/tx.h"

/* What is asked for, in bytes and in the blocks that lie wholly inside. */
struct request {
	uint64_t off, len, end;
	uint32_t first, last; /* whole blocks: [first, last) */
	bool keep_size;
	struct ddfs_wait *wait;
};

/* ---- allocate ------------------------------------------------------------------------------- */

/* changed: contents that there were, not the size alone. */
static int touch_size(
	struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q, bool changed)
{
	struct ddfs_inode_disk *di;
	uint64_t size = ddfs_le64(ddfs_inode_view(ip, NULL)->size);
	int err = q->keep_size ? 0 : ddfs_zero_tail(ip, size, q->end);

	if (!err)
		err = ddfs_op_tx(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	if (!q->keep_size && q->end > size)
		di->size = ddfs_to64(q->end);
	ddfs_touch(di, changed || (!q->keep_size && q->end > size));
	return ddfs_op_commit(op);
}

/* Blocks, unwritten, for the holes of the range. */
static int reserve(struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q)
{
	return ddfs_file_allocate(op, ip, q->off >> DDFS_BLOCK_SHIFT, ddfs_file_end_block(q->end));
}

static int allocate(struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q)
{
	int err = reserve(op, ip, q);

	return err ? err : touch_size(op, ip, q, false);
}

/* ---- punch and zero ------------------------------------------------------------------------- */

static int zero_edges(struct ddfs_inode *ip, const struct request *q)
{
	uint64_t first = (uint64_t)q->first << DDFS_BLOCK_SHIFT;
	uint64_t last = (uint64_t)q->last << DDFS_BLOCK_SHIFT;
	int err;

	if (q->first >= q->last)
		return ddfs_zero_mapped(ip, q->off, q->end);
	err = ddfs_zero_mapped(ip, q->off, first);
	return err ? err : ddfs_zero_mapped(ip, last, q->end);
}

static bool is_bad(const struct ddfs_inode *ip, uint64_t off)
{
	struct ddfs_map m;

	return !ddfs_extent_lookup(ip->fs, NULL, ddfs_inode_view(ip, NULL),
		       (uint32_t)(off >> DDFS_BLOCK_SHIFT), &m) &&
	       m.kind == DDFS_MAP_WRITTEN &&
	       ddfs_bad_find(ip->fs, (struct ddfs_range){ m.pblk, 1 }).len;
}

/* A bad block can't be zeroed in part: its other bytes are lost, and must not seem not to be. */
static int check_edges(const struct ddfs_inode *ip, const struct request *q)
{
	if (!ddfs_bad_any(&ip->fs->bad))
		return 0;
	return (q->off % DDFS_BLOCK_BYTES && is_bad(ip, q->off)) ||
			       (q->end % DDFS_BLOCK_BYTES && is_bad(ip, q->end))
		       ? -EIO
		       : 0;
}

static void touch_change(struct ddfs_inode_disk *di, void *arg)
{
	(void)arg;
	ddfs_touch(di, true);
}

/* A map taken apart: what stays of it and what goes. */
struct parts {
	struct ddfs_extents keep, drop;
};

typedef int (*change_fn)(
	struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q, struct parts *x);

/* A change of the map as a whole. Its parts are freed, whatever could not be read. */
static int change_parts(
	struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q, change_fn change)
{
	struct parts x = { 0 };
	int err;

	ddfs_guard_keep(&x);
	err = DDFS_GUARDED(op->fs, change(op, ip, q, &x));
	ddfs_extents_fini(&x.keep);
	ddfs_extents_fini(&x.drop);
	return err;
}

/* What goes is that of q's whole blocks. */
static int split_out(struct ddfs_inode *ip, const struct request *q, struct parts *x)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	int err = ddfs_extents_load(ip->fs, di, 0, q->first, &x->keep);

	if (!err)
		err = ddfs_extents_load(ip->fs, di, q->first, q->last - q->first, &x->drop);
	if (!err)
		err = ddfs_extents_load(ip->fs, di, q->last, UINT32_MAX - q->last, &x->keep);
	return err;
}

static int punch_large(
	struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q, struct parts *x)
{
	int err = split_out(ip, q, x);

	return err ? err : ddfs_extents_replace(op, ip, &x->keep, &x->drop, touch_change, NULL);
}

/* On a filesystem too full for punch_large: piece by piece, each as atomic as any transaction. */
static int punch_pieces(struct ddfs_op *op, struct ddfs_inode *ip, uint32_t first, uint32_t last)
{
	ddfs_op_abort(op);
	while (first < last) {
		uint32_t n = last - first;
		struct ddfs_inode_disk *di;
		int err;

		while (!ddfs_extent_range_is_small(
			op->fs, NULL, ddfs_inode_view(ip, NULL), first, n))
			n = (n + 1) / 2;
		err = ddfs_op_tx_reserve(op);
		if (err)
			return err;
		di = ddfs_inode_edit(op->tx, ip);
		err = ddfs_extent_remove(op->tx, di, first, n, true);
		if (!err)
			err = ddfs_op_commit(op);
		if (err)
			return err;
		first += n;
	}
	return 0;
}

/* A DAX file gives up whole units; the rest of what is punched becomes unwritten. */
static int punch(struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q)
{
	uint64_t unit = ddfs_file_unit(ip);
	uint32_t first = (uint32_t)((q->first + unit - 1) / unit * unit);
	uint32_t last = (uint32_t)(q->last / unit * unit);
	struct ddfs_inode_disk *di;
	int err = check_edges(ip, q);

	if (!err)
		err = ddfs_break_layouts(op, ip, q->first, q->last, q->wait);
	if (err)
		return err;
	if (first < last && !ddfs_extent_range_is_small(
				    op->fs, NULL, ddfs_inode_view(ip, NULL), first, last - first)) {
		struct request whole = { .first = first, .last = last };

		err = change_parts(op, ip, &whole, punch_large);
		if (err == -ENOSPC)
			err = punch_pieces(op, ip, first, last);
	}
	if (!err)
		err = ddfs_op_tx_reserve(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	ddfs_touch(di, true);
	if (q->first < q->last && unit > 1)
		err = ddfs_extent_convert(
			op->tx, di, q->first, q->last - q->first, DDFS_MAP_UNWRITTEN);
	if (!err && first < last)
		err = ddfs_extent_remove(op->tx, di, first, last - first, true);
	if (!err)
		err = ddfs_op_commit(op);
	/* Behind what can fail: then the contents are as they were. */
	if (!err)
		err = zero_edges(ip, q);
	return err ? err : op->fs->media->ops->drain(op->fs->media);
}

/* Extents of the range, made unwritten; blocks stay where they are. */
static int unwrite_large(
	struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q, struct parts *x)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	struct ddfs_extents *keep = &x->keep;
	int err = ddfs_extents_load(ip->fs, di, 0, q->first, keep);
	size_t from = keep->nr;

	if (!err)
		err = ddfs_extents_load(ip->fs, di, q->first, q->last - q->first, keep);
	for (size_t i = from; i < keep->nr; i++)
		keep->e[i].start = ddfs_to64(ddfs_le64(keep->e[i].start) | DDFS_EXTENT_UNWRITTEN);
	if (!err)
		err = ddfs_extents_load(ip->fs, di, q->last, UINT32_MAX - q->last, keep);
	return err ? err : ddfs_extents_replace(op, ip, keep, &x->drop, touch_change, NULL);
}

static int unwrite(struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q)
{
	struct ddfs_inode_disk *di;
	int err;

	if (q->first >= q->last)
		return 0;
	if (!ddfs_extent_range_is_small(
		    op->fs, NULL, ddfs_inode_view(ip, NULL), q->first, q->last - q->first))
		return change_parts(op, ip, q, unwrite_large);
	err = ddfs_op_tx_reserve(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	err = ddfs_extent_convert(op->tx, di, q->first, q->last - q->first, DDFS_MAP_UNWRITTEN);
	return err ? err : ddfs_op_commit(op);
}

static int zero_range(struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q)
{
	int err = check_edges(ip, q);

	if (!err)
		err = ddfs_break_layouts(op, ip, q->first, q->last, q->wait);
	/* What may lack room comes first: a failure leaves the contents as they were. */
	if (!err)
		err = reserve(op, ip, q);
	if (!err)
		err = unwrite(op, ip, q);
	if (!err)
		err = zero_edges(ip, q);
	return err ? err : touch_size(op, ip, q, true);
}

/* ---- collapse and insert -------------------------------------------------------------------- */

struct move {
	uint64_t size;
};

static void change_size(struct ddfs_inode_disk *di, void *arg)
{
	di->size = ddfs_to64(((struct move *)arg)->size);
	ddfs_touch(di, true);
}

/* Extents from index from on move by blocks. */
static void shift(struct ddfs_extents *x, size_t from, int64_t blocks)
{
	for (size_t i = from; i < x->nr; i++)
		x->e[i].lblk = ddfs_to32((uint32_t)((int64_t)ddfs_le32(x->e[i].lblk) + blocks));
}

/* Both want whole units, so that a DAX file's extents stay congruent. */
static int check_units(const struct ddfs_inode *ip, const struct request *q)
{
	uint64_t bytes = ddfs_file_unit(ip) << DDFS_BLOCK_SHIFT;

	return q->off % bytes || q->len % bytes ? -EINVAL : 0;
}

static int collapse(
	struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q, struct parts *x)
{
	uint64_t size = ddfs_le64(ddfs_inode_view(ip, NULL)->size);
	struct ddfs_extents *keep = &x->keep;
	struct move m = { size - q->len };
	size_t from;
	int err = check_units(ip, q);

	if (!err && q->end >= size)
		err = -EINVAL;
	if (!err)
		err = ddfs_break_layouts(op, ip, q->first, UINT64_MAX, q->wait);
	if (!err)
		err = split_out(ip, q, x);
	for (from = 0; from < keep->nr && ddfs_le32(keep->e[from].lblk) < q->first; from++)
		;
	shift(keep, from, -(int64_t)(q->last - q->first));
	return err ? err : ddfs_extents_replace(op, ip, keep, &x->drop, change_size, &m);
}

static int insert(
	struct ddfs_op *op, struct ddfs_inode *ip, const struct request *q, struct parts *x)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	uint64_t size = ddfs_le64(di->size);
	struct ddfs_extents *keep = &x->keep;
	struct move m = { size + q->len };
	size_t from = 0;
	int err = check_units(ip, q);

	if (!err && q->off >= size)
		err = -EINVAL;
	if (!err && q->len > DDFS_FILE_SIZE_MAX - size)
		err = -EFBIG;
	if (!err)
		err = ddfs_break_layouts(op, ip, q->first, UINT64_MAX, q->wait);
	if (!err)
		err = ddfs_extents_load(ip->fs, di, 0, q->first, keep);
	from = keep->nr;
	if (!err)
		err = ddfs_extents_load(ip->fs, di, q->first, UINT32_MAX - q->first, keep);
	/* Blocks reserved far behind the end may not fit any more. */
	if (!err && keep->nr > from &&
		(uint64_t)ddfs_le32(keep->e[keep->nr - 1].lblk) +
				ddfs_le32(keep->e[keep->nr - 1].len) +
				(q->len >> DDFS_BLOCK_SHIFT) >
			UINT32_MAX)
		err = -EFBIG;
	if (err)
		return err;
	shift(keep, from, (int64_t)(q->len >> DDFS_BLOCK_SHIFT));
	return ddfs_extents_replace(op, ip, keep, &x->drop, change_size, &m);
}

/* ---- the call ------------------------------------------------------------------------------- */

static int dispatch(struct ddfs_op *op, struct ddfs_inode *ip, int mode, const struct request *q)
{
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
		return allocate(op, ip, q);
	case FALLOC_FL_PUNCH_HOLE:
		return q->keep_size ? punch(op, ip, q) : -EOPNOTSUPP;
	case FALLOC_FL_ZERO_RANGE:
		return zero_range(op, ip, q);
	case FALLOC_FL_COLLAPSE_RANGE:
		return q->keep_size ? -EINVAL : change_parts(op, ip, q, collapse);
	case FALLOC_FL_INSERT_RANGE:
		return q->keep_size ? -EINVAL : change_parts(op, ip, q, insert);
	default:
		return -EOPNOTSUPP;
	}
}

static int may_change(const struct ddfs_inode *ip, int mode)
{
	uint32_t flags = ddfs_le32(ddfs_inode_view(ip, NULL)->flags);

	if (flags & DDFS_FLAG_IMMUTABLE)
		return -EPERM;
	if (flags & DDFS_FLAG_APPEND && mode & ~FALLOC_FL_KEEP_SIZE)
		return -EPERM;
	return ddfs_fs_writable(ip->fs);
}

static int check_and_change(
	struct ddfs_op *op, struct ddfs_inode *ip, int mode, const struct request *q)
{
	int err = ddfs_file_check(ip);

	if (err == -EISDIR || err == -EINVAL)
		err = -ENODEV;
	if (!err)
		err = may_change(ip, mode);
	return err ? err : dispatch(op, ip, mode, q);
}

int ddfs_fallocate(
	struct ddfs_inode *ip, int mode, uint64_t off, uint64_t len, struct ddfs_wait *wait)
{
	struct request q = { .off = off,
		.len = len,
		.end = off + len,
		.keep_size = mode & FALLOC_FL_KEEP_SIZE,
		.wait = wait };
	struct ddfs_op op;

	if (!len)
		return -EINVAL;
	if (off > DDFS_FILE_SIZE_MAX || len > DDFS_FILE_SIZE_MAX - off) {
		/* Nothing lies there: punching it is done. */
		if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
			return -EFBIG;
		q.end = DDFS_FILE_SIZE_MAX;
		if (off >= q.end)
			return 0;
		q.len = q.end - off;
	}
	q.first = ddfs_file_end_block(q.off);
	q.last = (uint32_t)(q.end >> DDFS_BLOCK_SHIFT);
	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, check_and_change(&op, ip, mode, &q)));
}
