/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs of free blocks across all groups, for requests that want few of them. They are looked for
 * group by group, each under its own lock alone, with the run that reaches a group's end carried
 * over to the next one; so what was found may be gone when it is taken, and then the search
 * begins anew: somebody else got on meanwhile.
 *
 * Of what a group can have at most it is remembered what a search finds, so that taking the
 * longest runs one after the other does not look at everything each time.
 */
#include "fs/alloc_priv.h"
#include "fs/bitmap.h"
#include "fs/core.h"
#include "layout/pagemap.h"

struct search {
	const struct ddfs_alloc_wish *w;
	struct ddfs_range run;	/* free blocks up to where the search is */
	struct ddfs_range best; /* aligned, at most want */
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static uint64_t longer(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool is_done(const struct search *s)
{
	return s->best.len >= s->w->want;
}

/* A run of free blocks was found. */
static void note(struct search *s, uint64_t start, uint64_t len)
{
	uint64_t want = s->w->want, end = (start + len) / s->w->align * s->w->align;

	start = round_up(start, s->w->align);
	/* Where there is more than enough, a partly used chunk is left to small requests. */
	if (want >= DDFS_CHUNK_BLOCKS && round_up(start, DDFS_CHUNK_BLOCKS) + want <= end)
		start = round_up(start, DDFS_CHUNK_BLOCKS);
	if (start >= end || end - start <= s->best.len)
		return;
	s->best.start = start;
	s->best.len = end - start < want ? end - start : want;
}

/* The group's bound for what is looked for: partly used chunks hold nothing that is aligned to
 * whole ones. */
static uint64_t *longest_of(const struct search *s, struct ddfs_group *g)
{
	return s->w->align < DDFS_CHUNK_BLOCKS ? &g->longest_run : &g->longest_row;
}

static bool has_longer(const struct search *s, struct ddfs_group *g)
{
	uint64_t longest = *longest_of(s, g);

	return !is_done(s) && (!longest || longest > s->best.len);
}

/* All rows of whole chunks in the group, until there can be no longer one. */
static void search_rows(struct search *s, struct ddfs_group *g)
{
	uint64_t longest = 0, to = 0;

	while (has_longer(s, g)) {
		uint64_t from = ddfs_bitmap_find(g->whole, to, g->nr_chunks, true);

		if (from == g->nr_chunks) {
			g->longest_row = longest * DDFS_CHUNK_BLOCKS;
			return;
		}
		to = ddfs_bitmap_find(g->whole, from, g->nr_chunks, false);
		note(s, (g->first_chunk + from) * DDFS_CHUNK_BLOCKS,
			(to - from) * DDFS_CHUNK_BLOCKS);
		if (to - from > longest)
			longest = to - from;
	}
}

/* Chunk c, which is not wholly free, ends a run of so many blocks before it. Returns what neither
 * that nor any run inside the chunk exceeds. */
static uint64_t search_end(struct search *s, struct ddfs_group *g, uint32_t chunk, uint64_t run)
{
	uint64_t base = (uint64_t)g->first_chunk * DDFS_CHUNK_BLOCKS;
	uint64_t at = (uint64_t)chunk * DDFS_CHUNK_BLOCKS, start = at - run;
	struct ddfs_range r;

	if (g->free_in[chunk])
		run += ddfs_group_run_at(g, at, DDFS_CHUNK_BLOCKS);
	note(s, base + start, run);
	r = ddfs_group_run_in_chunk(g, chunk, s->best.len, ddfs_group_bound_in_chunk(g, chunk));
	note(s, base + r.start, r.len);
	return longer(run, ddfs_group_bound_in_chunk(g, chunk));
}

/* All runs of free blocks in the group, until there can be no longer one. */
static void search_runs(struct search *s, struct ddfs_group *g)
{
	uint64_t base = (uint64_t)g->first_chunk * DDFS_CHUNK_BLOCKS;
	uint64_t longest = 0, run = 0, end = 0;
	uint32_t c;

	for (c = 0; c < g->nr_chunks && has_longer(s, g); c++) {
		end += DDFS_CHUNK_BLOCKS;
		if (g->free_in[c] == DDFS_CHUNK_BLOCKS) {
			run += DDFS_CHUNK_BLOCKS;
			continue;
		}
		if (!g->free_in[c] && !run)
			continue;
		longest = longer(longest, search_end(s, g, c, run));
		run = ddfs_bitmap_run_before(g->used, end - DDFS_CHUNK_BLOCKS, end, false);
	}
	if (c < g->nr_chunks)
		return;
	note(s, base + end - run, run);
	g->longest_run = longer(longest, run);
}

/* What the group has, and what reaches it from the one before it. */
static void search_group(struct search *s, struct ddfs_group *g)
{
	uint64_t base = (uint64_t)g->first_chunk * DDFS_CHUNK_BLOCKS;
	uint64_t end = (uint64_t)g->nr_chunks * DDFS_CHUNK_BLOCKS, head, tail;

	if (!s->run.len)
		s->run.start = base;
	head = ddfs_bitmap_find(g->whole, 0, g->nr_chunks, false) * DDFS_CHUNK_BLOCKS;
	head = ddfs_bitmap_find(g->used, head, end, true);
	s->run.len += head;
	note(s, s->run.start, s->run.len);
	if (head == end)
		return;
	if (g->nr_free && has_longer(s, g)) {
		if (s->w->align < DDFS_CHUNK_BLOCKS)
			search_runs(s, g);
		else
			search_rows(s, g);
	}
	tail = ddfs_bitmap_run_before(g->whole, 0, g->nr_chunks, true) * DDFS_CHUNK_BLOCKS;
	tail += ddfs_bitmap_run_before(g->used, 0, end - tail, false);
	s->run = (struct ddfs_range){ base + end - tail, tail };
}

/* The first run from group home on that has all of want, else the longest. The home group comes
 * twice, since a run may reach it from the one before. */
static bool search_all(
	struct ddfs_fs *fs, uint32_t home, const struct ddfs_alloc_wish *w, struct ddfs_range *out)
{
	struct ddfs_alloc *a = &fs->alloc;
	struct search s = { .w = w };

	for (uint32_t i = 0; i <= a->nr_groups && !is_done(&s); i++) {
		uint32_t nr = (home + i) % a->nr_groups;
		bool loaded = !ddfs_group_load(fs, nr);

		if (nr == 0 || !loaded)
			s.run.len = 0;
		if (!loaded)
			continue;
		pthread_mutex_lock(&a->groups[nr].lock);
		search_group(&s, &a->groups[nr]);
		pthread_mutex_unlock(&a->groups[nr].lock);
	}
	*out = s.best;
	return s.best.len;
}

/* Gigabytes lie, if they can, where the pagemap counts each as one. */
static bool find(
	struct ddfs_fs *fs, uint32_t home, const struct ddfs_alloc_wish *w, struct ddfs_range *out)
{
	struct ddfs_alloc_wish giants = { round_up(w->want, DDFS_GIANT_PAGES), DDFS_GIANT_PAGES,
		0 };
	struct ddfs_range r;

	if (w->want < DDFS_GIANT_PAGES || w->align >= DDFS_GIANT_PAGES ||
		!search_all(fs, home, &giants, &r) || r.len < w->want)
		return search_all(fs, home, w, out);
	*out = (struct ddfs_range){ r.start, w->want };
	return true;
}

/* What is still free of the run, from its start on, in multiples of align. */
static bool take(struct ddfs_fs *fs, struct ddfs_range *r, uint64_t align)
{
	struct ddfs_alloc *a = &fs->alloc;
	uint64_t at = r->start, end = r->start + r->len, border, keep;

	do {
		uint64_t nr = at >> a->group_shift, first = at - (nr << a->group_shift), n;
		struct ddfs_group *g = &a->groups[nr];

		border = (nr + 1) << a->group_shift;
		pthread_mutex_lock(&g->lock);
		n = ddfs_group_run_at(g, first, end - at);
		ddfs_group_mark(g, first, n, true);
		pthread_mutex_unlock(&g->lock);
		at += n;
	} while (at == border && at < end);
	keep = (at - r->start) / align * align;
	ddfs_alloc_unmark(fs, (struct ddfs_range){ r->start + keep, at - r->start - keep });
	r->len = keep;
	return keep;
}

bool ddfs_alloc_take_run(
	struct ddfs_fs *fs, uint32_t home, const struct ddfs_alloc_wish *w, struct ddfs_range *out)
{
	struct ddfs_range r;

	while (find(fs, home, w, &r))
		if (take(fs, &r, w->align)) {
			*out = r;
			return true;
		}
	return false;
}
