/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that hold and let go of the same pages: the counts come out even, and who waits for a
 * page to go idle is never forgotten. A wake-up that is lost shows as a test that does not end.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "layout/pagemap.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#define UNIT  ((uint64_t)DDFS_UNIT_PAGES)
#define GIANT ((uint64_t)DDFS_GIANT_PAGES)

#define MAX_HOLDERS 3

struct range {
	uint64_t page, nr;
};

/* On either side of where two giants meet, as a page, in units, and whole. */
static const struct range ranges[] = {
	{ GIANT - 2, 1 },
	{ GIANT - 2, 4 },
	{ GIANT - 1, 2 },
	{ GIANT - UNIT, UNIT },
	{ GIANT - UNIT, 3 * UNIT },
	{ GIANT - UNIT - 1, UNIT + 2 },
	{ GIANT - 1, UNIT + 1 },
	{ 0, GIANT },
	{ GIANT, GIANT },
	{ 0, 2 * GIANT },
	{ 5, 2 * GIANT - 10 },
};
#define NR_RANGES (sizeof(ranges) / sizeof(ranges[0]))

/* Check writes a note of every assertion: only of those that fail. */
static void hold(struct ddfs_pagemap *pm, const struct range *r)
{
	int err = ddfs_pagemap_get_pages(pm, r->page, r->nr);

	if (err)
		ck_assert_int_eq(err, 0);
}

/* ---- even counts ----------------------------------------------------------------------------- */

struct holder {
	struct ddfs_pagemap *pm;
	struct rng rng;
	uint64_t steps;
	pthread_t thread;
};

static void check_busy(struct holder *h, const struct range *r)
{
	uint64_t page = r->page + rng_below(&h->rng, r->nr);

	if (ddfs_pagemap_busy_page(h->pm, r->page, r->nr) != r->page ||
		ddfs_pagemap_count(h->pm, page) < 2)
		ck_abort_msg("[%lu, +%lu) is held and idle", (unsigned long)r->page,
			(unsigned long)r->nr);
}

static void *hold_some(void *arg)
{
	struct range held[4] = { 0 };
	struct holder *h = arg;

	for (uint64_t i = 0; i < h->steps + 4; i++) {
		struct range *r = &held[i % 4];

		if (r->nr) {
			check_busy(h, r);
			ddfs_pagemap_put_pages(h->pm, r->page, r->nr, NULL);
		}
		*r = i < h->steps ? ranges[rng_below(&h->rng, NR_RANGES)] : (struct range){ 0 };
		if (r->nr)
			hold(h->pm, r);
	}
	return NULL;
}

START_TEST(even_counts)
{
	uint64_t nr = 2 * GIANT + 100;
	struct ddfs_pagemap_params params = { .nr_pages = nr };
	struct holder holders[MAX_HOLDERS];
	struct ddfs_pagemap *pm;
	unsigned char *storage = calloc(1, ddfs_pagemap_bytes(nr));

	ck_assert_ptr_nonnull(storage);
	params.altmap = storage;
	ck_assert_int_eq(ddfs_pagemap_new(&params, &pm), 0);
	for (int i = 0; i < MAX_HOLDERS; i++) {
		holders[i].pm = pm;
		holders[i].steps = env_number("DDFS_STEPS", 30000);
		rng_seed(&holders[i].rng, env_number("DDFS_SEED", 1) + (uint64_t)i);
		ck_assert_int_eq(
			pthread_create(&holders[i].thread, NULL, hold_some, &holders[i]), 0);
	}
	for (int i = 0; i < MAX_HOLDERS; i++)
		pthread_join(holders[i].thread, NULL);
	ck_assert_uint_eq(ddfs_pagemap_busy_page(pm, 0, nr), nr);
	ddfs_pagemap_delete(pm);
	for (size_t i = 0; i < ddfs_pagemap_bytes(nr); i++) {
		if (storage[i])
			ck_abort_msg("a count is left at byte %zu", i);
	}
	free(storage);
}
END_TEST

/* ---- no lost wake-up ------------------------------------------------------------------------- */

/*
 * Round after round each holder takes a range around one page; when all have, all let go at once,
 * while the waiter waits for all of it to go idle as a change of a file does. Nobody holds anything
 * anew before it has, so that no later put makes up for a wake-up that was lost.
 */
