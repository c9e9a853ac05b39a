/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/log.h"

#include <stdlib.h>
#include <string.h>

/* Of a store, printed. */
#define SHOWN_BYTES 24u

void crash_log_init(struct crash_log *log)
{
	*log = (struct crash_log){ .nr = 0 };
	crash_log_clear(log);
}

void crash_log_fini(struct crash_log *log)
{
	free(log->events);
	free(log->bytes);
}

void crash_log_clear(struct crash_log *log)
{
	log->nr = 0;
	log->used = 0;
	log->thread = CRASH_MAIN;
	for (unsigned int i = 0; i < CRASH_THREADS; i++)
		log->op[i] = CRASH_NO_OP;
}

/* Room for n elements of size bytes. */
static void *grow(void *p, size_t *cap, size_t n, size_t size)
{
	if (n <= *cap)
		return p;
	while (*cap < n)
		*cap = *cap ? *cap * 2 : 1024;
	p = realloc(p, *cap * size);
	if (!p)
		abort();
	return p;
}

static struct crash_event *add(struct crash_log *log, enum crash_event_kind kind)
{
	struct crash_event *e;

	log->events = grow(log->events, &log->cap, log->nr + 1, sizeof(*log->events));
	e = &log->events[log->nr++];
	*e = (struct crash_event){
		.kind = kind, .op = log->op[log->thread], .thread = log->thread
	};
	return e;
}

void crash_log_store(struct crash_log *log, uint64_t off, const void *src, size_t len)
{
	struct crash_event *e = add(log, CRASH_STORE);

	e->off = off;
	e->len = len;
	e->at = log->used;
	log->bytes = grow(log->bytes, &log->bytes_cap, log->used + len, 1);
	memcpy(log->bytes + log->used, src, len);
	log->used += len;
}

void crash_log_flush(struct crash_log *log, uint64_t off, size_t len)
{
	struct crash_event *e = add(log, CRASH_FLUSH);

	e->off = off;
	e->len = len;
}

void crash_log_note(struct crash_log *log, enum crash_event_kind kind)
{
	add(log, kind);
}

void crash_log_begin(struct crash_log *log, uint32_t op)
{
	log->op[log->thread] = op;
	add(log, CRASH_BEGIN);
}

void crash_log_end(struct crash_log *log)
{
	add(log, CRASH_END);
	log->op[log->thread] = CRASH_NO_OP;
}

static void print_store(FILE *out, const struct crash_log *log, const struct crash_event *e)
{
	size_t n = e->len < SHOWN_BYTES ? e->len : SHOWN_BYTES;
	const uint8_t *bytes = crash_log_bytes(log, e);

	fprintf(out, "store %#9llx + %-6zu ", (unsigned long long)e->off, e->len);
	for (size_t i = 0; i < n; i++)
		fprintf(out, i % 8 ? "%02x" : " %02x", bytes[i]);
	fputs(n < e->len ? " ...\n" : "\n", out);
}

static void print_event(FILE *out, const struct crash_log *log, const struct crash_event *e)
{
	static const char *const names[] = {
		[CRASH_FENCE] = "fence",
		[CRASH_DEEP_FLUSH] = "deep flush",
		[CRASH_BEGIN] = "begins",
		[CRASH_END] = "ends",
	};

	if (e->op == CRASH_NO_OP)
		fputs("      ", out);
	else
		fprintf(out, "op %-2u ", e->op);
	if (e->kind == CRASH_STORE)
		print_store(out, log, e);
	else if (e->kind == CRASH_FLUSH)
		fprintf(out, "flush %#9llx + %zu\n", (unsigned long long)e->off, e->len);
	else
		fprintf(out, "%s\n", names[e->kind]);
}

void crash_log_print(FILE *out, const struct crash_log *log, size_t from, size_t to)
{
	for (size_t i = from; i < to && i < log->nr; i++) {
		fprintf(out, "%6zu ", i);
		print_event(out, log, &log->events[i]);
	}
}
