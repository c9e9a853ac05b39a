/* SPDX-License-Identifier: BSD-3-Clause */
/* Which state of which cut of a workload, to be tried again: "3:17", and of the recovery from that
 * "3:17/0:2". */
#ifndef DDFS_TEST_CRASH_PATH_H
#define DDFS_TEST_CRASH_PATH_H

#include <stdint.h>

/* The workload; its recovery; the recovery of that. */
#define CRASH_LEVELS 3u

#define CRASH_PATH_TEXT 160

struct crash_path {
	unsigned int nr; /* levels */
	struct {
		uint64_t cut, state;
	} at[CRASH_LEVELS];
};

void crash_path_print(const struct crash_path *p, char out[CRASH_PATH_TEXT]);
/* -EINVAL. */
int crash_path_parse(const char *text, struct crash_path *out);

#endif
