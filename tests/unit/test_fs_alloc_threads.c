/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that take and give back at once: no block is handed out twice, and all come back. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/unit/rng.h"
#include "tests/unit/space.h"
#include "tests/unit/suite.h"

#define NR_THREADS 4
#define NR_HELD	   64

struct taker {
	struct ddfs_fs *fs;
	atomic_uchar *owners; /* of each block */
	unsigned int kind;
	struct rng rng;
	pthread_t thread;
};

int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);

static _Thread_local struct taker *self;

/* What was found is gone when it is taken: only if others come in between. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	if (self && !rng_below(&self->rng, 4))
		sched_yield();
	return __real_pthread_mutex_lock(m);
}

static void own(struct taker *t, struct ddfs_range r, unsigned char from, unsigned char to)
{
	uint64_t wrong = 0;

	for (uint64_t i = r.start; i < r.start + r.len; i++)
		wrong += atomic_exchange(&t->owners[i], to) != from;
	ck_assert_uint_eq(wrong, 0);
}

static void *take_and_give(void *arg)
{
	/* Most is taken; or most is free, and large units meet small blocks half-way. */
	static const uint64_t wants[][8][2] = {
		{ { 1, 1 }, { 300, 1 }, { 5000, 1 }, { 20000, 1 }, { CHUNK, CHUNK },
			{ 20 * CHUNK, CHUNK }, { 8 * CHUNK, 8 * CHUNK }, { 9, 1 } },
		{ { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 16 * CHUNK, 16 * CHUNK },
			{ 16 * CHUNK, 16 * CHUNK }, { 32 * CHUNK, 16 * CHUNK }, { 9, 1 } },
	};
	static const unsigned int nr_held[] = { NR_HELD, 2 };
	struct ddfs_range held[NR_HELD] = { 0 };
	struct taker *t = arg;

	self = t;
	for (uint64_t i = env_number("DDFS_STEPS", 10000); i; i--) {
		struct ddfs_range *r = &held[rng_below(&t->rng, nr_held[t->kind])];
		const uint64_t *w = wants[t->kind][rng_below(&t->rng, 8)];
		uint64_t want = (1 + rng_below(&t->rng, w[0] / w[1])) * w[1];
		uint64_t goal = rng_below(&t->rng, 2) * rng_below(&t->rng, t->fs->nr_blocks);

		if (r->len) {
			own(t, *r, 1, 0);
			ddfs_alloc_put(t->fs, *r);
			r->len = 0;
		} else if (!ddfs_alloc_get(t->fs, goal, want, w[1],
				   rng_below(&t->rng, 2) ? DDFS_ALLOC_FEW : 0, r)) {
			ck_assert(r->len && r->len <= want && r->len % w[1] == 0);
			own(t, *r, 0, 1);
		}
	}
	for (unsigned int i = 0; i < NR_HELD; i++) {
		own(t, held[i], 1, 0);
		if (held[i].len)
			ddfs_alloc_put(t->fs, held[i]);
	}
	return NULL;
}

START_TEST(threads)
{
	struct taker takers[NR_THREADS];
	atomic_uchar *owners;
	int64_t nr_free;
	struct mounted m;

	mounted_begin(&m, 256 * MIB, 4096, NULL);
	nr_free = atomic_load(&m.fs->alloc.nr_free);
	owners = calloc(m.fs->nr_blocks, sizeof(*owners));
	for (unsigned int t = 0; t < NR_THREADS; t++) {
		takers[t] =
			(struct taker){ .fs = m.fs, .owners = owners, .kind = (unsigned int)_i };
		rng_seed(&takers[t].rng, env_number("DDFS_SEED", 1) * 10 + t);
		ck_assert_int_eq(
			pthread_create(&takers[t].thread, NULL, take_and_give, &takers[t]), 0);
	}
	for (unsigned int t = 0; t < NR_THREADS; t++)
		pthread_join(takers[t].thread, NULL);
	ck_assert_int_eq(atomic_load(&m.fs->alloc.nr_free), nr_free);
	ck_groups(m.fs);
	free(owners);
	mounted_end(&m);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "threads", threads, 2 },
	};

	return suite_run("fs_alloc_threads", cases, 1);
}
