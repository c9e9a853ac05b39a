/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose fence makes what durable. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/crash/pending.h"
#include "tests/unit/suite.h"

#define WORDS 16

struct stage {
	struct crash_log log;
	struct crash_pending pending;
	uint64_t durable[WORDS];
};

static void stage_init(struct stage *s)
{
	memset(s, 0, sizeof(*s));
	crash_log_init(&s->log);
}

static void stage_fini(struct stage *s)
{
	crash_log_fini(&s->log);
	crash_pending_fini(&s->pending);
}

/* Words from first on become v. */
static void store(struct stage *s, unsigned int thread, uint64_t first, uint64_t nr, uint64_t v)
{
	uint64_t words[WORDS];

	for (unsigned int i = 0; i < WORDS; i++)
		words[i] = v;
	s->log.thread = thread;
	crash_log_store(&s->log, first * 8, words, nr * 8);
	crash_pending_store(&s->pending, &s->log, s->log.nr - 1);
}

static void flush(struct stage *s, unsigned int thread, uint64_t first, uint64_t nr)
{
	s->log.thread = thread;
	crash_log_flush(&s->log, first * 8, nr * 8);
	crash_pending_flush(&s->pending, &s->log.events[s->log.nr - 1]);
}

static void become_durable(void *arg, const struct crash_span *span)
{
	struct stage *s = arg;

	memcpy((uint8_t *)s->durable + span->off, crash_span_bytes(&s->log, span),
		span->end - span->off);
}

static void fence(struct stage *s, unsigned int thread)
{
	crash_pending_fence(&s->pending, thread, become_durable, s);
}

/* What is durable, word by word; and what is not, as first word, one behind the last, value. */
static void ck(const struct stage *s, const char *durable, const char *pending)
{
	char words[WORDS + 1] = "", spans[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < strlen(durable); i++)
		words[i] = (char)('0' + s->durable[i]);
	ck_assert_str_eq(words, durable);
	for (size_t i = 0; i < s->pending.nr; i++) {
		const struct crash_span *p = &s->pending.spans[i];

		used += (size_t)snprintf(spans + used, sizeof(spans) - used, "%s%u-%u:%u",
			i ? " " : "", (unsigned int)p->off / 8, (unsigned int)p->end / 8,
			*crash_span_bytes(&s->log, p));
	}
	ck_assert_str_eq(spans, pending);
}

START_TEST(own_fence)
{
	struct stage s;

	stage_init(&s);
	store(&s, 1, 0, 1, 1);
	store(&s, 2, 8, 1, 2);
	store(&s, 1, 3, 2, 3);
	fence(&s, 0);
	ck(&s, "000000000", "0-1:1 8-9:2 3-5:3");
	fence(&s, 2);
	ck(&s, "000000002", "0-1:1 3-5:3");
	fence(&s, 1);
	ck(&s, "100330002", "");
	stage_fini(&s);
}
END_TEST

/* In order, where one thread stores twice. */
START_TEST(stored_twice)
{
	struct stage s;

	stage_init(&s);
	store(&s, 1, 0, 3, 1);
	store(&s, 1, 1, 3, 2);
	fence(&s, 1);
	ck(&s, "1222", "");
	stage_fini(&s);
}
END_TEST

/* What was stored before, at the same place, by another, does not come back. */
START_TEST(overwritten)
{
	struct stage s;

	stage_init(&s);
	store(&s, 1, 0, 5, 1);
	store(&s, 1, 3, 1, 3);
	store(&s, 2, 1, 3, 2);
	fence(&s, 2);
	ck(&s, "02220", "0-1:1 4-5:1");
	fence(&s, 1);
	ck(&s, "12221", "");
	stage_fini(&s);
}
END_TEST

/* What was stored behind it may come still. */
START_TEST(stored_later)
{
	struct stage s;

	stage_init(&s);
	store(&s, 1, 0, 3, 1);
	store(&s, 2, 1, 1, 2);
	fence(&s, 1);
	ck(&s, "111", "1-2:2");
	fence(&s, 2);
	ck(&s, "121", "");
	stage_fini(&s);
}
END_TEST

/* Who flushes what another has stored so far has it durable with its own fence; that alone. */
START_TEST(flushed)
{
	struct stage s;

	stage_init(&s);
	store(&s, 1, 0, 5, 1);
	flush(&s, 2, 1, 3);
	store(&s, 1, 2, 1, 3);
	fence(&s, 2);
	ck(&s, "01110", "0-1:1 4-5:1 2-3:3");
	fence(&s, 1);
	ck(&s, "11311", "");
	stage_fini(&s);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "own fence", own_fence, 0 },
		{ "stored twice", stored_twice, 0 },
		{ "overwritten", overwritten, 0 },
		{ "stored later", stored_later, 0 },
		{ "flushed", flushed, 0 },
	};

	return suite_run("crash_pending", cases, sizeof(cases) / sizeof(cases[0]));
}
