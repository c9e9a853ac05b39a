/* SPDX-License-Identifier: BSD-3-Clause */
/* What went through the door, in order, which operation it belongs to, and which thread did it. */
#ifndef DDFS_TEST_CRASH_LOG_H
#define DDFS_TEST_CRASH_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum crash_event_kind {
	CRASH_STORE, /* by copy or set */
	CRASH_FLUSH,
	CRASH_FENCE,
	CRASH_DEEP_FLUSH,
	CRASH_BEGIN, /* of operation op */
	CRASH_END,
};

#define CRASH_NO_OP UINT32_MAX

/* Whoever prepares, runs one operation after the other and unmounts; and those that run two at the
 * same time. */
#define CRASH_MAIN    0u
#define CRASH_THREADS 3u

struct crash_event {
	enum crash_event_kind kind;
	uint32_t op; /* CRASH_NO_OP: none runs */
	unsigned int thread;
	uint64_t off;
	size_t len;
	size_t at; /* STORE: of its bytes, among all that are kept */
};

struct crash_log {
	struct crash_event *events;
	size_t nr, cap;
	uint8_t *bytes;
	size_t used, bytes_cap;
	unsigned int thread;	    /* that runs now */
	uint32_t op[CRASH_THREADS]; /* that each runs now */
};

void crash_log_init(struct crash_log *log);
void crash_log_fini(struct crash_log *log);
void crash_log_clear(struct crash_log *log);

void crash_log_store(struct crash_log *log, uint64_t off, const void *src, size_t len);
void crash_log_flush(struct crash_log *log, uint64_t off, size_t len);
void crash_log_note(struct crash_log *log, enum crash_event_kind kind);
void crash_log_begin(struct crash_log *log, uint32_t op);
void crash_log_end(struct crash_log *log);

static inline const uint8_t *crash_log_bytes(
	const struct crash_log *log, const struct crash_event *e)
{
	return log->bytes + e->at;
}

/* Events from `from` up to `to`, for a person. */
void crash_log_print(FILE *out, const struct crash_log *log, size_t from, size_t to);

#endif
