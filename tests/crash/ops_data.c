/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on what files hold. */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/world.h"

static uint64_t blocks_up(uint64_t bytes)
{
	return (bytes + SNAP_BLOCK - 1) / SNAP_BLOCK;
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool is_append(const struct crash_op *op)
{
	return strcmp(op->kind->name, "append") == 0;
}

static uint64_t len_of(const struct crash_op *op)
{
	return is_append(op) ? op->n[0] : op->n[1];
}

/* What is appended is a pattern from 0 on. */
static int64_t call_write(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	unsigned int flags = (is_append(op) ? DDFS_WRITE_APPEND : 0) |
			     (strcmp(op->word, "kill") == 0 ? DDFS_WRITE_KILL_PRIV : 0);
	uint64_t off = is_append(op) ? 0 : op->n[0], len = len_of(op);
	struct ddfs_inode *ip;
	int64_t ret = world_get(w, fs, op->path, &ip);
	uint8_t *buf;

	if (ret)
		return ret;
	buf = malloc(len + 1);
	op_pattern(op, off, buf, len);
	ret = ddfs_write(ip, off, buf, len, flags);
	free(buf);
	ddfs_inode_put(ip);
	return ret;
}

static int64_t model_write(struct crash_world *w, const struct crash_op *op)
{
	uint64_t off = is_append(op) ? 0 : op->n[0], len = len_of(op), at = off;
	struct snap_node *n;
	uint8_t *buf;
	int err = world_find(w, op->path, &n);

	if (!err)
		err = world_check_file(n);
	if (!err && n->flags & DDFS_FLAG_IMMUTABLE)
		err = -EPERM;
	if (err || !len)
		return err;
	/* With no more room it may have written less. */
	if (w->full && w->got > 0 && (uint64_t)w->got < len)
		len = (uint64_t)w->got;
	if (is_append(op))
		at = n->size;
	buf = malloc(len);
	op_pattern(op, off, buf, len);
	snap_node_write(n, at, buf, len);
	free(buf);
	if (at + len > n->size)
		n->size = at + len;
	world_touch(n, true);
	if (strcmp(op->word, "kill") == 0)
		world_kill_priv(n);
	return (int64_t)len;
}

/* ---- fallocate ------------------------------------------------------------------------------ */

static int fallocate_mode(const struct crash_op *op)
{
	static const struct {
		const char *word;
		int mode;
	} modes[] = { { "alloc", 0 }, { "keep", FALLOC_FL_KEEP_SIZE },
		{ "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
		{ "zero", FALLOC_FL_ZERO_RANGE },
		{ "zerokeep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
		{ "collapse", FALLOC_FL_COLLAPSE_RANGE }, { "insert", FALLOC_FL_INSERT_RANGE } };

	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(op->word, modes[i].word) == 0)
			return modes[i].mode;
	return -1;
}

static int64_t call_fallocate(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *ip;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	err = ddfs_fallocate(ip, fallocate_mode(op), op->n[0], op->n[1], NULL);
	ddfs_inode_put(ip);
	return err;
}

static int check_shift(const struct crash_world *w, const struct snap_node *n, int mode,
	uint64_t off, uint64_t len)
{
	uint64_t unit = world_unit(w, n);

	if (off % unit || len % unit)
		return -EINVAL;
	if (mode == FALLOC_FL_COLLAPSE_RANGE ? off + len >= n->size : off >= n->size)
		return -EINVAL;
	return world_is_pinned(w, n, off / SNAP_BLOCK, UINT64_MAX) ? -EBUSY : 0;
}

static int check_fallocate(const struct crash_world *w, const struct snap_node *n, int mode,
	uint64_t off, uint64_t len)
{
	if (!S_ISREG(n->mode))
		return -ENODEV;
	if (n->flags & DDFS_FLAG_IMMUTABLE)
		return -EPERM;
	if (n->flags & DDFS_FLAG_APPEND && mode & ~FALLOC_FL_KEEP_SIZE)
		return -EPERM;
	if (mode == FALLOC_FL_COLLAPSE_RANGE || mode == FALLOC_FL_INSERT_RANGE)
		return check_shift(w, n, mode, off, len);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) &&
		world_is_pinned(w, n, blocks_up(off), (off + len) / SNAP_BLOCK))
		return -EBUSY;
	return 0;
}

