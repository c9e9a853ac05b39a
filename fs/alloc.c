/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks taken and given back in memory, from whichever group has them. */
#include "fs/alloc.h"

#include <sched.h>

#include "fs/alloc_priv.h"
#include "fs/bitmap.h"
#include "fs/core.h"
#include "layout/pagemap.h"

static bool group_take(struct ddfs_fs *fs, uint32_t nr, const struct ddfs_alloc_wish *w,
	enum ddfs_alloc_pass pass, struct ddfs_range *out)
{
	struct ddfs_group *g = &fs->alloc.groups[nr];
	struct ddfs_range r;
	bool found;

	if (ddfs_group_load(fs, nr))
		return false;
	pthread_mutex_lock(&g->lock);
	found = ddfs_group_find(g, w, pass, &r);
	if (found) {
		ddfs_group_mark(g, r.start, r.len, true);
		out->start = ((uint64_t)nr << fs->alloc.group_shift) + r.start;
		out->len = r.len;
	}
	pthread_mutex_unlock(&g->lock);
	return found;
}

static bool any_take(struct ddfs_fs *fs, uint32_t home, const struct ddfs_alloc_wish *w,
	enum ddfs_alloc_pass pass, struct ddfs_range *out)
{
	uint32_t nr_groups = fs->alloc.nr_groups;

	for (uint32_t i = 0; i < nr_groups; i++)
		if (group_take(fs, (home + i) % nr_groups, w, pass, out))
			return true;
	return false;
}

/* At goal, and on from there to the end of the group. */
static bool goal_take(
	struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align, struct ddfs_range *out)
{
	uint32_t nr = (uint32_t)(goal >> fs->alloc.group_shift);
	struct ddfs_group *g = &fs->alloc.groups[nr];
	uint64_t first = goal - ((uint64_t)nr << fs->alloc.group_shift);
	uint64_t n = 0;

	if (nr >= fs->alloc.nr_groups || goal & (align - 1) || ddfs_group_load(fs, nr))
		return false;
	pthread_mutex_lock(&g->lock);
	if (first < (uint64_t)g->nr_chunks * DDFS_CHUNK_BLOCKS)
		n = ddfs_group_run_at(g, first, want) & -align;
	if (n) {
		ddfs_group_mark(g, first, n, true);
		*out = (struct ddfs_range){ goal, n };
	}
	pthread_mutex_unlock(&g->lock);
	return n > 0;
}

/* Partial chunks of the own group, then a whole one of it, before other groups' partial ones:
 * threads stay apart. Whole giants matter more than that. */
static bool small_take(struct ddfs_fs *fs, uint32_t home, const struct ddfs_alloc_wish *w, bool few,
	struct ddfs_range *out)
{
	return group_take(fs, home, w, DDFS_PASS_FIT, out) ||
	       group_take(fs, home, w, DDFS_PASS_BROKEN, out) ||
	       any_take(fs, home, w, DDFS_PASS_FIT, out) ||
	       any_take(fs, home, w, DDFS_PASS_BROKEN, out) ||
	       (w->giant && any_take(fs, home, w, DDFS_PASS_BREAK, out)) ||
	       (few ? ddfs_alloc_take_run(fs, home, w, out)
		    : any_take(fs, home, w, DDFS_PASS_ANY, out));
}

static bool large_take(
	struct ddfs_fs *fs, uint32_t home, const struct ddfs_alloc_wish *w, struct ddfs_range *out)
{
	/* What may be as long as a group is better looked for across them. */
	return (w->want < DDFS_GIANT_PAGES && group_take(fs, home, w, DDFS_PASS_BROKEN, out)) ||
	       (w->giant && any_take(fs, home, w, DDFS_PASS_BROKEN, out)) ||
	       ddfs_alloc_take_run(fs, home, w, out);
}

static bool search(
	struct ddfs_fs *fs, uint64_t want, uint64_t align, bool few, struct ddfs_range *out)
{
	uint32_t home = (uint32_t)sched_getcpu() % fs->alloc.nr_groups;
	uint64_t unit = fs->dax_unit_bytes / DDFS_CHUNK_BYTES;
	struct ddfs_alloc_wish w = { .want = want, .align = align };

	if (unit > 1 && align < unit * DDFS_CHUNK_BLOCKS)
		w.giant = unit;
	if (ddfs_alloc_is_large(&w))
		return large_take(fs, home, &w, out);
	return small_take(fs, home, &w, few || align > 1, out);
}

static int get(struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align, unsigned int flags,
	struct ddfs_range *out)
{
	struct ddfs_alloc *a = &fs->alloc;
	int64_t keep = flags & DDFS_ALLOC_RESERVE ? 0 : (int64_t)a->reserve;
	int64_t free = atomic_load(&a->nr_free);
	int64_t take;

