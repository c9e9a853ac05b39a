/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The counts of pages against a count of every page by itself; limits and storage. Threads are in
 * test_layout_idle, lifetime is in test_layout_live.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/pagemap.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#define UNIT  ((uint64_t)DDFS_UNIT_PAGES)
#define GIANT ((uint64_t)DDFS_GIANT_PAGES)
#define MAX   DDFS_PAGE_HOLDS_MAX

#define NR_RANGES 24

struct range {
	uint64_t page, nr;
};

/* Millions of times: Check writes a note of every assertion. */
static void same(uint64_t got, uint64_t want)
{
	if (got != want)
		ck_assert_uint_eq(got, want);
}

/* A pagemap on storage of ours, and what it should say. */
struct oracle {
	struct ddfs_pagemap *pm;
	void *storage;
	uint64_t nr;
	uint16_t *counts;	      /* holders of each page */
	uint8_t *calls;		      /* of idle for each page, in the put that runs */
	const void *arg;	      /* what the put that runs was given */
	uint64_t nr_idle;	      /* pages that idle was called for in it */
	struct range held[NR_RANGES]; /* nr 0: free */
	struct rng rng;
};

static struct oracle *current; /* the callback's argument is the put's */

static void count_idle(void *arg, uint64_t page, uint64_t nr)
{
	struct oracle *o = current;

	ck_assert_ptr_eq(arg, o->arg);
	ck_assert_uint_gt(nr, 0);
	ck_assert_uint_le(page + nr, o->nr);
	for (uint64_t p = page; p < page + nr; p++)
		o->calls[p]++;
	o->nr_idle += nr;
}

static void oracle_init(struct oracle *o, uint64_t nr)
{
	struct ddfs_pagemap_params params = {
		.nr_pages = nr, .type = DDFS_MEMORY_HOST, .idle = count_idle
	};

	memset(o, 0, sizeof(*o));
	o->nr = nr;
	o->storage = calloc(1, ddfs_pagemap_bytes(nr));
	o->counts = calloc(nr, sizeof(*o->counts));
	o->calls = calloc(nr, sizeof(*o->calls));
	ck_assert(o->storage && o->counts && o->calls);
	params.altmap = o->storage;
	ck_assert_int_eq(ddfs_pagemap_new(&params, &o->pm), 0);
	rng_seed(&o->rng, env_number("DDFS_SEED", 1) + nr);
	current = o;
}

/* Nobody holds anything: the storage must be as it was at first. */
static void oracle_fini(struct oracle *o)
{
	const unsigned char *bytes = o->storage;

	ddfs_pagemap_delete(o->pm);
	for (size_t i = 0; i < ddfs_pagemap_bytes(o->nr); i++)
		same(bytes[i], 0);
	free(o->storage);
	free(o->counts);
	free(o->calls);
}

static void oracle_get(struct oracle *o, struct range r)
{
	ck_assert_int_eq(ddfs_pagemap_get_pages(o->pm, r.page, r.nr), 0);
	for (uint64_t p = r.page; p < r.page + r.nr; p++)
		o->counts[p]++;
}

/* While somebody waits idle is called for just those pages that go idle, once for each. */
static void oracle_put(struct oracle *o, struct range r)
{
	bool waiting = rng_below(&o->rng, 2);
	uint64_t nr_idle = 0;

	for (uint64_t p = r.page; p < r.page + r.nr; p++) {
		nr_idle += --o->counts[p] == 0;
		o->calls[p] = 0;
	}
	o->nr_idle = 0;
	o->arg = &r;
	if (waiting)
		ddfs_pagemap_wait_begin(o->pm);
	ddfs_pagemap_put_pages(o->pm, r.page, r.nr, &r);
	if (waiting)
		ddfs_pagemap_wait_end(o->pm);
	ck_assert_uint_eq(o->nr_idle, waiting ? nr_idle : 0);
	for (uint64_t p = r.page; waiting && p < r.page + r.nr; p++)
		same(o->calls[p], o->counts[p] == 0);
}

/* ---- random ranges --------------------------------------------------------------------------- */

/* Anywhere, mostly at or next to where units and giants meet, or an end. */
static uint64_t any_place(struct oracle *o)
{
	static const uint64_t steps[] = { 1, DDFS_UNIT_PAGES, DDFS_UNIT_PAGES, DDFS_GIANT_PAGES };
	uint64_t step = steps[rng_below(&o->rng, 4)];
	uint64_t place = rng_below(&o->rng, o->nr / step + 1) * step;

	if (rng_below(&o->rng, 16) == 0)
		return o->nr;
	if (rng_below(&o->rng, 4) == 0 && place)
		place--;
	else if (rng_below(&o->rng, 4) == 0 && place < o->nr)
		place++;
	return place;
}