static int64_t model_fallocate(struct crash_world *w, const struct crash_op *op)
{
	uint64_t off = op->n[0], len = op->n[1];
	int mode = fallocate_mode(op), err;
	struct snap_node *n;
	bool grows;

	err = world_find(w, op->path, &n);
	if (!err)
		err = check_fallocate(w, n, mode, off, len);
	if (err)
		return err;
	grows = off + len > n->size && !(mode & FALLOC_FL_KEEP_SIZE) &&
		mode != FALLOC_FL_COLLAPSE_RANGE && mode != FALLOC_FL_INSERT_RANGE;
	if (mode == FALLOC_FL_COLLAPSE_RANGE)
		snap_node_collapse(n, off, len);
	else if (mode == FALLOC_FL_INSERT_RANGE)
		snap_node_insert(n, off, len);
	else if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		snap_node_write(n, off, NULL, len);
	if (grows)
		n->size = off + len;
	world_touch(n, grows || mode & ~FALLOC_FL_KEEP_SIZE);
	return 0;
}

/* ---- copying -------------------------------------------------------------------------------- */

/* copy FROM TO OFF_FROM OFF_TO LEN */
static int64_t call_copy(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *in, *out;
	int64_t ret = world_get(w, fs, op->path, &in);

	if (ret)
		return ret;
	ret = world_get(w, fs, op->to, &out);
	if (!ret) {
		ret = ddfs_copy_range(in, op->n[0], out, op->n[1], op->n[2], NULL);
		ddfs_inode_put(out);
	}
	ddfs_inode_put(in);
	return ret;
}

static int check_copy(const struct snap_node *in, const struct snap_node *out)
{
	if (!S_ISREG(in->mode) || !S_ISREG(out->mode))
		return S_ISDIR(in->mode) || S_ISDIR(out->mode) ? -EISDIR : -EINVAL;
	return out->flags & (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND) ? -EPERM : 0;
}

static void apply_copy(
	struct snap_node *in, uint64_t from, struct snap_node *out, uint64_t to, uint64_t len)
{
	uint8_t *buf = malloc(len);

	snap_node_read(in, from, buf, len);
	snap_node_write(out, to, buf, len);
	free(buf);
	if (to + len > out->size)
		out->size = to + len;
	world_touch(out, true);
}

static int64_t model_copy(struct crash_world *w, const struct crash_op *op)
{
	uint64_t from = op->n[0], to = op->n[1], len = op->n[2];
	struct snap_node *in, *out;
	int err = world_find(w, op->path, &in);

	if (!err)
		err = world_find(w, op->to, &out);
	if (!err)
		err = check_copy(in, out);
	if (err || from >= in->size)
		return err;
	if (len > in->size - from)
		len = in->size - from;
	if (in == out && from < to + len && to < from + len)
		return -EINVAL;
	if (world_is_pinned(w, out, to / SNAP_BLOCK, blocks_up(to + len)))
		return -EBUSY;
	if (w->full && w->got > 0 && (uint64_t)w->got < len)
		len = (uint64_t)w->got;
	apply_copy(in, from, out, to, len);
	return (int64_t)len;
}

/* ---- flushing ------------------------------------------------------------------------------- */

static int64_t call_fsync(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	bool data = strcmp(op->word, "data") == 0;
	struct ddfs_inode *ip;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	if (strcmp(op->kind->name, "osync") == 0)
		err = ddfs_write_sync(ip, data);
	else if (strcmp(op->kind->name, "syncrange") == 0)
		err = ddfs_sync_range(ip, op->n[0], op->n[1]);
	else
		err = ddfs_fsync(ip, data);
	ddfs_inode_put(ip);
	return err;
}

static int64_t model_fsync(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n;
	int err = world_find(w, op->path, &n);

	if (!err && strcmp(op->kind->name, "syncrange") == 0)
		err = world_check_file(n);
	return err;
}

static int64_t call_sync(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_statfs st;

	(void)w;
	if (strcmp(op->kind->name, "sync") == 0)
		return ddfs_fs_sync(fs);
	/* Gives back what the inode table has too much. */
	if (strcmp(op->kind->name, "statfs") == 0)
		return ddfs_fs_statfs(fs, &st);
	ddfs_fs_writeback(fs);
	return 0;
}

static int64_t model_sync(struct crash_world *w, const struct crash_op *op)
{
	(void)w;
	(void)op;
	return 0;
}

/* fault a OFF LEN: its holes there become blocks of zeroes */
static int64_t call_fault(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_file_extent e;
	struct ddfs_inode *ip;
	uint64_t next;
	int ret = world_get(w, fs, op->path, &ip);

	if (ret)
		return ret;
	ret = ddfs_layout_query(ip, op->n[0], op->n[1], true, &e, 1, &next);
	ddfs_inode_put(ip);
	return ret < 0 ? ret : 0;
}

