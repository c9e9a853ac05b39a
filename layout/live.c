/* SPDX-License-Identifier: BSD-3-Clause */
/* Live references: got and put without a lock until somebody kills. */
#include <assert.h>
#include <errno.h>

#include "layout/deadline.h"
#include "layout/live.h"

#define DYING (UINT64_C(1) << 63)

int ddfs_live_init(struct ddfs_live *live)
{
	int err;

	atomic_init(&live->word, 0);
	err = ddfs_deadline_cond_init(&live->last);
	if (err)
		return err;
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

int ddfs_live_drain(struct ddfs_live *live, int timeout_msec)
{
	struct ddfs_deadline deadline = ddfs_deadline_in(timeout_msec);
	int err = 0;

	assert(ddfs_live_is_dying(live));
	pthread_mutex_lock(&live->lock);
	while (!err && atomic_load(&live->word) != DYING)
		err = ddfs_deadline_wait(&deadline, &live->last, &live->lock);
	/* The deadline and the last put may come together. */
	if (atomic_load(&live->word) == DYING)
		err = 0;
	pthread_mutex_unlock(&live->lock);
	return err;
}