static struct range any_range(struct oracle *o)
{
	uint64_t a = any_place(o), b = any_place(o);

	/* Most are short: else all is always busy. */
	if (rng_below(&o->rng, 4) != 0)
		b = a + rng_below(&o->rng, 3 * UNIT);
	if (b > o->nr)
		b = o->nr;
	return a < b ? (struct range){ a, b - a } : (struct range){ b, a - b };
}

static uint64_t busy_page_slow(const struct oracle *o, struct range r)
{
	uint64_t p = r.page;

	while (p < r.page + r.nr && !o->counts[p])
		p++;
	return p;
}

static void compare_some(struct oracle *o)
{
	for (int i = 0; i < 8; i++) {
		struct range r = any_range(o);
		uint64_t p = rng_below(&o->rng, o->nr);

		same(ddfs_pagemap_busy_page(o->pm, r.page, r.nr), busy_page_slow(o, r));
		same(ddfs_pagemap_count(o->pm, p), 1 + o->counts[p]);
	}
}

static void compare_all(struct oracle *o)
{
	uint64_t next = o->nr; /* the busy page at or behind p */

	for (uint64_t p = o->nr; p-- > 0;) {
		if (o->counts[p])
			next = p;
		same(ddfs_pagemap_count(o->pm, p), 1 + o->counts[p]);
		if (p % 61 == 0 || p % UNIT < 2)
			same(ddfs_pagemap_busy_page(o->pm, p, o->nr - p), next);
	}
}

static const uint64_t sizes[] = {
	1,
	2,
	3,
	5,
	UNIT - 1,
	UNIT,
	UNIT + 1,
	3 * UNIT + 77,
	40 * UNIT,
	GIANT - 1,
	GIANT,
	GIANT + 1,
	GIANT + 2 * UNIT + 3,
	2 * GIANT + UNIT - 1,
};
#define NR_SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

