/* SPDX-License-Identifier: BSD-3-Clause */
/* What a sync promises beside what cuts show: the platform's own buffers are pushed to media, and
 * no image tells whether they were. */
#ifndef DDFS_TEST_CRASH_DURABLE_H
#define DDFS_TEST_CRASH_DURABLE_H

#include <stdbool.h>

#include "tests/crash/log.h"
#include "tests/crash/memory.h"

/* Whether behind every store that the sync op, which has ended, is about there is a fence of its
 * own thread, and behind that a deep flush of any. It is about what it stored itself, and what
 * operations stored that had ended when it began; but for stores to the table of pins, which nobody
 * waits for. */
bool crash_durable_is_synced(
	const struct crash_log *log, const struct crash_memory *m, uint32_t op);

#endif
