/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/space.h"

#include <stdlib.h>
#include <string.h>

struct ddfs_range space_get(struct space *s, uint64_t goal, uint64_t want, uint64_t align)
{
	struct ddfs_range r = { 0, 0 };
	int err = ddfs_alloc_get(s->fs, goal, want, align, DDFS_ALLOC_FEW | DDFS_ALLOC_RESERVE, &r);

	ck_assert(!err || err == -ENOSPC);
	ck_assert_uint_le(r.len, want);
	ck_assert(r.start % align == 0 && r.len % align == 0);
	ck_assert(!memchr(s->is_free + r.start, false, r.len));
	memset(s->is_free + r.start, false, r.len);
	return r;
}

void space_put(struct space *s, uint64_t start, uint64_t len)
{
	ddfs_alloc_put(s->fs, (struct ddfs_range){ start, len });
	memset(s->is_free + start, true, len);
}

void space_put_all(struct space *s, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t len = 0;

		while (from + len < to && s->is_ours[from + len] && !s->is_free[from + len])
			len++;
		if (len)
			space_put(s, from, len);
		from += len + 1;
	}
}

void space_begin(struct space *s, uint64_t size, uint64_t align)
{
	struct ddfs_range r;

	mounted_begin(&s->m, size, align, NULL);
	s->fs = s->m.fs;
	s->nr_free = atomic_load(&s->fs->alloc.nr_free);
	s->is_free = malloc(s->fs->nr_blocks);
	s->is_ours = calloc(1, s->fs->nr_blocks);
	memset(s->is_free, true, s->fs->nr_blocks);
	while ((r = space_get(s, 0, UINT32_MAX, 1)).len)
		memset(s->is_ours + r.start, true, r.len);
	ck_assert_int_eq(atomic_load(&s->fs->alloc.nr_free), 0);
	memset(s->is_free, false, s->fs->nr_blocks);
}

/* What the index of a group says of chunk c is what its bitmap says; *run free blocks are before
 * it. */
static bool chunk_holds(const struct ddfs_group *g, uint64_t c, uint64_t *run)
{
	uint64_t n = 0, inside = 0;
	bool holds = true;

	for (uint64_t b = c * CHUNK; b < (c + 1) * CHUNK; b++) {
		bool is_free = !(g->used[b / 64] >> (b % 64) & 1);

		n += is_free;
		*run = is_free ? *run + 1 : 0;
		inside = is_free ? inside + 1 : 0;
		holds = holds && (!g->longest_run || *run <= g->longest_run) &&
			(!g->run_in[c] || inside <= g->run_in[c]);
	}
	return holds && g->free_in[c] == n && (g->whole[c / 64] >> (c % 64) & 1) == (n == CHUNK) &&
	       (g->partial[c / 64] >> (c % 64) & 1) == (n > 0 && n < CHUNK);
}

static void ck_group(const struct ddfs_group *g)
{
	uint64_t nr_free = 0, nr_whole = 0, run = 0, row = 0;

	for (uint64_t c = 0; c < g->nr_chunks; c++) {
		ck_assert(chunk_holds(g, c, &run));
		row = g->free_in[c] == CHUNK ? row + CHUNK : 0;
		ck_assert(!g->longest_row || row <= g->longest_row);
		nr_whole += g->free_in[c] == CHUNK;
		nr_free += g->free_in[c];
	}
	ck_assert_uint_eq(g->nr_free, nr_free);
	ck_assert_uint_eq(g->nr_free_chunks, nr_whole);
}

void ck_groups(struct ddfs_fs *fs)
{
	uint64_t nr_free = 0;

	for (uint32_t i = 0; i < fs->alloc.nr_groups; i++) {
		const struct ddfs_group *g = &fs->alloc.groups[i];

		if (g->loaded)
			ck_group(g);
		nr_free += g->loaded ? g->nr_free : g->nr_chunks * CHUNK;
	}
	ck_assert_uint_eq(nr_free, (uint64_t)atomic_load(&fs->alloc.nr_free));
}

void space_end(struct space *s)
{
	ck_groups(s->fs);
	space_put_all(s, 0, s->fs->nr_blocks);
	ck_assert_int_eq(atomic_load(&s->fs->alloc.nr_free), s->nr_free);
	ck_groups(s->fs);
	mounted_end(&s->m);
	free(s->is_free);
	free(s->is_ours);
}

unsigned int space_count_extents(struct space *s, uint64_t want, uint64_t align)
{
	struct ddfs_range r = { 0, 0 };
	unsigned int n = 0;

	for (uint64_t got = 0; got < want; got += r.len) {
		uint64_t goal = r.start + r.len;

		r = space_get(s, goal, want - got, align);
		ck_assert_uint_gt(r.len, 0);
		n += r.start != goal || !goal;
	}
	return n;
}
