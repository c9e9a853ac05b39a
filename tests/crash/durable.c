/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/durable.h"

#include "fs/format.h"

static bool is_of_pins(const struct crash_memory *m, const struct crash_event *e)
{
	const struct ddfs_super *s = (const void *)m->media.base;
	uint64_t from = ddfs_le64(s->pins_off), end = from + ddfs_le64(s->pins_bytes);

	return e->off >= from && e->off + e->len <= end;
}

/* Where op began. */
static size_t find_begin(const struct crash_log *log, uint32_t op)
{
	size_t i = log->nr;

	while (i-- > 0)
		if (log->events[i].kind == CRASH_BEGIN && log->events[i].op == op)
			break;
	return i;
}

/* Which operation had begun before event `at`, and not ended; there is one at most. */
static uint32_t find_running(const struct crash_log *log, size_t at)
{
	uint32_t running = CRASH_NO_OP;

	for (size_t i = 0; i < at; i++) {
		const struct crash_event *e = &log->events[i];

		if (e->kind == CRASH_BEGIN)
			running = e->op;
		else if (e->kind == CRASH_END && e->op == running)
			running = CRASH_NO_OP;
	}
	return running;
}

/* How far the stores of a thread have come, of those that count. */
enum reach { FLUSHED, FENCED, STORED };

static void follow(enum reach reach[CRASH_THREADS], const struct crash_event *e, bool counts)
{
	if (e->kind == CRASH_STORE && counts)
		reach[e->thread] = STORED;
	if (e->kind == CRASH_FENCE && reach[e->thread] == STORED)
		reach[e->thread] = FENCED;
	for (unsigned int t = 0; t < CRASH_THREADS && e->kind == CRASH_DEEP_FLUSH; t++)
		if (reach[t] == FENCED)
			reach[t] = FLUSHED;
}

bool crash_durable_is_synced(const struct crash_log *log, const struct crash_memory *m, uint32_t op)
{
	size_t began = find_begin(log, op);
	uint32_t running = find_running(log, began);
	enum reach reach[CRASH_THREADS] = { FLUSHED };
	bool all = true;

	for (size_t i = 0; i < log->nr; i++) {
		const struct crash_event *e = &log->events[i];
		bool runs = running != CRASH_NO_OP && e->op == running;

		follow(reach, e, (e->op == op || (i < began && !runs)) && !is_of_pins(m, e));
	}
	for (unsigned int t = 0; t < CRASH_THREADS; t++)
		all &= reach[t] == FLUSHED;
	return all;
}
