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
	uint64_t in_block = off_in % DDFS_BLOCK_BYTES, run;
	struct ddfs_map m;
	int err = ddfs_extent_lookup(op->fs, NULL, ddfs_inode_view(in, NULL),
		(uint32_t)(off_in >> DDFS_BLOCK_SHIFT), &m);

	if (err)
		return err;
	run = ((uint64_t)m.len << DDFS_BLOCK_SHIFT) - in_block;
	if (run > len)
		run = len;
	if (m.kind != DDFS_MAP_WRITTEN)
		return copy_hole(op, out, off_out, run);
	return ddfs_write_locked(
		op, out, off_out, op->fs->base + ddfs_block_off(m.pblk) + in_block, run, 0);
}

static ssize_t copy_all(struct ddfs_op *op, struct ddfs_inode *in, uint64_t off_in,
	struct ddfs_inode *out, uint64_t off_out, uint64_t len, struct ddfs_wait *wait)
{
	uint64_t size = ddfs_le64(ddfs_inode_view(in, NULL)->size), done = 0;
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
	while (done < len) {
		ssize_t n = copy_run(op, in, off_in + done, out, off_out + done, len - done);

		if (n < 0)
			return done ? (ssize_t)done : n;
		done += (uint64_t)n;
	}
	return (ssize_t)done;
}

ssize_t ddfs_copy_range(struct ddfs_inode *in, uint64_t off_in, struct ddfs_inode *out,
	uint64_t off_out, size_t len, struct ddfs_wait *wait)
{
	struct ddfs_op op;
	ssize_t ret;

	ddfs_op_begin(&op, in->fs);
	ddfs_op_lock_two(&op, in, out);
	ret = ddfs_file_check(in);
	if (!ret)
		ret = ddfs_file_check(out);
	if (!ret)
		ret = ddfs_fs_writable(op.fs);
	if (!ret && ddfs_le32(ddfs_inode_view(out, NULL)->flags) &
			    (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		ret = -EPERM;
	if (!ret)
		ret = copy_all(&op, in, off_in, out, off_out, len, wait);
	ddfs_op_end(&op, 0);
	return ret;
}
