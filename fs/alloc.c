/* SPDX-License-Identifier: BSD-3-Clause */
/* What is free in memory: finding, taking and giving back blocks. alloc_media.c has the other half.
 */
#include "fs/alloc.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "fs/alloc_priv.h"
#include "fs/core.h"

#define WORD_BITS 64u
/* Partly used chunks looked at before a whole one is broken. */
#define PARTIAL_TRIES 24u

static void bit_assign(uint64_t *map, uint64_t i, bool on)
{
	uint64_t bit = UINT64_C(1) << (i % WORD_BITS);

	if (on)
		map[i / WORD_BITS] |= bit;
	else
		map[i / WORD_BITS] &= ~bit;
}

/* The first i >= from below end whose bit is on; end if there is none. */
static uint64_t bit_find(const uint64_t *map, uint64_t from, uint64_t end, bool on)
{
	uint64_t flip = on ? 0 : UINT64_MAX;

	while (from < end) {
		uint64_t word = (map[from / WORD_BITS] ^ flip) >> (from % WORD_BITS);

		if (word) {
			from += (uint64_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

/* Set or clear the used bits of n blocks from bit first on. */
static void bits_fill(uint64_t *map, uint64_t first, uint64_t n, bool on)
{
	while (n) {
		uint64_t at = first % WORD_BITS;
		uint64_t take = n < WORD_BITS - at ? n : WORD_BITS - at;
		uint64_t mask = (take == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << take) - 1) << at;

		if (on)
			map[first / WORD_BITS] |= mask;
		else
			map[first / WORD_BITS] &= ~mask;
		first += take;
		n -= take;
	}
}

void ddfs_group_note_chunk(struct ddfs_group *g, uint32_t chunk)
{
	uint16_t n = g->free_in[chunk];

	bit_assign(g->whole, chunk, n == DDFS_CHUNK_BLOCKS);
	bit_assign(g->partial, chunk, n > 0 && n < DDFS_CHUNK_BLOCKS);
}

/* Mark n blocks from bit first of the group on, and keep every count of them. g->lock is held. */
static void group_mark(struct ddfs_group *g, uint64_t first, uint64_t n, bool used)
{
	bits_fill(g->used, first, n, used);
	if (used)
		g->nr_free -= n;
	else
		g->nr_free += n;
	while (n) {
		uint32_t chunk = (uint32_t)(first / DDFS_CHUNK_BLOCKS);
		uint64_t left = DDFS_CHUNK_BLOCKS - first % DDFS_CHUNK_BLOCKS;
		uint64_t take = n < left ? n : left;

		g->nr_free_chunks -= g->free_in[chunk] == DDFS_CHUNK_BLOCKS;
		if (used)
			g->free_in[chunk] -= (uint16_t)take;
		else
			g->free_in[chunk] += (uint16_t)take;
		g->nr_free_chunks += g->free_in[chunk] == DDFS_CHUNK_BLOCKS;
		ddfs_group_note_chunk(g, chunk);
		first += take;
		n -= take;
	}
}

/* Free blocks from bit first on, at most want. */
static uint64_t run_at(const struct ddfs_group *g, uint64_t first, uint64_t want)
{
	uint64_t end = (uint64_t)g->nr_chunks * DDFS_CHUNK_BLOCKS;

	if (want < end - first)
		end = first + want;
	return bit_find(g->used, first, end, true) - first;
}

/* The first run of want free blocks inside the chunk, else its longest. */
static struct ddfs_range run_in_chunk(const struct ddfs_group *g, uint32_t chunk, uint64_t want)
{
	uint64_t at = (uint64_t)chunk * DDFS_CHUNK_BLOCKS, end = at + DDFS_CHUNK_BLOCKS;
	struct ddfs_range best = { 0, 0 };

	while (best.len < want) {
		uint64_t start = bit_find(g->used, at, end, false);

		if (start == end)
			break;
		at = bit_find(g->used, start, end, true);
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

		chunk = bit_find(g->partial, chunk, g->nr_chunks, true);
		if (chunk == g->nr_chunks) {
			if (wrapped || !g->cursor)
				break;
			wrapped = true;
			chunk = 0;
			continue;
		}
		r = run_in_chunk(g, (uint32_t)chunk, want);
		if (r.len > best.len) {
			best = r;
			g->cursor = (uint32_t)chunk;
		}
		chunk++;
	}
	return best;
}

/* Wholly free chunks in a row, starting at a multiple of align blocks: enough for want, else the
 * longest row of the group. */
static struct ddfs_range find_whole(const struct ddfs_group *g, uint64_t want, uint64_t align)
{
	uint64_t step = align > DDFS_CHUNK_BLOCKS ? align / DDFS_CHUNK_BLOCKS : 1;
	uint64_t need = (want + DDFS_CHUNK_BLOCKS - 1) / DDFS_CHUNK_BLOCKS;
	struct ddfs_range best = { 0, 0 };
	uint64_t chunk = 0;

	while (best.len < need && chunk < g->nr_chunks) {
		uint64_t first = bit_find(g->whole, chunk, g->nr_chunks, true);
		uint64_t from = (first + g->first_chunk + step - 1) / step * step - g->first_chunk;

		if (from >= g->nr_chunks)
			break;
		chunk = bit_find(g->whole, first, g->nr_chunks, false);
		if (from < chunk && chunk - from > best.len)
			best = (struct ddfs_range){ from, chunk - from };
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
	uint64_t start = (base + r->start + align - 1) / align * align - base;

	if (start >= r->start + r->len)
		return false;
	r->len = (r->len - (start - r->start)) / align * align;
	r->start = start;
	return r->len > 0;
}

/* How hard a group is searched; each pass over the groups tries harder. */
enum pass {
	PASS_FIT,   /* all of want: from a partial chunk if small, else from whole ones */
	PASS_BREAK, /* all of want, breaking whole chunks */
	PASS_ANY,   /* whatever there is */
	NR_PASSES,
};

static bool group_find(
	struct ddfs_group *g, uint64_t want, uint64_t align, enum pass pass, struct ddfs_range *r)
{
	bool small = want < DDFS_CHUNK_BLOCKS && align < DDFS_CHUNK_BLOCKS;

	*r = (struct ddfs_range){ 0, 0 };
	if (g->nr_free < (pass == PASS_ANY ? 1 : want))
		return false;
	if (small)
		*r = find_partial(g, want);
	if (r->len < want && (pass != PASS_FIT || !small) && g->nr_free_chunks) {
		struct ddfs_range whole = find_whole(g, want, align);

		if (whole.len > r->len)
			*r = whole;
	}
	if (!r->len && pass == PASS_ANY && align < DDFS_CHUNK_BLOCKS)
		*r = find_partial(g, want);
	if (!r->len || !align_run(g, r, align))
		return false;
	return pass == PASS_ANY || r->len >= want;
}

static bool group_take(struct ddfs_fs *fs, uint32_t nr, uint64_t want, uint64_t align,
	enum pass pass, struct ddfs_range *out)
{
	struct ddfs_group *g = &fs->alloc.groups[nr];
	struct ddfs_range r;
	bool found;

	if (ddfs_group_load(fs, nr))
		return false;
	pthread_mutex_lock(&g->lock);
	found = group_find(g, want, align, pass, &r);
	if (found) {
		group_mark(g, r.start, r.len, true);
		out->start = ((uint64_t)nr << fs->alloc.group_shift) + r.start;
		out->len = r.len;
	}
	pthread_mutex_unlock(&g->lock);
	return found;
}

/* At goal, and on from there to the end of the group. */
static bool goal_take(
	struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align, struct ddfs_range *out)
{
	uint32_t nr = (uint32_t)(goal >> fs->alloc.group_shift);
	struct ddfs_group *g = &fs->alloc.groups[nr];
	uint64_t first = goal - ((uint64_t)nr << fs->alloc.group_shift);
	uint64_t n = 0;

	if (nr >= fs->alloc.nr_groups || goal % align || ddfs_group_load(fs, nr))
		return false;
	pthread_mutex_lock(&g->lock);
	if (first < (uint64_t)g->nr_chunks * DDFS_CHUNK_BLOCKS)
		n = run_at(g, first, want) / align * align;
	if (n) {
		group_mark(g, first, n, true);
		*out = (struct ddfs_range){ goal, n };
	}
	pthread_mutex_unlock(&g->lock);
	return n > 0;
}

static bool search(struct ddfs_fs *fs, uint64_t want, uint64_t align, unsigned int flags,
	struct ddfs_range *out)
{
	uint32_t nr_groups = fs->alloc.nr_groups;
	uint32_t home = (uint32_t)sched_getcpu() % nr_groups;
	int last = flags & DDFS_ALLOC_EXACT ? PASS_BREAK : PASS_ANY;

	/* Partial chunks of the own group, then a whole one of it, before other groups' partial
	 * ones: threads stay apart. */
	if (group_take(fs, home, want, align, PASS_FIT, out) ||
		group_take(fs, home, want, align, PASS_BREAK, out))
		return true;
	for (int pass = PASS_FIT; pass <= last; pass++)
		for (uint32_t i = 0; i < nr_groups; i++)
			if (group_take(fs, (home + i) % nr_groups, want, align, pass, out))
				return true;
	return false;
}

int ddfs_alloc_get(struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align,
	unsigned int flags, struct ddfs_range *out)
{
	struct ddfs_alloc *a = &fs->alloc;
	int64_t keep = flags & DDFS_ALLOC_RESERVE ? 0 : (int64_t)a->reserve;
	int64_t free = atomic_load(&a->nr_free);
	int64_t take;

	/* Count first, then look: what is counted is there, if not in one piece. */
	do {
		take = free - keep < (int64_t)want ? free - keep : (int64_t)want;
		take -= take % (int64_t)align;
		if (take <= 0 || (flags & DDFS_ALLOC_EXACT && take < (int64_t)want))
			return -ENOSPC;
	} while (!atomic_compare_exchange_weak(&a->nr_free, &free, free - take));
	if (!(goal && goal_take(fs, goal, (uint64_t)take, align, out)) &&
		!search(fs, (uint64_t)take, align, flags, out)) {
		atomic_fetch_add(&a->nr_free, take);
		return -ENOSPC;
	}
	atomic_fetch_add(&a->nr_free, take - (int64_t)out->len);
	return 0;
}

void ddfs_alloc_put(struct ddfs_fs *fs, struct ddfs_range r)
{
	struct ddfs_alloc *a = &fs->alloc;
	int64_t nr = (int64_t)r.len;

	while (r.len) {
		uint32_t i = (uint32_t)(r.start >> a->group_shift);
		uint64_t first = r.start - ((uint64_t)i << a->group_shift);
		uint64_t left = (UINT64_C(1) << a->group_shift) - first;
		uint64_t n = r.len < left ? r.len : left;
		struct ddfs_group *g = &a->groups[i];

		pthread_mutex_lock(&g->lock);
		group_mark(g, first, n, false);
		pthread_mutex_unlock(&g->lock);
		r.start += n;
		r.len -= n;
	}
	/* Counted when it can be found: who has counted on it does not look in vain. */
	atomic_fetch_add(&a->nr_free, nr);
}
