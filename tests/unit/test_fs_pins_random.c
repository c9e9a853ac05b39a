/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pins, and everything that takes pages away from files, in random order: whatever happens, a block
 * that is pinned is in its file and in no other, holds what was stored, and is not free; who waits
 * is woken once, when the time has come; and in the end all is idle and free.
 *
 * DDFS_SEED chooses another run and DDFS_STEPS a longer one, DDFS_CASE one of the cases alone;
 * DDFS_TRACE shows what is done.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/pins_world.h"
#include "tests/unit/suite.h"
#include "tests/unit/weighted.h"

/* The sanitizers take many times longer for a step, and need fewer to see what they look for. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEPS_SHARE 8
#else
#define STEPS_SHARE 1
#endif

static const struct setup {
	uint64_t size, align;
	bool map_dev;
	uint64_t steps;
} setups[] = {
	{ 16 * MIB, 4096, false, 500000 },
	{ 16 * MIB, 4 * 4096, false, 300000 },
	{ 16 * MIB, 4096, true, 400000 },
	{ 64 * MIB, 2 * MIB, true, 40000 },
};
#define NR_SETUPS (sizeof(setups) / sizeof(setups[0]))

static const struct weighted_call calls[] = {
	{ do_pin, 2200 },
	{ do_unpin, 1200 },
	{ do_change, 1700 },
	{ do_later, 1400 },
	{ do_store, 900 },
	{ do_write, 900 },
	{ do_open, 400 },
	{ do_release, 260 },
	{ do_cancel, 100 },
	{ do_create, 150 },
	{ do_unlink, 60 },
	{ do_rename_over, 40 },
	{ do_allocate, 100 },
	{ do_lease, 30 },
	{ do_death, 80 },
	{ do_collect, 80 },
	{ do_let_go, 150 },
	{ do_tick, 100 },
	{ do_fill, 5 },
	{ do_remount, 2 },
	{ do_crash, 4 },
};

static void one_step(struct world *w)
{
	weighted_pick(&w->rng, calls, sizeof(calls) / sizeof(calls[0]))->call(w);
	check_counts(w);
	w->step++;
}

START_TEST(schedules)
{
	const struct setup *s = &setups[(size_t)_i];
	uint64_t steps = env_number("DDFS_STEPS", s->steps / STEPS_SHARE);
	uint64_t seed = env_number("DDFS_SEED", 1);
	static struct world w;

	if (env_number("DDFS_CASE", (uint64_t)_i) != (uint64_t)_i)
		return;
	fprintf(stderr, "case %d, seed %llu\n", _i, (unsigned long long)seed);
	world_init(&w, seed, _i, s->size, s->align, s->map_dev);
	for (uint64_t i = 0; i < steps; i++) {
		one_step(&w);
		if (i % 5000 == 4999)
			check_all(&w);
	}
	world_fini(&w);
	fprintf(stderr,
		"case %d: %llu steps, %llu pins, %llu waits, %llu woken, %llu killed, %llu "
		"crashes, "
		"%llu times full\n",
		_i, (unsigned long long)w.step, (unsigned long long)w.nr_pinned,
		(unsigned long long)w.nr_parked, (unsigned long long)w.nr_woken,
		(unsigned long long)w.nr_killed, (unsigned long long)w.nr_crashes,
		(unsigned long long)w.nr_full);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "schedules", schedules, NR_SETUPS },
	};

	return suite_run("fs_pins_random", cases, 1);
}
