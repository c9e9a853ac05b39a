/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/layout_break.h"

#include <assert.h>

#include "fs/core.h"
#include "fs/extent.h"
#include "fs/held.h"
#include "fs/op.h"

/* The first held page of the run. A page that only a record without a file holds is no reason to
 * wait, since nobody would wake: ddfs_held_take keeps it out of use when it is given back. */
static bool run_is_busy(struct ddfs_fs *fs, const struct ddfs_map *m, uint64_t *page)
{
	uint64_t at = m->pblk, end = m->pblk + m->len;

	while (at < end) {
		at = ddfs_pagemap_busy_page(fs->pins.pagemap, at, end - at);
		if (at >= end)
			return false;
		if (!ddfs_held_has_stray(fs, at)) {
			*page = at;
			return true;
		}
		at++;
	}
	return false;
}

int ddfs_layout_busy_page(struct ddfs_inode *ip, uint64_t first, uint64_t last, uint64_t *page)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	if (last > UINT32_MAX)
		last = UINT32_MAX;
	while (first < last) {
		struct ddfs_map m;
		int err = ddfs_extent_lookup(ip->fs, NULL, di, (uint32_t)first, &m);

		if (err)
			return err;
		if (m.len > last - first)
			m.len = (uint32_t)(last - first);
		if (m.kind != DDFS_MAP_HOLE && run_is_busy(ip->fs, &m, page))
			return 1;
		first += m.len;
	}
	return 0;
}

/* Who cancels the wait, or is woken, may put the caller's references before op has let go of its
 * locks. */
static void hold_locked(struct ddfs_op *op)
{
	for (unsigned int i = 0; i < op->nr_locked; i++)
		ddfs_op_hold_more(op, op->locked[i]);
}

int ddfs_break_layouts(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t first, uint64_t last,
	struct ddfs_wait *wait)
{
	int err = -EAGAIN, busy;
	uint64_t page;

	assert(!op->tx);
	if (!ddfs_layout_is_pinned(&ip->layout))
		return 0;
	if (wait)
		hold_locked(op);
	while (err == -EAGAIN) {
		busy = ddfs_layout_busy_page(ip, first, last, &page);
		if (busy <= 0)
			return busy;
		err = ddfs_layout_wait(&ip->layout, first, last, page, wait);
	}
	return err;
}
