/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts of pages, and of units and giants as a whole.
 *
 * A range that is held is cut into parts by its alignment alone: whole giants, whole units, single
 * pages. So put undoes exactly what get did, without a note of it. A word of a giant or unit is 0
 * if and only if nothing in it is held: each part also counts as a hold inside what it lies in,
 * taken before the part itself and dropped after it, so that a look may skip what says 0.
 *
 * All operations on counts are sequentially consistent, for two patterns in which each side stores
 * and then looks at what the other stores:
 *  - a put drops a count, then looks whether anybody waits; who waits says so, then looks at the
 *    counts. One of them sees the other: the waiter a page idle, or the put a waiter.
 *  - a page has three counts (its own, its unit's, its giant's); two puts that drop one each look
 * at the others afterwards. At least the later one finds all of them 0, and says so.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "layout/live.h"
#include "layout/pagemap.h"

/* The word of a giant or unit. Inside cannot overflow: a hold costs its holder memory. */
typedef _Atomic uint64_t group_word;
#define WHOLE_ONE  (UINT64_C(1) << 48) /* a holder of all of it */
#define INSIDE_ONE UINT64_C(1)	       /* a holder of some of it */
static_assert(DDFS_PAGE_HOLDS_MAX == UINT16_MAX, "holders of the whole have 16 bits");

struct ddfs_pagemap {
	struct ddfs_pagemap_params params;
	struct ddfs_live live;
	_Atomic uint64_t nr_waiting;

	/* The storage, in this order. */
	group_word *giants;
	group_word *units;
	_Atomic uint16_t *pages;
};

const char *ddfs_memory_type_name(enum ddfs_memory_type type)
{
	switch (type) {
	case DDFS_MEMORY_FS_DAX:
		return "fs_dax";
	case DDFS_MEMORY_HOST:
		return "host";
	case DDFS_MEMORY_PRIVATE:
		return "private";
	}
	return "unknown";
}

/* ---- storage -------------------------------------------------------------------------------- */

/* Ragged ones at the end of the device count: they are held in parts only. */
static uint64_t nr_groups(uint64_t nr_pages, uint64_t group_pages)
{
	return nr_pages / group_pages + (nr_pages % group_pages != 0);
}

size_t ddfs_pagemap_bytes(uint64_t nr_pages)
{
	uint64_t groups =
		nr_groups(nr_pages, DDFS_GIANT_PAGES) + nr_groups(nr_pages, DDFS_UNIT_PAGES);
	uint64_t words = groups + nr_groups(nr_pages, sizeof(group_word) / sizeof(uint16_t));

	return words * sizeof(group_word);
}

/* Nothing is touched: memory comes with the first store to each of its pages, and reads of the
 * others are served by the kernel's one page of zeroes. Huge pages would undo that. */
static void *storage_map(uint64_t nr_pages)
{
	size_t len = ddfs_pagemap_bytes(nr_pages);
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return NULL;
	madvise(map, len, MADV_NOHUGEPAGE); /* fails where there are none */
	return map;
}

int ddfs_pagemap_new(const struct ddfs_pagemap_params *params, struct ddfs_pagemap **out)
{
	struct ddfs_pagemap *pm;
	void *storage = params->altmap;
	int err = -ENOMEM;

	if (!params->nr_pages || (uintptr_t)storage % sizeof(group_word))
		return -EINVAL;
	pm = calloc(1, sizeof(*pm));
	if (!pm)
		return -ENOMEM;
	pm->params = *params;
	if (!storage)
		storage = storage_map(params->nr_pages);
	if (!storage)
		goto free_pm;
	err = ddfs_live_init(&pm->live);
	if (err)
		goto unmap;
	pm->giants = storage;
	pm->units = pm->giants + nr_groups(params->nr_pages, DDFS_GIANT_PAGES);
	pm->pages = (void *)(pm->units + nr_groups(params->nr_pages, DDFS_UNIT_PAGES));
	*out = pm;
	return 0;

unmap:
	if (!params->altmap)
		munmap(storage, ddfs_pagemap_bytes(params->nr_pages));
free_pm:
	free(pm);
	return err;
}

void ddfs_pagemap_delete(struct ddfs_pagemap *pm)
{
	if (!pm)
		return;
	ddfs_live_fini(&pm->live);
	if (!pm->params.altmap)
		munmap(pm->giants, ddfs_pagemap_bytes(pm->params.nr_pages));
	free(pm);
}

