/* SPDX-License-Identifier: BSD-3-Clause */
/* The checker, told to look at an image. */
#ifndef DDFS_TEST_CRASH_VERIFY_H
#define DDFS_TEST_CRASH_VERIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct crash_memory;

struct crash_verdict {
	uint64_t nr_problems;
	uint64_t nr_orphans;
	bool clean; /* marked cleanly unmounted */
	char first[200];
};

/* say: gets every problem; NULL. */
void crash_verify(struct crash_memory *m, FILE *say, struct crash_verdict *out);

#endif
