/* SPDX-License-Identifier: BSD-3-Clause */
/* Live references of a pagemap, its end, and the look-up over several. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "layout/pagemap.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

static struct ddfs_pagemap *pagemap_new(uint64_t nr_pages)
{
	struct ddfs_pagemap_params params = { .nr_pages = nr_pages };
	struct ddfs_pagemap *pm;

	ck_assert_int_eq(ddfs_pagemap_new(&params, &pm), 0);
	return pm;
}

/* It has just so many live references; it is dying afterwards, and has none. */
static void check_references(struct ddfs_pagemap *pm, unsigned int nr)
{
	ddfs_pagemap_kill(pm);
	for (; nr; nr--) {
		ck_assert_int_eq(ddfs_pagemap_drain(pm, 0), -ETIMEDOUT);
		ddfs_pagemap_put_live(pm);
	}
	ck_assert_int_eq(ddfs_pagemap_drain(pm, 0), 0);
}

/* ---- lifetime -------------------------------------------------------------------------------- */

START_TEST(kill_and_drain)
{
	struct ddfs_pagemap *pm = pagemap_new(10);

	ck_assert(!ddfs_pagemap_is_dying(pm));
	ck_assert(ddfs_pagemap_tryget_live(pm));
	ck_assert(ddfs_pagemap_tryget_live(pm));
	ddfs_pagemap_put_live(pm);
	ddfs_pagemap_kill(pm);
	ddfs_pagemap_kill(pm);
	ck_assert(ddfs_pagemap_is_dying(pm));
	ck_assert(!ddfs_pagemap_tryget_live(pm));
	ck_assert_int_eq(ddfs_pagemap_drain(pm, 0), -ETIMEDOUT);
	ck_assert_int_eq(ddfs_pagemap_drain(pm, 20), -ETIMEDOUT);
	ddfs_pagemap_put_live(pm);
	ck_assert_int_eq(ddfs_pagemap_drain(pm, 0), 0);
	ck_assert_int_eq(ddfs_pagemap_drain(pm, -1), 0);
	ck_assert(!ddfs_pagemap_tryget_live(pm));
	ddfs_pagemap_delete(pm);
}
END_TEST

struct user {
	struct ddfs_pagemap *pm;
	pthread_t thread;
	_Atomic uint64_t *nr_ready;
	uint64_t nr_got;
};

/* Uses the pagemap as long as it lives, now and then two references deep. */
static void *use_until_killed(void *arg)
{
	struct user *u = arg;

	while (ddfs_pagemap_tryget_live(u->pm)) {
		bool twice = ddfs_pagemap_tryget_live(u->pm);

		if (ddfs_pagemap_get_pages(u->pm, 0, 3))
			ck_abort_msg("three pages cannot be held");
		ddfs_pagemap_put_pages(u->pm, 0, 3, NULL);
		if (twice)
			ddfs_pagemap_put_live(u->pm);
		ddfs_pagemap_put_live(u->pm);
		if (u->nr_got++ == 0)
			atomic_fetch_add(u->nr_ready, 1);
	}
	return NULL;
}

#define NR_USERS 4

/* What drain has waited for may be freed at once. The threads touch the pagemap no more but for
 * tryget, for which it must be there: the memory is freed when they have ended, but its end is
 * tried before. */
START_TEST(killed_while_used)
{
	uint64_t rounds = env_number("DDFS_STEPS", 60);

	for (uint64_t i = 0; i < rounds; i++) {
		struct ddfs_pagemap *pm = pagemap_new(10);
		struct user users[NR_USERS] = { 0 };
		_Atomic uint64_t nr_ready = 0;

		for (int t = 0; t < NR_USERS; t++) {
			users[t] = (struct user){ .pm = pm, .nr_ready = &nr_ready };
			ck_assert_int_eq(
				pthread_create(&users[t].thread, NULL, use_until_killed, &users[t]),
				0);
		}
		while (atomic_load(&nr_ready) < NR_USERS)
			sched_yield();
		ddfs_pagemap_kill(pm);
		ck_assert_int_eq(ddfs_pagemap_drain(pm, -1), 0);
		ck_assert_uint_eq(ddfs_pagemap_busy_page(pm, 0, 10), 10);
		for (int t = 0; t < NR_USERS; t++)
			pthread_join(users[t].thread, NULL);
		ck_assert_int_eq(ddfs_pagemap_drain(pm, 0), 0);
		ddfs_pagemap_delete(pm);
	}
}
END_TEST