uint64_t ddfs_pagemap_nr_pages(const struct ddfs_pagemap *pm)
{
	return pm->params.nr_pages;
}

enum ddfs_memory_type ddfs_pagemap_type(const struct ddfs_pagemap *pm)
{
	return pm->params.type;
}

/* ---- lifetime ------------------------------------------------------------------------------- */

bool ddfs_pagemap_tryget_live(struct ddfs_pagemap *pm)
{
	return ddfs_live_tryget(&pm->live);
}

void ddfs_pagemap_put_live(struct ddfs_pagemap *pm)
{
	ddfs_live_put(&pm->live);
}

void ddfs_pagemap_kill(struct ddfs_pagemap *pm)
{
	ddfs_live_kill(&pm->live);
}

bool ddfs_pagemap_is_dying(const struct ddfs_pagemap *pm)
{
	return ddfs_live_is_dying(&pm->live);
}

int ddfs_pagemap_drain(struct ddfs_pagemap *pm, int timeout_msec)
{
	return ddfs_live_drain(&pm->live, timeout_msec);
}

/* ---- parts of a range ------------------------------------------------------------------------ */

static void assert_inside(const struct ddfs_pagemap *pm, uint64_t page, uint64_t nr)
{
	assert(page <= pm->params.nr_pages && nr <= pm->params.nr_pages - page);
}

/* Where the group of page ends, or the range if that is sooner. */
static uint64_t part_end(uint64_t page, uint64_t end, uint64_t group_pages)
{
	uint64_t next = page - page % group_pages + group_pages;

	return next < end ? next : end;
}

/* No part goes beyond its group, and the range lies inside the device: so it is never true of a
 * ragged group. */
static bool is_whole(uint64_t page, uint64_t end, uint64_t group_pages)
{
	return end - page == group_pages;
}

static int page_get(_Atomic uint16_t *count)
{
	uint16_t old = atomic_load(count);

	do {
		if (old == DDFS_PAGE_HOLDS_MAX)
			return -EUSERS;
	} while (!atomic_compare_exchange_weak(count, &old, old + 1));
	return 0;
}

static int whole_get(group_word *word)
{
	uint64_t old = atomic_load(word);

	do {
		if (old / WHOLE_ONE == DDFS_PAGE_HOLDS_MAX)
			return -EUSERS;
	} while (!atomic_compare_exchange_weak(word, &old, old + WHOLE_ONE));
	return 0;
}

static void put_in_unit(struct ddfs_pagemap *pm, uint64_t page, uint64_t end)
{
	for (; page < end; page++) {
		uint16_t old = atomic_fetch_sub(&pm->pages[page], 1);

		assert(old);
		(void)old;
	}
}

static int get_in_unit(struct ddfs_pagemap *pm, uint64_t page, uint64_t end)
{
	for (uint64_t p = page; p < end; p++) {
		int err = page_get(&pm->pages[p]);

		if (!err)
			continue;
		put_in_unit(pm, page, p);
		return err;
	}
	return 0;
}

static void put_in_giant(struct ddfs_pagemap *pm, uint64_t page, uint64_t end)
{
	for (uint64_t next; page < end; page = next) {
		group_word *unit = &pm->units[page / DDFS_UNIT_PAGES];

		next = part_end(page, end, DDFS_UNIT_PAGES);
		if (is_whole(page, next, DDFS_UNIT_PAGES)) {
			atomic_fetch_sub(unit, WHOLE_ONE);
		} else {
			put_in_unit(pm, page, next);
			atomic_fetch_sub(unit, INSIDE_ONE);
		}
	}
}

static int get_unit(struct ddfs_pagemap *pm, uint64_t page, uint64_t end)
{
	group_word *unit = &pm->units[page / DDFS_UNIT_PAGES];
	int err;

	if (is_whole(page, end, DDFS_UNIT_PAGES))
		return whole_get(unit);
	atomic_fetch_add(unit, INSIDE_ONE);
	err = get_in_unit(pm, page, end);
	if (err)
		atomic_fetch_sub(unit, INSIDE_ONE);
	return err;
}

static int get_in_giant(struct ddfs_pagemap *pm, uint64_t page, uint64_t end)
{
	int err;

	for (uint64_t p = page, next; p < end; p = next) {
		next = part_end(p, end, DDFS_UNIT_PAGES);
		err = get_unit(pm, p, next);
		if (!err)
			continue;
		put_in_giant(pm, page, p);
		return err;
	}
	return 0;
}