static int64_t model_fault(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n;
	int err = world_find(w, op->path, &n);

	if (!err)
		err = world_check_file(n);
	if (!err && !world_is_dax(w, n))
		err = -EOPNOTSUPP;
	if (!err && n->flags & (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		err = -EPERM;
	return err;
}

/* ---- preparations --------------------------------------------------------------------------- */

/* extents a NR: as many blocks, with a hole before each */
static int64_t call_extents(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	uint8_t buf[SNAP_BLOCK];
	struct ddfs_inode *ip;
	int64_t ret = world_get(w, fs, op->path, &ip);

	if (ret)
		return ret;
	for (uint64_t i = 0; i < op->n[0] && ret >= 0; i++) {
		op_pattern(op, (2 * i + 1) * SNAP_BLOCK, buf, sizeof(buf));
		ret = ddfs_write(ip, (2 * i + 1) * SNAP_BLOCK, buf, sizeof(buf), 0);
	}
	ddfs_inode_put(ip);
	return ret < 0 ? ret : 0;
}

static int64_t model_extents(struct crash_world *w, const struct crash_op *op)
{
	uint8_t buf[SNAP_BLOCK];
	struct snap_node *n;
	int err = world_find(w, op->path, &n);

	if (err)
		return err;
	for (uint64_t i = 0; i < op->n[0]; i++) {
		op_pattern(op, (2 * i + 1) * SNAP_BLOCK, buf, sizeof(buf));
		snap_node_write(n, (2 * i + 1) * SNAP_BLOCK, buf, sizeof(buf));
	}
	if (2 * op->n[0] * SNAP_BLOCK > n->size)
		n->size = 2 * op->n[0] * SNAP_BLOCK;
	world_touch(n, true);
	return 0;
}

static uint64_t room(struct ddfs_fs *fs)
{
	struct ddfs_statfs st;

	ddfs_fs_statfs(fs, &st);
	return st.nr_avail;
}

/* fill a LEAVE: reserves blocks behind the file's end until no more than that are left */
static int64_t call_fill(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	uint64_t step = 1024, at = 0;
	struct ddfs_inode *ip;
	int err = world_get(w, fs, op->path, &ip);

	if (err)
		return err;
	while (step && room(fs) > op->n[0]) {
		uint64_t left = room(fs) - op->n[0];

		step = step < left ? step : left;
		err = ddfs_fallocate(
			ip, FALLOC_FL_KEEP_SIZE, at * SNAP_BLOCK, step * SNAP_BLOCK, NULL);
		if (!err)
			at += step;
		else if (err == -ENOSPC)
			step /= 2;
		else
			break;
	}
	ddfs_inode_put(ip);
	return err == -ENOSPC ? 0 : err;
}

static int64_t model_fill(struct crash_world *w, const struct crash_op *op)
{
	struct snap_node *n;
	int err = world_find(w, op->path, &n);

	if (err)
		return err;
	w->full = true;
	world_touch(n, false);
	return 0;
}

const struct op_kind op_kinds_data[] = {
	{ "write", "pnnW", JUDGE_PIECES, OP_TAKES_SPACE, call_write, model_write },
	{ "append", "pnW", JUDGE_PIECES, OP_TAKES_SPACE, call_write, model_write },
	{ "fallocate", "pwnn", JUDGE_PIECES, OP_TAKES_SPACE, call_fallocate, model_fallocate },
	{ "copy", "pqnnn", JUDGE_PIECES, OP_TAKES_SPACE | OP_ANY_SIZE, call_copy, model_copy },
	{ "fsync", "pW", JUDGE_WHOLE, OP_SYNCS, call_fsync, model_fsync },
	{ "osync", "pW", JUDGE_WHOLE, OP_SYNCS, call_fsync, model_fsync },
	{ "syncrange", "pnn", JUDGE_WHOLE, OP_SYNCS, call_fsync, model_fsync },
	{ "sync", "", JUDGE_WHOLE, OP_SYNCS, call_sync, model_sync },
	{ "writeback", "", JUDGE_WHOLE, 0, call_sync, model_sync },
	{ "statfs", "", JUDGE_WHOLE, 0, call_sync, model_sync },
	{ "fault", "pnn", JUDGE_PIECES, OP_TAKES_SPACE, call_fault, model_fault },
	{ "extents", "pn", JUDGE_WHOLE, OP_PREPARES, call_extents, model_extents },
	{ "fill", "pn", JUDGE_WHOLE, OP_PREPARES, call_fill, model_fill },
	{ 0 },
};
