/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/pin_plan.h"

#include <stdlib.h>

#include "fs/core.h"
#include "fs/extent.h"
#include "fs/node.h"

/* Room for one more of size bytes in an array of nr, which grows by doubling. */
static int grow(void *array, size_t nr, size_t *cap, size_t size)
{
	void **p = array;
	void *bigger;

	if (nr < *cap)
		return 0;
	bigger = realloc(*p, (*cap ? *cap * 2 : 4) * size);
	if (!bigger)
		return -ENOMEM;
	*p = bigger;
	*cap = *cap ? *cap * 2 : 4;
	return 0;
}

static int add_run(struct ddfs_pin_plan *p, const struct ddfs_map *m)
{
	struct ddfs_page_run *last = p->nr_runs ? &p->runs[p->nr_runs - 1] : NULL;
	int err;

	if (last && last->block + last->nr == m->lblk && last->page + last->nr == m->pblk) {
		last->nr += m->len;
		return 0;
	}
	err = grow(&p->runs, p->nr_runs, &p->runs_cap, sizeof(*p->runs));
	if (!err)
		p->runs[p->nr_runs++] = (struct ddfs_page_run){ m->lblk, m->pblk, m->len };
	return err;
}

static int add_gap(struct ddfs_pin_plan *p, const struct ddfs_map *m, bool bad)
{
	struct ddfs_file_extent e = { .off = ddfs_block_off(m->lblk),
		.len = ddfs_block_off(m->len),
		.device_off = m->kind == DDFS_MAP_HOLE ? 0 : ddfs_block_off(m->pblk),
		.hole = m->kind == DDFS_MAP_HOLE,
		.unwritten = m->kind == DDFS_MAP_UNWRITTEN,
		.bad = bad };
	struct ddfs_file_extent *last = p->nr_gaps ? &p->gaps[p->nr_gaps - 1] : NULL;
	int err;

	p->lacks |= !bad;
	p->bad |= bad;
	if (last && last->off + last->len == e.off && last->hole == e.hole && last->bad == bad &&
		last->unwritten == e.unwritten &&
		(e.hole || last->device_off + last->len == e.device_off)) {
		last->len += e.len;
		return 0;
	}
	err = grow(&p->gaps, p->nr_gaps, &p->gaps_cap, sizeof(*p->gaps));
	if (!err)
		p->gaps[p->nr_gaps++] = e;
	return err;
}

/* What is written: what can be read of it is a run, the rest a gap. */
static int add_written(struct ddfs_fs *fs, struct ddfs_pin_plan *p, struct ddfs_map m)
{
	uint32_t end = m.lblk + m.len;
	int err = 0;

	while (m.lblk < end && !err) {
		struct ddfs_range bad =
			ddfs_bad_find(fs, (struct ddfs_range){ m.pblk, end - m.lblk });
		bool is_bad = bad.len && bad.start == m.pblk;

		m.len = (uint32_t)(is_bad ? bad.len : bad.start - m.pblk);
		err = is_bad ? add_gap(p, &m, true) : add_run(p, &m);
		m.lblk += m.len;
		m.pblk += m.len;
	}
	return err;
}

/* Whether m may follow before, which ends where it begins, if units are to be mapped. */
static bool fits(const struct ddfs_map *before, const struct ddfs_map *m, uint64_t unit)
{
	if (m->kind != DDFS_MAP_HOLE && m->pblk % unit != m->lblk % unit)
		return false;
	if (m->lblk % unit == 0)
		return true;
	if (before->kind == DDFS_MAP_HOLE || m->kind == DDFS_MAP_HOLE)
		return before->kind == m->kind;
	return before->pblk + before->len == m->pblk;
}

int ddfs_pin_plan_make(struct ddfs_inode *ip, uint64_t first, uint64_t last, uint64_t unit,
	struct ddfs_pin_plan *p)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	struct ddfs_map m, before = { .kind = DDFS_MAP_HOLE };
	int err = 0;

	*p = (struct ddfs_pin_plan){ 0 };
	for (uint64_t at = first; at < last && !err; at += m.len) {
		err = ddfs_extent_lookup(ip->fs, NULL, di, (uint32_t)at, &m);
		if (err)
			break;
		if (m.len > last - at)
			m.len = (uint32_t)(last - at);
		p->misfit |= unit > 1 && !fits(&before, &m, unit);
		if (m.kind != DDFS_MAP_HOLE)
			err = ddfs_node_check_data(ip->fs, ip->ino, m.pblk, m.len);
		if (!err)
			err = m.kind == DDFS_MAP_WRITTEN ? add_written(ip->fs, p, m)
							 : add_gap(p, &m, false);
		before = m;
	}
	if (err)
		ddfs_pin_plan_fini(p);
	return err;
}

void ddfs_pin_plan_fini(struct ddfs_pin_plan *p)
{
	free(p->runs);
	free(p->gaps);
	*p = (struct ddfs_pin_plan){ 0 };
}

/* ---- told ----------------------------------------------------------------------------------- */

static struct ddfs_file_extent of_run(const struct ddfs_page_run *run)
{
	return (struct ddfs_file_extent){ .off = ddfs_block_off(run->block),
		.len = ddfs_block_off(run->nr),
		.device_off = ddfs_block_off(run->page) };
}

uint32_t ddfs_pin_plan_extents(const struct ddfs_page_run *runs, size_t nr_runs,
	const struct ddfs_file_extent *gaps, size_t nr_gaps, uint32_t from,
	struct ddfs_file_extent *out, uint32_t max)
{
	size_t r = nr_gaps ? 0 : from, g = 0;
	uint32_t nr = 0;

	for (uint64_t at = r; nr < max && (r < nr_runs || g < nr_gaps); at++) {
		bool gap = r >= nr_runs ||
			   (g < nr_gaps && gaps[g].off < ddfs_block_off(runs[r].block));

		if (at >= from)
			out[nr++] = gap ? gaps[g] : of_run(&runs[r]);
		if (gap)
			g++;
		else
			r++;
	}
	return nr;
}
