/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/device/turn.h"

void ddfs_turn_init(struct ddfs_turn *turn)
{
	*turn = (struct ddfs_turn){ .nr_begun = 0 };
	pthread_mutex_init(&turn->lock, NULL);
	pthread_cond_init(&turn->ended, NULL);
}

void ddfs_turn_fini(struct ddfs_turn *turn)
{
	pthread_cond_destroy(&turn->ended);
	pthread_mutex_destroy(&turn->lock);
}

/* Called and returns with the lock held; not held while fn runs. */
static void run(struct ddfs_turn *turn, int (*fn)(void *arg), void *arg)
{
	int ret;

	turn->running = true;
	turn->nr_begun++;
	turn->nr_served = turn->nr_asked;
	turn->nr_asked = 0;
	pthread_mutex_unlock(&turn->lock);
	ret = fn(arg);
	pthread_mutex_lock(&turn->lock);
	turn->running = false;
	turn->nr_ended = turn->nr_begun;
	if (ret) {
		turn->failed = turn->nr_ended;
		turn->error = ret;
	}
	pthread_cond_broadcast(&turn->ended);
}

int ddfs_turn_take(struct ddfs_turn *turn, int (*fn)(void *arg), void *arg)
{
	uint64_t mine;
	int ret;

	pthread_mutex_lock(&turn->lock);
	mine = turn->nr_begun + 1;
	turn->nr_asked++;
	while (turn->nr_ended < mine) {
		if (turn->running)
			pthread_cond_wait(&turn->ended, &turn->lock);
		else
			run(turn, fn, arg);
	}
	/* a later one that failed is reported too: it says no less of the device */
	ret = turn->failed >= mine ? turn->error : 0;
	pthread_mutex_unlock(&turn->lock);
	return ret;
}

/* The next run, which changes it, begins after this one. */
uint64_t ddfs_turn_served(const struct ddfs_turn *turn)
{
	return turn->nr_served;
}
