/* SPDX-License-Identifier: BSD-3-Clause */
/* Live references: got and put without a lock until somebody kills. */
#include <assert.h>
#include <errno.h>
#include <time.h>

#include "layout/live.h"

#define DYING (UINT64_C(1) << 63)

int ddfs_live_init(struct ddfs_live *live)
{
	pthread_condattr_t attr;
	int err;

	atomic_init(&live->word, 0);
	err = pthread_condattr_init(&attr);
	if (err)
		return -err;
	err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!err)
		err = pthread_cond_init(&live->last, &attr);
	pthread_condattr_destroy(&attr);
	if (err)
		return -err;
	err = pthread_mutex_init(&live->lock, NULL);
	if (err)
		pthread_cond_destroy(&live->last);
	return -err;
}

void ddfs_live_fini(struct ddfs_live *live)
{
	assert(!(atomic_load(&live->word) & ~DYING));
	pthread_mutex_destroy(&live->lock);
	pthread_cond_destroy(&live->last);
}

bool ddfs_live_tryget(struct ddfs_live *live)
{
	uint64_t word = atomic_load(&live->word);

	do {
		if (word & DYING)
			return false;
	} while (!atomic_compare_exchange_weak(&live->word, &word, word + 1));
	return true;
}

/* Behind a kill the last reference goes with the lock held: drain holds it while it looks, so that
 * who drained may free everything, the lock included, with no put still on its way to it. */
static void put_dying(struct ddfs_live *live)
{
	pthread_mutex_lock(&live->lock);
	if (atomic_fetch_sub(&live->word, 1) - 1 == DYING)
		pthread_cond_broadcast(&live->last);
	pthread_mutex_unlock(&live->lock);
}

void ddfs_live_put(struct ddfs_live *live)
{
	uint64_t word = atomic_load(&live->word);

	do {
		assert(word & ~DYING);
		if (word & DYING) {
			put_dying(live);
			return;
		}
	} while (!atomic_compare_exchange_weak(&live->word, &word, word - 1));
}

void ddfs_live_kill(struct ddfs_live *live)
{
	atomic_fetch_or(&live->word, DYING);
}

bool ddfs_live_is_dying(const struct ddfs_live *live)
{
	return atomic_load(&live->word) & DYING;
}

static struct timespec deadline_in(int msec)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += msec / 1000;
	t.tv_nsec += msec % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

int ddfs_live_drain(struct ddfs_live *live, int timeout_msec)
{
	struct timespec deadline = deadline_in(timeout_msec < 0 ? 0 : timeout_msec);
	int err = 0;

	assert(ddfs_live_is_dying(live));
	pthread_mutex_lock(&live->lock);
	while (!err && atomic_load(&live->word) != DYING) {
		if (timeout_msec < 0)
			pthread_cond_wait(&live->last, &live->lock);
		else
			err = pthread_cond_timedwait(&live->last, &live->lock, &deadline);
	}
	/* The deadline and the last put may come together. */
	if (atomic_load(&live->word) == DYING)
		err = 0;
	pthread_mutex_unlock(&live->lock);
	return -err;
}
