/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks for the holes of a file: all that are asked for, or none. */
#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/file.h"
#include "fs/tx.h"

/* Most blocks that one transaction maps here: each chunk is a record in its lane. */
#define STEP_BLOCKS (64u * DDFS_CHUNK_BLOCKS)
#define STEP_RUNS   24u
/* Bytes of shadows after which a step ends: each run may move all entries of another leaf. */
#define STEP_ARENA (24u << 10)

/* The block behind that of lblk - 1, so that what is put there joins it; 0: none. */
static uint64_t goal_of(const struct ddfs_inode *ip, uint64_t lblk, const struct ddfs_extents *runs)
{
	const struct ddfs_extent *e = runs->nr ? &runs->e[runs->nr - 1] : NULL;
	struct ddfs_map m;

	if (e && (uint64_t)ddfs_le32(e->lblk) + ddfs_le32(e->len) == lblk)
		return (ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN) + ddfs_le32(e->len);
	if (!lblk ||
		ddfs_extent_lookup(
			ip->fs, NULL, ddfs_inode_view(ip, NULL), (uint32_t)lblk - 1, &m) ||
		m.kind == DDFS_MAP_HOLE)
		return 0;
	return m.pblk + 1;
}

/* Runs for [lblk, last), promised in memory before anything changes on media, so that running out
 * of space leaves nothing behind. */
static int promise(struct ddfs_inode *ip, uint64_t lblk, uint64_t last, uint64_t align,
	struct ddfs_extents *runs)
{
	while (lblk < last) {
		struct ddfs_map m = { .lblk = (uint32_t)lblk, .kind = DDFS_MAP_UNWRITTEN };
		struct ddfs_range r;
		int err = ddfs_alloc_get(
			ip->fs, goal_of(ip, lblk, runs), last - lblk, align, DDFS_ALLOC_FEW, &r);

		if (err)
			return err;
		m.pblk = r.start;
		m.len = (uint32_t)r.len;
		err = ddfs_extents_add(runs, &m);
		if (err) {
			ddfs_alloc_put(ip->fs, r);
			return err;
		}
		lblk += r.len;
	}
	return 0;
}

/* Whole units of a DAX file are aligned; of those at the ends, parts of which are mapped, what is
 * left is not. */
static int promise_hole(
	struct ddfs_inode *ip, uint64_t first, uint64_t last, struct ddfs_extents *runs)
{
	uint64_t unit = ddfs_file_unit(ip);
	uint64_t up = (first + unit - 1) / unit * unit, down = last / unit * unit;
	int err;

	if (up >= down)
		return promise(ip, first, last, 1, runs);
	err = promise(ip, first, up, 1, runs);
	if (!err)
		err = promise(ip, up, down, unit, runs);
	return err ? err : promise(ip, down, last, 1, runs);
}

static DDFS_GUARD_STEP int promise_all(
	struct ddfs_inode *ip, uint32_t first, uint32_t last, struct ddfs_extents *runs)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	for (uint64_t at = first; at < last;) {
		struct ddfs_map m;
		int err = ddfs_extent_lookup(ip->fs, NULL, di, (uint32_t)at, &m);

		if (err)
			return err;
		if (at + m.len > last)
			m.len = last - (uint32_t)at;
		if (m.kind == DDFS_MAP_HOLE)
			err = promise_hole(ip, m.lblk, (uint64_t)m.lblk + m.len, runs);
		if (err)
			return err;
		at += m.len;
	}
	return 0;
}

/* Give back the runs from *at on; *done blocks of the first are in use. */
static void give_back(struct ddfs_fs *fs, const struct ddfs_extents *runs, size_t at, uint32_t done)
{
	for (; at < runs->nr; at++, done = 0) {
		uint64_t start = ddfs_le64(runs->e[at].start) & ~DDFS_EXTENT_UNWRITTEN;

		ddfs_alloc_put(
			fs, (struct ddfs_range){ start + done, ddfs_le32(runs->e[at].len) - done });
	}
}

/* Map some of the runs, from block *done of run *at on. If it ends half-way, the abort gives back
 * what was adopted, and the caller the rest: both are known at every moment. */
static DDFS_GUARD_STEP int map_step(struct ddfs_op *op, struct ddfs_inode *ip,
	const struct ddfs_extents *runs, size_t *at, uint32_t *done)
{
	uint32_t budget = STEP_BLOCKS;
	struct ddfs_inode_disk *di;
	int err = ddfs_op_tx(op);

	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	for (unsigned int n = 0; n < STEP_RUNS && *at < runs->nr && budget &&
				 op->tx->arena_used < STEP_ARENA && !err;
		n++) {
		const struct ddfs_extent *e = &runs->e[*at];
		uint32_t d = *done, left = ddfs_le32(e->len) - d;
		uint32_t len = left < budget ? left : budget;
		struct ddfs_map m = { ddfs_le32(e->lblk) + d, len,
			(ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN) + d, DDFS_MAP_UNWRITTEN };

		ddfs_tx_adopt(op->tx, (struct ddfs_range){ m.pblk, len });
		*done = len < left ? d + len : 0;
		*at += len == left;
		budget -= len;
		err = ddfs_extent_insert(op->tx, di, &m);
	}
	return err ? err : ddfs_op_commit(op);
}

static int allocate(struct ddfs_op *op, struct ddfs_inode *ip, uint32_t first, uint32_t last)
{
	struct ddfs_extents runs = { 0 };
	size_t at = 0;
	uint32_t done = 0;
	int err;

	ddfs_guard_keep(&runs);
	ddfs_guard_keep(&at);
	ddfs_guard_keep(&done);
	err = DDFS_GUARDED(op->fs, promise_all(ip, first, last, &runs));
	while (!err && at < runs.nr)
		err = DDFS_GUARDED(op->fs, map_step(op, ip, &runs, &at, &done));
	if (err)
		give_back(op->fs, &runs, at, done);
	ddfs_extents_fini(&runs);
	return err;
}

int ddfs_file_allocate(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t first, uint64_t last)
{
	uint64_t unit = ddfs_file_unit(ip);

	first = first / unit * unit;
	last = (last + unit - 1) / unit * unit;
	if (last > UINT32_MAX)
		last = UINT32_MAX;
	return allocate(op, ip, (uint32_t)first, (uint32_t)last);
}
