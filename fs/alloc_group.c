/* SPDX-License-Identifier: BSD-3-Clause */
/* What is free of one group, in memory. Everybody here holds its lock. */
#include "fs/alloc_priv.h"
#include "fs/bitmap.h"

/* Partly used chunks looked at before a whole one is broken. */
#define PARTIAL_TRIES 24u

void ddfs_group_note_chunk(struct ddfs_group *g, uint32_t chunk)
{
	uint16_t n = g->free_in[chunk];

	ddfs_bitmap_assign(g->whole, chunk, n == DDFS_CHUNK_BLOCKS);
	ddfs_bitmap_assign(g->partial, chunk, n > 0 && n < DDFS_CHUNK_BLOCKS);
}

void ddfs_group_mark(struct ddfs_group *g, uint64_t first, uint64_t n, bool used)
{
	ddfs_bitmap_fill(g->used, first, n, used);
	if (used) {
		g->nr_free -= n;
	} else {
		g->nr_free += n;
		g->longest_run = g->longest_row = 0;
	}
	while (n) {
		uint32_t chunk = (uint32_t)(first / DDFS_CHUNK_BLOCKS);
		uint64_t left = DDFS_CHUNK_BLOCKS - first % DDFS_CHUNK_BLOCKS;
		uint64_t take = n < left ? n : left;

		g->nr_free_chunks -= g->free_in[chunk] == DDFS_CHUNK_BLOCKS;
		if (used) {
			g->free_in[chunk] -= (uint16_t)take;
		} else {
			g->free_in[chunk] += (uint16_t)take;
			g->run_in[chunk] = 0;
		}
		g->nr_free_chunks += g->free_in[chunk] == DDFS_CHUNK_BLOCKS;
		ddfs_group_note_chunk(g, chunk);
		first += take;
		n -= take;
	}
}

uint64_t ddfs_group_run_at(const struct ddfs_group *g, uint64_t first, uint64_t want)
{
	uint64_t end = (uint64_t)g->nr_chunks * DDFS_CHUNK_BLOCKS;

	if (want < end - first)
		end = first + want;
	return ddfs_bitmap_find(g->used, first, end, true) - first;
}

struct ddfs_range ddfs_group_run_in_chunk(
	struct ddfs_group *g, uint32_t chunk, uint64_t above, uint64_t want)
{
	uint64_t at = (uint64_t)chunk * DDFS_CHUNK_BLOCKS, end = at + DDFS_CHUNK_BLOCKS;
	struct ddfs_range best = { 0, 0 };

	if (ddfs_group_bound_in_chunk(g, chunk) <= above)
		return best;
	while (best.len < want) {
		uint64_t start = ddfs_bitmap_find(g->used, at, end, false);

		if (start == end) {
			g->run_in[chunk] = (uint16_t)best.len;
			break;
		}
		at = ddfs_bitmap_find(g->used, start, end, true);
		if (at - start > best.len)
			best = (struct ddfs_range){ start, at - start };
	}
	if (best.len > want)
		best.len = want;
	return best;
}

/* A run inside partly used chunks, starting where the last one was found. */
static struct ddfs_range find_partial(struct ddfs_group *g, uint64_t want)
{
	struct ddfs_range best = { 0, 0 };
	uint64_t chunk = g->cursor;
	bool wrapped = false;

	for (unsigned int i = 0; i < PARTIAL_TRIES && best.len < want; i++) {
		struct ddfs_range r;

		chunk = ddfs_bitmap_find(g->partial, chunk, g->nr_chunks, true);
		if (chunk == g->nr_chunks) {
			if (wrapped || !g->cursor)
				break;
			wrapped = true;
			chunk = 0;
			continue;
		}
		r = ddfs_group_run_in_chunk(g, (uint32_t)chunk, best.len, want);
		if (r.len > best.len) {
			best = r;
			g->cursor = (uint32_t)chunk;
		}
		chunk++;
	}
	return best;
}

/* Keep [from, to), chunks of the group in a row, if it is longer than best is. */
static void keep_longer(struct ddfs_range *best, const struct ddfs_group *g, uint64_t from,
	uint64_t to, uint64_t step)
{
	uint64_t base = g->first_chunk;

	from = (base + from + step - 1) / step * step - base;
	if (from < to && to - from > best->len)
		*best = (struct ddfs_range){ from, to - from };
}

/* Wholly free chunks in a row, starting at a multiple of align blocks: enough for want, else the
 * longest row of the group. spare: units of so many chunks that are wholly free are left out. */
static struct ddfs_range find_whole(
	const struct ddfs_group *g, uint64_t want, uint64_t align, uint64_t spare)
{
	uint64_t step = align > DDFS_CHUNK_BLOCKS ? align / DDFS_CHUNK_BLOCKS : 1;
	uint64_t need = (want + DDFS_CHUNK_BLOCKS - 1) / DDFS_CHUNK_BLOCKS;
	struct ddfs_range best = { 0, 0 };
	uint64_t at = 0;

	while (best.len < need && at < g->nr_chunks) {
		uint64_t from = ddfs_bitmap_find(g->whole, at, g->nr_chunks, true);
		uint64_t up = from, down = from;

		at = ddfs_bitmap_find(g->whole, from, g->nr_chunks, false);
		if (spare) {
			up = (g->first_chunk + from + spare - 1) / spare * spare - g->first_chunk;
			down = (g->first_chunk + at) / spare * spare - g->first_chunk;
		}
		if (up < down)
			keep_longer(&best, g, from, up, step);
		keep_longer(&best, g, up < down ? down : from, at, step);
	}
	best.start *= DDFS_CHUNK_BLOCKS;
	best.len *= DDFS_CHUNK_BLOCKS;
	if (best.len > want)
		best.len = want;
	return best;
}

static bool align_run(const struct ddfs_group *g, struct ddfs_range *r, uint64_t align)
{
	uint64_t base = (uint64_t)g->first_chunk * DDFS_CHUNK_BLOCKS;
	uint64_t start = ((base + r->start + align - 1) & -align) - base;

	if (start >= r->start + r->len)
		return false;
	r->len = (r->len - (start - r->start)) & -align;
	r->start = start;
	return r->len > 0;
}

bool ddfs_group_find(struct ddfs_group *g, const struct ddfs_alloc_wish *w,
	enum ddfs_alloc_pass pass, struct ddfs_range *out)
{
	uint64_t least = pass == DDFS_PASS_ANY ? 1 : w->want;
	struct ddfs_range r = { 0, 0 };

	if (g->nr_free < least)
		return false;
	if (!ddfs_alloc_is_large(w))
		r = find_partial(g, w->want);
	if (r.len < w->want && pass != DDFS_PASS_FIT && g->nr_free_chunks) {
		struct ddfs_range whole =
			find_whole(g, w->want, w->align, pass == DDFS_PASS_BROKEN ? w->giant : 0);

		if (whole.len > r.len)
			r = whole;
	}
	if (!r.len || !align_run(g, &r, w->align) || r.len < least)
		return false;
	*out = r;
	return true;
}