static void put_range(struct ddfs_pagemap *pm, uint64_t page, uint64_t end)
{
	for (uint64_t next; page < end; page = next) {
		group_word *giant = &pm->giants[page / DDFS_GIANT_PAGES];

		next = part_end(page, end, DDFS_GIANT_PAGES);
		if (is_whole(page, next, DDFS_GIANT_PAGES)) {
			atomic_fetch_sub(giant, WHOLE_ONE);
		} else {
			put_in_giant(pm, page, next);
			atomic_fetch_sub(giant, INSIDE_ONE);
		}
	}
}

static int get_giant(struct ddfs_pagemap *pm, uint64_t page, uint64_t end)
{
	group_word *giant = &pm->giants[page / DDFS_GIANT_PAGES];
	int err;

	if (is_whole(page, end, DDFS_GIANT_PAGES))
		return whole_get(giant);
	atomic_fetch_add(giant, INSIDE_ONE);
	err = get_in_giant(pm, page, end);
	if (err)
		atomic_fetch_sub(giant, INSIDE_ONE);
	return err;
}

int ddfs_pagemap_get_pages(struct ddfs_pagemap *pm, uint64_t page, uint64_t nr)
{
	uint64_t end = page + nr;
	int err;

	assert_inside(pm, page, nr);
	for (uint64_t p = page, next; p < end; p = next) {
		next = part_end(p, end, DDFS_GIANT_PAGES);
		err = get_giant(pm, p, next);
		if (!err)
			continue;
		put_range(pm, page, p);
		return err;
	}
	return 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

uint32_t ddfs_pagemap_count(const struct ddfs_pagemap *pm, uint64_t page)
{
	assert_inside(pm, page, 1);
	return 1 + atomic_load(&pm->pages[page]) +
	       (uint32_t)(atomic_load(&pm->units[page / DDFS_UNIT_PAGES]) / WHOLE_ONE) +
	       (uint32_t)(atomic_load(&pm->giants[page / DDFS_GIANT_PAGES]) / WHOLE_ONE);
}

/* How far from page on, at most to end, all is as page is: idle or busy by the same count. */
static uint64_t run_end(const struct ddfs_pagemap *pm, uint64_t page, uint64_t end, bool *busy)
{
	uint64_t word = atomic_load(&pm->giants[page / DDFS_GIANT_PAGES]);
	uint64_t stop;

	*busy = word / WHOLE_ONE;
	if (*busy || !word)
		return part_end(page, end, DDFS_GIANT_PAGES);
	word = atomic_load(&pm->units[page / DDFS_UNIT_PAGES]);
	stop = part_end(page, end, DDFS_UNIT_PAGES);
	*busy = word / WHOLE_ONE;
	if (*busy || !word)
		return stop;
	*busy = atomic_load(&pm->pages[page]);
	do
		page++;
	while (page < stop && (atomic_load(&pm->pages[page]) != 0) == *busy);
	return page;
}

/* The first page from page on that is busy (or idle, if so asked); end if there is none. */
static uint64_t next_page(const struct ddfs_pagemap *pm, uint64_t page, uint64_t end, bool busy)
{
	while (page < end) {
		bool is_busy;
		uint64_t next = run_end(pm, page, end, &is_busy);

		if (is_busy == busy)
			return page;
		page = next;
	}
	return end;
}

uint64_t ddfs_pagemap_busy_page(const struct ddfs_pagemap *pm, uint64_t page, uint64_t nr)
{
	assert_inside(pm, page, nr);
	return next_page(pm, page, page + nr, true);
}

/* ---- going idle ----------------------------------------------------------------------------- */

void ddfs_pagemap_wait_begin(struct ddfs_pagemap *pm)
{
	atomic_fetch_add(&pm->nr_waiting, 1);
}

void ddfs_pagemap_wait_end(struct ddfs_pagemap *pm)
{
	uint64_t old = atomic_fetch_sub(&pm->nr_waiting, 1);

	assert(old);
	(void)old;
}

void ddfs_pagemap_put_pages(struct ddfs_pagemap *pm, uint64_t page, uint64_t nr, void *arg)
{
	uint64_t end = page + nr, next;

	assert_inside(pm, page, nr);
	put_range(pm, page, end);
	if (!pm->params.idle || !atomic_load(&pm->nr_waiting))
		return;
	/* The caller held all of them until now, so those that are idle went so meanwhile. */
	while ((page = next_page(pm, page, end, false)) < end) {
		next = next_page(pm, page, end, true);
		pm->params.idle(arg, page, next - page);
		page = next;
	}
}