START_TEST(random_ranges)
{
	uint64_t steps = env_number("DDFS_STEPS", sizes[_i] < GIANT - 1 ? 5000 : 1000);
	struct oracle o;

	oracle_init(&o, sizes[_i]);
	for (uint64_t i = 0; i < steps; i++) {
		struct range *r = &o.held[rng_below(&o.rng, NR_RANGES)];

		if (r->nr) {
			oracle_put(&o, *r);
			r->nr = 0;
		} else {
			*r = any_range(&o);
			oracle_get(&o, *r);
		}
		compare_some(&o);
		if (i % 500 == 0)
			compare_all(&o);
	}
	for (int i = 0; i < NR_RANGES; i++)
		oracle_put(&o, o.held[i]);
	compare_all(&o);
	oracle_fini(&o);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

/* What is held up to the limit, and a range that needs one hold more of it and others besides. */
static const struct limit {
	const char *name;
	struct range full, wider;
} limits[] = {
	{ "a page", { 5, 1 }, { 2, 6 } },
	{ "a page of another giant", { GIANT + 5, 1 }, { 0, GIANT + 6 } },
	{ "a unit", { UNIT, UNIT }, { UNIT - 3, 2 * UNIT } },
	{ "a unit of another giant", { GIANT + 3 * UNIT, UNIT }, { 7, GIANT + 4 * UNIT } },
	{ "a giant", { GIANT, GIANT }, { GIANT - UNIT - 1, GIANT + UNIT + 2 } },
	{ "the first giant", { 0, GIANT }, { 0, 2 * GIANT } },
};
#define NR_LIMITS ((int)(sizeof(limits) / sizeof(limits[0])))

START_TEST(too_many_holders)
{
	const struct limit *l = &limits[_i];
	struct oracle o;

	oracle_init(&o, 2 * GIANT + UNIT + 1);
	for (unsigned int i = 0; i < MAX; i++)
		ck_assert_int_eq(ddfs_pagemap_get_pages(o.pm, l->full.page, l->full.nr), 0);
	ck_assert_int_eq(ddfs_pagemap_get_pages(o.pm, l->full.page, l->full.nr), -EUSERS);
	ck_assert_int_eq(ddfs_pagemap_get_pages(o.pm, l->wider.page, l->wider.nr), -EUSERS);
	for (uint64_t p = l->full.page; p < l->full.page + l->full.nr; p++)
		o.counts[p] = MAX;
	for (uint64_t p = 0; p < o.nr; p++)
		same(ddfs_pagemap_count(o.pm, p), 1 + o.counts[p]);

	/* One less, and it fits. */
	ddfs_pagemap_put_pages(o.pm, l->full.page, l->full.nr, NULL);
	ck_assert_int_eq(ddfs_pagemap_get_pages(o.pm, l->wider.page, l->wider.nr), 0);
	ddfs_pagemap_put_pages(o.pm, l->wider.page, l->wider.nr, NULL);
	for (unsigned int i = 1; i < MAX; i++)
		ddfs_pagemap_put_pages(o.pm, l->full.page, l->full.nr, NULL);
	oracle_fini(&o);
}
END_TEST

/* The limits are each by itself: a page, its unit and its giant may have as many holders each. And
 * of parts of a unit or giant there may be more. */
START_TEST(many_holders_inside)
{
	static const struct {
		struct range range;
		unsigned int times;
		uint64_t busy; /* of pages 3 and 4, the first that is busy with this and what
				  follows */
	} all[] = {
		{ { 3, 1 }, MAX, 3 },
		{ { 0, UNIT }, MAX, 3 },
		{ { 0, GIANT }, MAX, 3 },
		{ { 4, 1 }, MAX, 4 },
		{ { 9, UNIT }, 10, 5 },
	};
	const size_t nr = sizeof(all) / sizeof(all[0]);
	struct oracle o;

	oracle_init(&o, GIANT);
	for (size_t i = 0; i < nr; i++) {
		for (unsigned int n = 0; n < all[i].times; n++)
			ck_assert_int_eq(
				ddfs_pagemap_get_pages(o.pm, all[i].range.page, all[i].range.nr),
				0);
	}
	ck_assert_uint_eq(ddfs_pagemap_count(o.pm, 3), 1 + 3 * MAX);
	ck_assert_uint_eq(ddfs_pagemap_count(o.pm, UNIT + 8), 1 + 10 + MAX);
	for (size_t i = 0; i < nr; i++) {
		ck_assert_uint_eq(ddfs_pagemap_busy_page(o.pm, 3, 2), all[i].busy);
		for (unsigned int n = 0; n < all[i].times; n++)
			ddfs_pagemap_put_pages(o.pm, all[i].range.page, all[i].range.nr, NULL);
	}
	oracle_fini(&o);
}
END_TEST

START_TEST(bad_arguments)
{
	struct ddfs_pagemap_params params = { 0 };
	struct ddfs_pagemap *pm = NULL;
	uint64_t storage[8] = { 0 };

	ck_assert_int_eq(ddfs_pagemap_new(&params, &pm), -EINVAL);
	params.nr_pages = 4;
	params.altmap = (char *)storage + 4;
	ck_assert_int_eq(ddfs_pagemap_new(&params, &pm), -EINVAL);
	ck_assert_ptr_null(pm);
	ddfs_pagemap_delete(NULL);
	for (int type = DDFS_MEMORY_FS_DAX; type <= DDFS_MEMORY_PRIVATE; type++) {
		params = (struct ddfs_pagemap_params){ .nr_pages = 7,
			.type = (enum ddfs_memory_type)type };
		ck_assert_int_eq(ddfs_pagemap_new(&params, &pm), 0);
		ck_assert_int_eq(ddfs_pagemap_type(pm), type);
		ck_assert_uint_eq(ddfs_pagemap_nr_pages(pm), 7);
		ddfs_pagemap_delete(pm);
	}
	ck_assert_str_eq(ddfs_memory_type_name(DDFS_MEMORY_FS_DAX), "fs_dax");
	ck_assert_str_eq(ddfs_memory_type_name(DDFS_MEMORY_HOST), "host");
	ck_assert_str_eq(ddfs_memory_type_name(DDFS_MEMORY_PRIVATE), "private");
}
END_TEST

/* ---- storage --------------------------------------------------------------------------------- */

/* Bytes of memory that the one mapping of that size has. */
static uint64_t touched_bytes(size_t size)
{
	uint64_t kib, want = (size + 4095) / 4096 * 4, anonymous = UINT64_MAX;
	FILE *file = fopen("/proc/self/smaps", "r");
	bool it = false;
	char line[256];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Size: %" SCNu64, &kib) == 1)
			it = kib == want;
		if (it && sscanf(line, "Anonymous: %" SCNu64, &kib) == 1) {
			ck_assert_uint_eq(anonymous, UINT64_MAX);
			anonymous = kib * 1024;
		}
	}
	fclose(file);
	ck_assert_uint_ne(anonymous, UINT64_MAX);
	return anonymous;
}

