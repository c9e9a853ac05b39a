/* SPDX-License-Identifier: BSD-3-Clause */
/* Work in ranges, by all threads of a run. */
#ifndef DDFS_FSCK_WORK_H
#define DDFS_FSCK_WORK_H

#include <stdint.h>

struct fsck;

/* Calls fn for [0, total) in ranges of up to `batch`, as part of a pass (1 to 5) whose progress it
 * tells; in order, and by the caller alone, where one thread is enough. Returns the run's error. */
int fsck_work(struct fsck *f, unsigned int pass, uint64_t total, uint64_t batch,
	void (*fn)(struct fsck *f, uint64_t from, uint64_t to));

#endif
