/* SPDX-License-Identifier: BSD-3-Clause */
/* Time that only goes forward. */
#ifndef DDFS_DAEMON_CLOCK_H
#define DDFS_DAEMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, microseconds. */
static inline int64_t ddfs_now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The same in milliseconds. */
static inline int64_t ddfs_now_msec(void)
{
	return ddfs_now_usec() / 1000;
}

#endif
