/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker: one step after the other, each in the journal before and after. */
#ifndef DDFS_TEST_SOAK_WORK_H
#define DDFS_TEST_SOAK_WORK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct soak_place {
	char dir[4096]; /* the worker's own */
	char model[4096], journal[4096];
	char holders[4096]; /* sockets, without the number */
};

/* Until the filesystem is gone or *stop is set; full: room may lack. The exit status: 1 if a call
 * failed that must not, 2 if it could not begin. */
int soak_work(
	const struct soak_place *p, bool full, uint64_t seed, const volatile sig_atomic_t *stop);

#endif
