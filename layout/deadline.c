/* SPDX-License-Identifier: BSD-3-Clause */
#include "layout/deadline.h"

int ddfs_deadline_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int err = pthread_condattr_init(&attr);

	if (err)
		return -err;
	err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!err)
		err = pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
	return -err;
}

struct ddfs_deadline ddfs_deadline_in(int msec)
{
	struct ddfs_deadline d = { .never = msec < 0 };

	if (d.never)
		return d;
	clock_gettime(CLOCK_MONOTONIC, &d.at);
	d.at.tv_sec += msec / 1000;
	d.at.tv_nsec += msec % 1000 * 1000000L;
	if (d.at.tv_nsec >= 1000000000L) {
		d.at.tv_sec++;
		d.at.tv_nsec -= 1000000000L;
	}
	return d;
}

int ddfs_deadline_wait(const struct ddfs_deadline *d, pthread_cond_t *cond, pthread_mutex_t *lock)
{
	if (d->never)
		return -pthread_cond_wait(cond, lock);
	return -pthread_cond_timedwait(cond, lock, &d->at);
}
