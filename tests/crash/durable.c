/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/durable.h"

#include "fs/format.h"

static bool is_of_pins(const struct crash_memory *m, const struct crash_event *e)
{
	const struct ddfs_super *s = (const void *)m->media.base;
	uint64_t from = ddfs_le64(s->pins_off), end = from + ddfs_le64(s->pins_bytes);

	return e->off >= from && e->off + e->len <= end;
}

bool crash_durable_is_synced(const struct crash_log *log, const struct crash_memory *m)
{
	bool fenced = true, flushed = false;

	for (size_t i = 0; i < log->nr; i++) {
		const struct crash_event *e = &log->events[i];

		if (e->kind == CRASH_STORE && !is_of_pins(m, e))
			fenced = flushed = false;
		else if (e->kind == CRASH_FENCE)
			fenced = true;
		else if (e->kind == CRASH_DEEP_FLUSH)
			flushed = fenced;
	}
	return flushed;
}