static void *put_one(void *arg)
{
	ddfs_pagemap_put_live(arg);
	return NULL;
}

/* The last put against a drain and a delete that follows it: the sanitizers see who comes late. */
START_TEST(deleted_behind_drain)
{
	uint64_t rounds = env_number("DDFS_STEPS", 1000);

	for (uint64_t i = 0; i < rounds; i++) {
		struct ddfs_pagemap *pm = pagemap_new(10);
		pthread_t thread;

		ck_assert(ddfs_pagemap_tryget_live(pm));
		if (i % 2)
			ddfs_pagemap_kill(pm);
		ck_assert_int_eq(pthread_create(&thread, NULL, put_one, pm), 0);
		if (i % 2 == 0)
			ddfs_pagemap_kill(pm);
		ck_assert_int_eq(ddfs_pagemap_drain(pm, -1), 0);
		ddfs_pagemap_delete(pm);
		pthread_join(thread, NULL);
	}
}
END_TEST

/* ---- look-up --------------------------------------------------------------------------------- */

/* Not in order, with a gap, one next to another, and one at the end of the numbers. */
static const struct {
	uint64_t first, nr;
} ranges[] = {
	{ 1000, 100 },
	{ 0, 512 },
	{ 512, 3 },
	{ UINT64_MAX - 9, 10 },
};
#define NR_RANGES (sizeof(ranges) / sizeof(ranges[0]))

static void set_init(struct ddfs_pagemaps *set)
{
	*set = (struct ddfs_pagemaps){ 0 };
	for (size_t i = 0; i < NR_RANGES; i++)
		ck_assert_int_eq(
			ddfs_pagemaps_add(set, pagemap_new(ranges[i].nr), ranges[i].first), 0);
}

static void set_fini(struct ddfs_pagemaps *set, const unsigned int *references)
{
	for (size_t i = 0; i < set->nr; i++) {
		check_references(set->range[i].pm, references ? references[i] : 0);
		ddfs_pagemap_delete(set->range[i].pm);
	}
}

static size_t range_of(uint64_t page)
{
	size_t i = 0;

	while (i < NR_RANGES && !(page >= ranges[i].first && page - ranges[i].first < ranges[i].nr))
		i++;
	return i;
}

static uint64_t any_page(struct rng *rng)
{
	size_t i = rng_below(rng, NR_RANGES);

	switch (rng_below(rng, 4)) {
	case 0:
		return ranges[i].first;
	case 1:
		return ranges[i].first + ranges[i].nr; /* 0 behind the end of the numbers */
	case 2:
		return ranges[i].first - 1;
	default:
		return ranges[i].first + rng_below(rng, ranges[i].nr);
	}
}

/* A walk as over the extents of a file, which takes what it found last along: each page is found
 * where it is, at its own offset there, and there is one reference at most at any time. */
START_TEST(cached_look_up)
{
	struct ddfs_pagemap *pm, *cached = NULL;
	struct ddfs_pagemaps set;
	struct rng rng;

	set_init(&set);
	rng_seed(&rng, env_number("DDFS_SEED", 1));
	for (int i = 0; i < 20000; i++) {
		uint64_t page = any_page(&rng), off = 77;
		size_t at = range_of(page);

		pm = ddfs_pagemap_get(&set, page, cached, &off);
		ck_assert_ptr_eq(pm, at < NR_RANGES ? set.range[at].pm : NULL);
		ck_assert_uint_eq(off, pm ? page - ranges[at].first : 77);
		cached = pm;
		if (cached && rng_below(&rng, 8) == 0) {
			ddfs_pagemap_put_live(cached);
			cached = NULL;
		}
	}
	if (cached)
		ddfs_pagemap_put_live(cached);
	set_fini(&set, NULL);
}
END_TEST

