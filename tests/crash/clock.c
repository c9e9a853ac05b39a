/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What would make two runs of one workload differ, wrapped by the linker (--wrap): time passes by
 * calls, random numbers are none, and the boot is always the same one.
 */
#include "tests/crash/clock.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define EPOCH_SEC 1700000000u

/* The linker's names. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
time_t __wrap_time(time_t *t);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__real_fopen(const char *path, const char *mode);

static _Thread_local uint64_t nsec;

void crash_clock_set(unsigned int sec)
{
	nsec = (uint64_t)sec * 1000000000;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	(void)clock;
	nsec += 1000;
	t->tv_sec = (time_t)(EPOCH_SEC + nsec / 1000000000);
	t->tv_nsec = (long)(nsec % 1000000000);
	return 0;
}

time_t __wrap_time(time_t *t)
{
	time_t now = (time_t)(EPOCH_SEC + nsec / 1000000000);

	if (t)
		*t = now;
	return now;
}

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	memset(buf, 0x5a, len);
	return (ssize_t)len;
}

/* The boot id, which a mount reads each time: none. */
FILE *__wrap_fopen(const char *path, const char *mode)
{
	if (!strcmp(path, "/proc/sys/kernel/random/boot_id"))
		return NULL;
	return __real_fopen(path, mode);
}