	/* Count first, then look: what is counted is there, if not in one piece. */
	do {
		take = free - keep < (int64_t)want ? free - keep : (int64_t)want;
		take &= -(int64_t)align;
		if (take <= 0)
			return -ENOSPC;
	} while (!atomic_compare_exchange_weak(&a->nr_free, &free, free - take));
	if (!(goal && goal_take(fs, goal, (uint64_t)take, align, out)) &&
		!search(fs, (uint64_t)take, align, flags & DDFS_ALLOC_FEW, out)) {
		atomic_fetch_add(&a->nr_free, take);
		return -ENOSPC;
	}
	atomic_fetch_add(&a->nr_free, take - (int64_t)out->len);
	return 0;
}

/* Some of what was got was found bad since anybody looked what is: then all such blocks are kept
 * now. */
static bool is_bad(struct ddfs_fs *fs, struct ddfs_range r)
{
	if (!ddfs_bad_find(fs, r).len)
		return false;
	ddfs_alloc_put_good(fs, r);
	ddfs_bad_keep(fs);
	return true;
}

int ddfs_alloc_get(struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align,
	unsigned int flags, struct ddfs_range *out)
{
	struct ddfs_range r;
	int err;

	do {
		err = get(fs, goal, want, align, flags, &r);
		/* Read-only, nothing is kept any more. */
	} while (!err && is_bad(fs, r) && !(err = ddfs_fs_writable(fs)));
	if (!err)
		*out = r;
	return err;
}

void ddfs_alloc_claim(struct ddfs_fs *fs, struct ddfs_range r, struct ddfs_range *out)
{
	uint32_t nr = (uint32_t)(r.start >> fs->alloc.group_shift);
	uint64_t base = (uint64_t)nr << fs->alloc.group_shift, end = r.start + r.len - base;
	struct ddfs_group *g = &fs->alloc.groups[nr];
	uint64_t first, n;

	if (end > (uint64_t)g->nr_chunks * DDFS_CHUNK_BLOCKS)
		end = (uint64_t)g->nr_chunks * DDFS_CHUNK_BLOCKS;
	*out = (struct ddfs_range){ base + end, 0 };
	if (ddfs_group_load(fs, nr))
		return;
	pthread_mutex_lock(&g->lock);
	first = ddfs_bitmap_find(g->used, r.start - base, end, false);
	n = first < end ? ddfs_group_run_at(g, first, end - first) : 0;
	if (n)
		ddfs_group_mark(g, first, n, true);
	pthread_mutex_unlock(&g->lock);
	/* Who has counted on them finds too few, and goes on as if it were full. */
	atomic_fetch_sub(&fs->alloc.nr_free, (int64_t)n);
	*out = (struct ddfs_range){ base + first, n };
}

bool ddfs_alloc_is_free(struct ddfs_fs *fs, uint64_t block)
{
	uint32_t nr = (uint32_t)(block >> fs->alloc.group_shift);
	uint64_t at = block - ((uint64_t)nr << fs->alloc.group_shift);
	struct ddfs_group *g = &fs->alloc.groups[nr];
	bool is_free;

	if (ddfs_group_load(fs, nr))
		return false;
	pthread_mutex_lock(&g->lock);
	is_free = ddfs_group_run_at(g, at, 1);
	pthread_mutex_unlock(&g->lock);
	return is_free;
}

void ddfs_alloc_unmark(struct ddfs_fs *fs, struct ddfs_range r)
{
	struct ddfs_alloc *a = &fs->alloc;

	while (r.len) {
		uint32_t i = (uint32_t)(r.start >> a->group_shift);
		uint64_t first = r.start - ((uint64_t)i << a->group_shift);
		uint64_t left = (UINT64_C(1) << a->group_shift) - first;
		uint64_t n = r.len < left ? r.len : left;
		struct ddfs_group *g = &a->groups[i];

		pthread_mutex_lock(&g->lock);
		ddfs_group_mark(g, first, n, false);
		pthread_mutex_unlock(&g->lock);
		r.start += n;
		r.len -= n;
	}
}

void ddfs_alloc_put(struct ddfs_fs *fs, struct ddfs_range r)
{
	if (ddfs_bad_any(&fs->bad))
		ddfs_bad_put(fs, r);
	else
		ddfs_alloc_put_good(fs, r);
}

void ddfs_alloc_put_good(struct ddfs_fs *fs, struct ddfs_range r)
{
	ddfs_alloc_unmark(fs, r);
	/* Counted when it can be found: who has counted on it does not look in vain. */
	atomic_fetch_add(&fs->alloc.nr_free, (int64_t)r.len);
}