/* Without the cached one each look-up gives a reference; with it none. */
START_TEST(look_up_references)
{
	unsigned int references[NR_RANGES] = { 5, 1, 0, 0 };
	struct ddfs_pagemap *pm = NULL;
	struct ddfs_pagemaps set;
	uint64_t off;

	set_init(&set);
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_eq(ddfs_pagemap_get(&set, 1000, NULL, &off), set.range[0].pm);
	for (uint64_t page = 0; page < 512; page++) {
		pm = ddfs_pagemap_get(&set, page, pm, &off);
		ck_assert_ptr_eq(pm, set.range[1].pm);
	}
	set_fini(&set, references);
}
END_TEST

START_TEST(look_up_of_the_dying)
{
	struct ddfs_pagemap *dying, *pm;
	struct ddfs_pagemaps set;
	uint64_t off = 77;

	set_init(&set);
	dying = ddfs_pagemap_get(&set, 3, NULL, &off);
	ck_assert_ptr_eq(dying, set.range[1].pm);
	ddfs_pagemap_kill(dying);
	/* Who has it keeps it. */
	ck_assert_ptr_eq(ddfs_pagemap_get(&set, 4, dying, &off), dying);
	ck_assert_uint_eq(off, 4);
	ck_assert_ptr_null(ddfs_pagemap_get(&set, 5, NULL, &off));
	ck_assert_uint_eq(off, 4);
	pm = ddfs_pagemap_get(&set, 1001, NULL, &off);
	ck_assert_ptr_eq(pm, set.range[0].pm);
	ck_assert_uint_eq(off, 1);
	/* The cached one is put also where nothing is got for it. */
	ck_assert_ptr_null(ddfs_pagemap_get(&set, 5, pm, &off));
	ck_assert_ptr_null(ddfs_pagemap_get(&set, 600, dying, &off));
	set_fini(&set, NULL);
}
END_TEST

START_TEST(ranges_that_overlap)
{
	static const struct {
		uint64_t first, nr;
		int err;
	} tries[] = {
		{ 1000, 100, -EEXIST },
		{ 1099, 1, -EEXIST },
		{ 900, 101, -EEXIST },
		{ 900, 5000, -EEXIST },
		{ 1050, 10, -EEXIST },
		{ 514, 486, -EEXIST },
		{ UINT64_MAX - 9, 1, -EEXIST },
		{ UINT64_MAX - 10, 2, -EEXIST },
		{ 515, 485, 0 },
		{ 1100, 1, 0 },
	};
	struct ddfs_pagemaps set;
	unsigned int nr = NR_RANGES;

	set_init(&set);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct ddfs_pagemap *pm = pagemap_new(tries[i].nr);

		ck_assert_int_eq(ddfs_pagemaps_add(&set, pm, tries[i].first), tries[i].err);
		nr += !tries[i].err;
		ck_assert_uint_eq(set.nr, nr);
		if (tries[i].err)
			ddfs_pagemap_delete(pm);
	}
	set_fini(&set, NULL);
}
END_TEST

START_TEST(too_many_ranges)
{
	struct ddfs_pagemap *pm = pagemap_new(1);
	struct ddfs_pagemaps set = { 0 };

	for (uint64_t i = 0; i < DDFS_PAGEMAPS_MAX; i++)
		ck_assert_int_eq(ddfs_pagemaps_add(&set, pagemap_new(1), i), 0);
	ck_assert_int_eq(ddfs_pagemaps_add(&set, pm, 100), -ENOSPC);
	ck_assert_int_eq(ddfs_pagemaps_add(&set, pm, 1), -EEXIST);
	ddfs_pagemap_delete(pm);
	set_fini(&set, NULL);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "kill and drain", kill_and_drain, 0 },
		{ "killed while used", killed_while_used, 0 },
		{ "deleted behind drain", deleted_behind_drain, 0 },
		{ "cached look-up", cached_look_up, 0 },
		{ "references of look-ups", look_up_references, 0 },
		{ "look-up of the dying", look_up_of_the_dying, 0 },
		{ "ranges that overlap", ranges_that_overlap, 0 },
		{ "too many ranges", too_many_ranges, 0 },
	};

	return suite_run("layout_live", cases, sizeof(cases) / sizeof(cases[0]));
}