struct game {
	struct ddfs_pagemap *pm;
	int nr_holders;
	_Atomic uint64_t nr_holding; /* of all rounds */
	_Atomic uint64_t round;	     /* holders may take pages of it */
	bool stop;

	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool is_woken; /* protected by lock */
};

struct player {
	struct game *game;
	struct rng rng;
	pthread_t thread;
};

static void wake(void *arg, uint64_t page, uint64_t nr)
{
	struct game *g = arg;

	if (page + nr > 2 * GIANT)
		ck_abort_msg("idle beyond the end");
	pthread_mutex_lock(&g->lock);
	g->is_woken = true;
	pthread_cond_signal(&g->woken);
	pthread_mutex_unlock(&g->lock);
}

static void dally(struct rng *rng, uint64_t max)
{
	for (volatile uint64_t n = rng_below(rng, max); n; n--)
		;
}

/* Spins, so that all go on at once, but not for long where there are too few processors. */
static void until(const _Atomic uint64_t *value, uint64_t least)
{
	for (int n = 0; atomic_load(value) < least; n++) {
		if (n > 2000)
			sched_yield();
	}
}

/* Often the one that takes longest to let go of. */
static struct range any_range(struct rng *rng)
{
	return ranges[rng_below(rng, 2) ? NR_RANGES - 1 : rng_below(rng, NR_RANGES)];
}

static void *play(void *arg)
{
	struct player *p = arg;
	struct game *g = p->game;

	for (uint64_t round = 1;; round++) {
		struct range r = any_range(&p->rng);

		until(&g->round, round);
		if (g->stop)
			return NULL;
		hold(g->pm, &r);
		atomic_fetch_add(&g->nr_holding, 1);
		until(&g->nr_holding, round * (uint64_t)g->nr_holders);
		dally(&p->rng, 1024);
		ddfs_pagemap_put_pages(g->pm, r.page, r.nr, g);
	}
}

static void sleep_until_woken(struct game *g)
{
	pthread_mutex_lock(&g->lock);
	while (!g->is_woken)
		pthread_cond_wait(&g->woken, &g->lock);
	g->is_woken = false;
	pthread_mutex_unlock(&g->lock);
}

static void wait_for_idle(struct game *g)
{
	bool busy;

	do {
		ddfs_pagemap_wait_begin(g->pm);
		busy = ddfs_pagemap_busy_page(g->pm, 0, 2 * GIANT) < 2 * GIANT;
		if (busy)
			sleep_until_woken(g);
		ddfs_pagemap_wait_end(g->pm);
	} while (busy);
}

START_TEST(no_lost_wake_up)
{
	struct ddfs_pagemap_params params = { .nr_pages = 2 * GIANT, .idle = wake };
	uint64_t rounds = env_number("DDFS_STEPS", 20000);
	struct player players[MAX_HOLDERS];
	struct game g = { .nr_holders = _i + 1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.woken = PTHREAD_COND_INITIALIZER };
	struct rng rng;

	ck_assert_int_eq(ddfs_pagemap_new(&params, &g.pm), 0);
	rng_seed(&rng, env_number("DDFS_SEED", 1));
	for (int i = 0; i < g.nr_holders; i++) {
		players[i].game = &g;
		rng_seed(&players[i].rng, rng_next(&rng));
		ck_assert_int_eq(pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
	}
	for (uint64_t i = 1; i <= rounds; i++) {
		atomic_store(&g.round, i);
		until(&g.nr_holding, i * (uint64_t)g.nr_holders);
		dally(&rng, 512);
		wait_for_idle(&g);
	}
	g.stop = true;
	atomic_store(&g.round, rounds + 1);
	for (int i = 0; i < g.nr_holders; i++)
		pthread_join(players[i].thread, NULL);
	ck_assert_uint_eq(ddfs_pagemap_busy_page(g.pm, 0, 2 * GIANT), 2 * GIANT);
	ddfs_pagemap_delete(g.pm);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "even counts", even_counts, 0 },
		{ "no lost wake-up", no_lost_wake_up, MAX_HOLDERS - 1 },
	};

	return suite_run("layout_idle", cases, sizeof(cases) / sizeof(cases[0]));
}
