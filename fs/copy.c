/* SPDX-License-Identifier: BSD-3-Clause */
/* copy_file_range(2): from media to media, with no trip through the kernel. */
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/extent.h"
#include "fs/file.h"
#include "fs/layout_break.h"

/* Locks are held meanwhile: a larger request is answered in part, and asked for again. */
#define COPY_MAX (UINT64_C(64) << 20)

static int touch(struct ddfs_tx *tx, struct ddfs_inode_disk *di, void *arg)
{
	(void)tx;
	(void)arg;
	ddfs_touch(di, true);
	return 0;
}

/* Zeroes: where out has a hole too it keeps it. */
static ssize_t copy_hole(struct ddfs_op *op, struct ddfs_inode *out, uint64_t off, uint64_t len)
{
	uint64_t in_block = off % DDFS_BLOCK_BYTES, run;
	struct ddfs_map m;
	int err = ddfs_extent_lookup(
		op->fs, NULL, ddfs_inode_view(out, NULL), (uint32_t)(off >> DDFS_BLOCK_SHIFT), &m);

	if (err)
		return err;
	run = ((uint64_t)m.len << DDFS_BLOCK_SHIFT) - in_block;
	if (run > len)
		run = len;
	if (m.kind == DDFS_MAP_WRITTEN)
		return ddfs_write_locked(
			op, out, off, op->fs->zeroes, run < DDFS_IO_MAX ? run : DDFS_IO_MAX, 0);
	if (off + run > ddfs_le64(ddfs_inode_view(out, NULL)->size))
		err = ddfs_resize(op, out, off + run, touch, NULL);
	return err ? err : (ssize_t)run;
}

/* Copy what one run of in's map gives, at most len bytes. */
static ssize_t copy_run(struct ddfs_op *op, struct ddfs_inode *in, uint64_t off_in,
	struct ddfs_inode *out, uint64_t off_out, uint64_t len)
{
	uint64_t in_block = off_in % DDFS_BLOCK_BYTES, run, at;
	struct ddfs_map m;
	size_t n;
	int err = ddfs_extent_lookup(op->fs, NULL, ddfs_inode_view(in, NULL),
		(uint32_t)(off_in >> DDFS_BLOCK_SHIFT), &m);

	if (err)
		return err;
	run = ((uint64_t)m.len << DDFS_BLOCK_SHIFT) - in_block;
	if (run > len)
		run = len;
	if (m.kind != DDFS_MAP_WRITTEN)
		return copy_hole(op, out, off_out, run);
	at = ddfs_block_off(m.pblk) + in_block;
	n = ddfs_bad_readable(op->fs, at, run < DDFS_IO_MAX ? run : DDFS_IO_MAX);
	return n ? ddfs_write_locked(op, out, off_out, op->fs->base + at, n, 0) : -EIO;
}

/* *done: also if it ends half-way. */
static int copy_all(struct ddfs_op *op, struct ddfs_inode *in, uint64_t off_in,
	struct ddfs_inode *out, uint64_t off_out, uint64_t len, struct ddfs_wait *wait,
	uint64_t *done)
{
	uint64_t size = ddfs_le64(ddfs_inode_view(in, NULL)->size);
	int err;

	if (off_in >= size)
		return 0;
	if (len > size - off_in)
		len = size - off_in;
	if (len > COPY_MAX)
		len = COPY_MAX;
	if (off_out >= DDFS_FILE_SIZE_MAX)
		return -EFBIG;
	if (len > DDFS_FILE_SIZE_MAX - off_out)
		len = DDFS_FILE_SIZE_MAX - off_out;
	if (in == out && off_in < off_out + len && off_out < off_in + len)
		return -EINVAL;
	err = ddfs_break_layouts(op, out, off_out >> DDFS_BLOCK_SHIFT,
		(off_out + len + DDFS_BLOCK_BYTES - 1) >> DDFS_BLOCK_SHIFT, wait);
	if (err)
		return err;
	while (*done < len) {
		ssize_t n = copy_run(op, in, off_in + *done, out, off_out + *done, len - *done);

		if (n < 0)
			return (int)n;
		*done += (uint64_t)n;
	}
	return 0;
}

static DDFS_GUARD_STEP int check_and_copy(struct ddfs_op *op, struct ddfs_inode *in,
	uint64_t off_in, struct ddfs_inode *out, uint64_t off_out, uint64_t len,
	struct ddfs_wait *wait, uint64_t *done)
{
	int err = ddfs_file_check(in);

	if (!err)
		err = ddfs_file_check(out);
	if (!err)
		err = ddfs_fs_writable(op->fs);
	if (!err && ddfs_le32(ddfs_inode_view(out, NULL)->flags) &
			    (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		err = -EPERM;
	return err ? err : copy_all(op, in, off_in, out, off_out, len, wait, done);
}

ssize_t ddfs_copy_range(struct ddfs_inode *in, uint64_t off_in, struct ddfs_inode *out,
	uint64_t off_out, size_t len, struct ddfs_wait *wait)
{
	struct ddfs_op op;
	uint64_t done = 0;
	int err;

	/* Directories have another order of locks. */
	if (in->type != S_IFREG || out->type != S_IFREG)
		return in->type == S_IFDIR || out->type == S_IFDIR ? -EISDIR : -EINVAL;
	ddfs_op_begin(&op, in->fs);
	ddfs_op_lock_two(&op, in, out);
	ddfs_guard_keep(&done);
	err = DDFS_GUARDED(op.fs, check_and_copy(&op, in, off_in, out, off_out, len, wait, &done));
	ddfs_op_end(&op, err);
	return done ? (ssize_t)done : err;
}
