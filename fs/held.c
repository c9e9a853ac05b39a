/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/held.h"

#include <stdlib.h>

#include "fs/core.h"

static int ranges_add(struct ddfs_ranges *x, struct ddfs_range r)
{
	if (x->nr == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 16;
		struct ddfs_range *p = realloc(x->r, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		x->r = p;
		x->cap = cap;
	}
	x->r[x->nr++] = r;
	return 0;
}

/* The same, joined with the last one where that ends at it. */
static int ranges_join(struct ddfs_ranges *x, struct ddfs_range r)
{
	struct ddfs_range *last = x->nr ? &x->r[x->nr - 1] : NULL;

	if (!last || last->start + last->len != r.start)
		return ranges_add(x, r);
	last->len += r.len;
	return 0;
}

void ddfs_held_init(struct ddfs_held *h)
{
	pthread_mutex_init(&h->lock, NULL);
}

void ddfs_held_fini(struct ddfs_held *h)
{
	free(h->back.r);
	free(h->strays.r);
	pthread_mutex_destroy(&h->lock);
}

/* ---- blocks that are given back ------------------------------------------------------------- */

/* The first held block of the range, its end if none is. */
static uint64_t first_busy(const struct ddfs_fs *fs, struct ddfs_range r)
{
	return ddfs_pagemap_busy_page(fs->pins.pagemap, r.start, r.len);
}

/* h->lock is held. */
static void keep_back(struct ddfs_fs *fs, uint64_t block)
{
	struct ddfs_held *h = &fs->pins.held;

	if (ranges_join(&h->back, (struct ddfs_range){ block, 1 }))
		ddfs_log(fs, LOG_ERR,
			"no memory to note it: block %llu is lost until the next mount",
			(unsigned long long)block);
	atomic_store(&h->nr_back, h->back.nr);
}

/* Every change waits until the pages that it takes away are idle, so this is damage or a mistake:
 * the block stays out of use. */
static void keep_busy(struct ddfs_fs *fs, uint64_t block)
{
	if (!ddfs_held_has_stray(fs, block))
		ddfs_log(fs, LOG_CRIT, "block %llu is given back while a pin holds it: kept",
			(unsigned long long)block);
	pthread_mutex_lock(&fs->pins.held.lock);
	keep_back(fs, block);
	pthread_mutex_unlock(&fs->pins.held.lock);
}

static bool put_idle(struct ddfs_fs *fs, struct ddfs_range r)
{
	bool kept = false;

	while (r.len) {
		uint64_t busy = first_busy(fs, r), n = busy - r.start;

		if (n)
			ddfs_alloc_put(fs, (struct ddfs_range){ r.start, n });
		if (n < r.len) {
			keep_busy(fs, busy);
			kept = true;
			n++;
		}
		r.start += n;
		r.len -= n;
	}
	return kept;
}

void ddfs_held_put(struct ddfs_fs *fs, struct ddfs_range r)
{
	if (!atomic_load(&fs->pins.nr))
		ddfs_alloc_put(fs, r);
	else if (put_idle(fs, r))
		/* What has gone idle since the look was released by nobody. */
		ddfs_held_release(fs);
}

static void release(struct ddfs_fs *fs, bool all)
{
	struct ddfs_held *h = &fs->pins.held;
	struct ddfs_ranges old;

	if (!atomic_load(&h->nr_back))
		return;
	pthread_mutex_lock(&h->lock);
	old = h->back;
	h->back = (struct ddfs_ranges){ 0 };
	atomic_store(&h->nr_back, 0);
	for (size_t i = 0; i < old.nr; i++)
		for (uint64_t n = 0; n < old.r[i].len; n++) {
			struct ddfs_range one = { old.r[i].start + n, 1 };

			if (all || first_busy(fs, one) != one.start)
				ddfs_alloc_put(fs, one);
			else
				keep_back(fs, one.start);
		}
	pthread_mutex_unlock(&h->lock);
	free(old.r);
}

void ddfs_held_release(struct ddfs_fs *fs)
{
	release(fs, false);
}

void ddfs_held_release_all(struct ddfs_fs *fs)
{
	release(fs, true);
}

/* ---- strays --------------------------------------------------------------------------------- */

bool ddfs_held_has_stray(struct ddfs_fs *fs, uint64_t block)
{
	struct ddfs_held *h = &fs->pins.held;
	bool has = false;

	if (!atomic_load(&h->nr_strays))
		return false;
	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < h->strays.nr && !has; i++)
		has = block >= h->strays.r[i].start &&
		      block - h->strays.r[i].start < h->strays.r[i].len;
	pthread_mutex_unlock(&h->lock);
	return has;
}

/* Whether the block was free, and is taken: the allocator goes elsewhere if it was not. */
static bool claim(struct ddfs_fs *fs, uint64_t block)
{
	struct ddfs_range got;

	if (ddfs_alloc_get(fs, block, 1, 1, DDFS_ALLOC_RESERVE, &got))
		return false;
	if (got.start == block)
		return true;
	ddfs_alloc_put(fs, got);
	return false;
}

int ddfs_held_add_stray(struct ddfs_fs *fs, struct ddfs_range r)
{
	struct ddfs_held *h = &fs->pins.held;
	int err;

	pthread_mutex_lock(&h->lock);
	err = ranges_add(&h->strays, r);
	atomic_store(&h->nr_strays, h->strays.nr);
	for (uint64_t n = 0; n < r.len && !err; n++)
		if (claim(fs, r.start + n))
			keep_back(fs, r.start + n);
	pthread_mutex_unlock(&h->lock);
	return err;
}

void ddfs_held_del_stray(struct ddfs_fs *fs, struct ddfs_range r)
{
	struct ddfs_held *h = &fs->pins.held;
	size_t i = 0;

	pthread_mutex_lock(&h->lock);
	while (i < h->strays.nr && (h->strays.r[i].start != r.start || h->strays.r[i].len != r.len))
		i++;
	if (i < h->strays.nr)
		h->strays.r[i] = h->strays.r[--h->strays.nr];
	atomic_store(&h->nr_strays, h->strays.nr);
	pthread_mutex_unlock(&h->lock);
}
