/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stores that no fence has made durable yet.
 *
 * A fence is its own CPU's: it waits for what its thread has stored or flushed, and says nothing of
 * what others have. So a store stays here until its own thread fences, or one that has flushed it
 * since; what an earlier store of another thread has in the same place is then over, though:
 * memory does not go back.
 */
#ifndef DDFS_TEST_CRASH_PENDING_H
#define DDFS_TEST_CRASH_PENDING_H

#include "tests/crash/log.h"

/* What is left of a store. */
struct crash_span {
	size_t event;
	uint64_t off, end;
	unsigned int threads; /* a bit each: whose fence makes it durable */
};

struct crash_pending {
	struct crash_span *spans; /* as they were stored */
	size_t nr, cap;
};

void crash_pending_fini(struct crash_pending *p);
void crash_pending_clear(struct crash_pending *p);

/* Event i of the log: a store. */
void crash_pending_store(struct crash_pending *p, const struct crash_log *log, size_t i);
void crash_pending_flush(struct crash_pending *p, const struct crash_event *e);
/* A fence of the thread: what it makes durable is told, in order, and gone. */
void crash_pending_fence(struct crash_pending *p, unsigned int thread,
	void (*durable)(void *arg, const struct crash_span *s), void *arg);

static inline const uint8_t *crash_span_bytes(
	const struct crash_log *log, const struct crash_span *s)
{
	const struct crash_event *e = &log->events[s->event];

	return crash_log_bytes(log, e) + (s->off - e->off);
}

#endif