#define NR_SPREAD 64

/* 8 TiB of device: neither making its pagemap nor looking at it takes memory, holding pages takes
 * that of the counts alone. */
START_TEST(memory_where_pinned)
{
	uint64_t nr = 8192 * GIANT + 12345;
	struct ddfs_pagemap_params params = { .nr_pages = nr };
	size_t bytes = ddfs_pagemap_bytes(nr);
	struct ddfs_pagemap *pm;

	ck_assert_uint_le(bytes, nr * 4);
	ck_assert_int_eq(ddfs_pagemap_new(&params, &pm), 0);
	ck_assert_uint_eq(ddfs_pagemap_busy_page(pm, 0, nr), nr);
	for (uint64_t p = 0; p < nr; p += 1000 * UNIT)
		ck_assert_uint_eq(ddfs_pagemap_count(pm, p), 1);
	ck_assert_uint_eq(touched_bytes(bytes), 0);
	for (uint64_t i = 0; i < NR_SPREAD; i++)
		ck_assert_int_eq(ddfs_pagemap_get_pages(pm, i * (nr / NR_SPREAD), 1), 0);
	/* The words of the page, of its unit and of its giant. */
	ck_assert_uint_le(touched_bytes(bytes), 3 * 4096 * NR_SPREAD);
	ck_assert_uint_ge(touched_bytes(bytes), 4096 * NR_SPREAD);
	ck_assert_uint_eq(ddfs_pagemap_busy_page(pm, 1, nr - 1), nr / NR_SPREAD);
	for (uint64_t i = 0; i < NR_SPREAD; i++)
		ddfs_pagemap_put_pages(pm, i * (nr / NR_SPREAD), 1, NULL);
	ck_assert_uint_eq(ddfs_pagemap_busy_page(pm, 0, nr), nr);
	ddfs_pagemap_delete(pm);
}
END_TEST

/* A range of one giant that is not aligned to one costs pages of storage by its units, not more. */
START_TEST(memory_of_a_long_range)
{
	uint64_t nr = 16 * GIANT;
	struct ddfs_pagemap_params params = { .nr_pages = nr };
	size_t bytes = ddfs_pagemap_bytes(nr);
	struct ddfs_pagemap *pm;

	ck_assert_int_eq(ddfs_pagemap_new(&params, &pm), 0);
	ck_assert_int_eq(ddfs_pagemap_get_pages(pm, GIANT + UNIT, GIANT), 0);
	ck_assert_uint_le(touched_bytes(bytes), 4 * 4096);
	ddfs_pagemap_put_pages(pm, GIANT + UNIT, GIANT, NULL);
	ddfs_pagemap_delete(pm);
}
END_TEST

/* Storage that an idle pagemap has left serves the next one. */
START_TEST(storage_again)
{
	uint64_t nr = UNIT + 9;
	struct ddfs_pagemap_params params = { .nr_pages = nr };
	struct ddfs_pagemap *pm;

	params.altmap = calloc(1, ddfs_pagemap_bytes(nr));
	ck_assert_ptr_nonnull(params.altmap);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(ddfs_pagemap_new(&params, &pm), 0);
		ck_assert_uint_eq(ddfs_pagemap_busy_page(pm, 0, nr), nr);
		ck_assert_int_eq(ddfs_pagemap_get_pages(pm, 3, nr - 3), 0);
		ck_assert_uint_eq(ddfs_pagemap_busy_page(pm, 0, nr), 3);
		ddfs_pagemap_put_pages(pm, 3, nr - 3, NULL);
		ddfs_pagemap_delete(pm);
	}
	free(params.altmap);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "random ranges", random_ranges, NR_SIZES },
		{ "too many holders", too_many_holders, NR_LIMITS },
		{ "many holders inside", many_holders_inside, 0 },
		{ "bad arguments", bad_arguments, 0 },
		{ "memory where pinned", memory_where_pinned, 0 },
		{ "memory of a long range", memory_of_a_long_range, 0 },
		{ "storage again", storage_again, 0 },
	};

	return suite_run("layout_pagemap", cases, sizeof(cases) / sizeof(cases[0]));
}
