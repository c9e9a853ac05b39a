/* SPDX-License-Identifier: BSD-3-Clause */
/* The filesystem that every workload begins with. */
#ifndef DDFS_TEST_CRASH_PRISTINE_H
#define DDFS_TEST_CRASH_PRISTINE_H

#include "tests/crash/memory.h"

/* Empty, never mounted, with CRASH_STALE in every free block; no page is dirty. */
void crash_pristine_make(struct crash_memory *m, uint64_t align_bytes);

#endif
