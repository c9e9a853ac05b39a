/* SPDX-License-Identifier: BSD-3-Clause */
/* What a power cut can leave, held against what can be counted by hand. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/planes.h"
#include "tests/crash/seen.h"
#include "tests/crash/states.h"
#include "tests/unit/suite.h"

struct stage {
	struct crash_memory durable, scratch;
	struct crash_log log;
	struct crash_cut cut;
	struct crash_pending pending;
};

static void stage_init(struct stage *s)
{
	memset(s, 0, sizeof(*s));
	crash_memory_init(&s->durable);
	crash_memory_init(&s->scratch);
	crash_log_init(&s->log);
	crash_cut_init(&s->cut);
}

static void stage_fini(struct stage *s)
{
	crash_memory_fini(&s->durable);
	crash_memory_fini(&s->scratch);
	crash_log_fini(&s->log);
	crash_cut_fini(&s->cut);
	crash_pending_fini(&s->pending);
}

static void store_bytes(struct stage *s, uint64_t off, const void *bytes, size_t len)
{
	crash_log_store(&s->log, off, bytes, len);
	crash_pending_store(&s->pending, &s->log, s->log.nr - 1);
}

/* The word w of the device becomes v, at some time. */
static void store(struct stage *s, uint64_t w, uint64_t v)
{
	store_bytes(s, w * 8, &v, sizeof(v));
}

static void build(struct stage *s, enum crash_mode mode, uint32_t budget)
{
	crash_cut_build(&s->cut, mode, &s->log, &s->pending, &s->durable, budget, 7);
}

static void become_durable(void *arg, const struct crash_span *span)
{
	const uint8_t *bytes;
	struct stage *s = arg;

	bytes = crash_span_bytes(&s->log, span);
	crash_memory_store(&s->durable, span->off, bytes, span->end - span->off);
}

static void fence(struct stage *s, unsigned int thread)
{
	crash_pending_fence(&s->pending, thread, become_durable, s);
	crash_memory_revert(&s->scratch, &s->durable);
	crash_memory_take(&s->scratch, &s->durable, s->durable.dirty, s->durable.nr_dirty);
}

static void become(struct stage *s, uint64_t i)
{
	crash_memory_revert(&s->scratch, &s->durable);
	crash_cut_apply(&s->cut, i, &s->scratch);
}

static uint64_t word(const struct stage *s, uint64_t w)
{
	return ((const uint64_t *)s->scratch.media.base)[w];
}

/* Words `at` of all states, as digits of a number; each state once. */
static void ck_states(struct stage *s, const uint64_t *at, unsigned int nr_at,
	const uint64_t *wanted, unsigned int nr_wanted)
{
	bool seen[64] = { false };

	ck_assert_uint_eq(s->cut.nr_states, nr_wanted);
	for (uint64_t i = 0; i < s->cut.nr_states; i++) {
		uint64_t digits = 0;
		unsigned int n = 0;

		become(s, i);
		for (unsigned int k = 0; k < nr_at; k++)
			digits = digits * 10 + word(s, at[k]);
		while (n < nr_wanted && wanted[n] != digits)
			n++;
		ck_assert_msg(n < nr_wanted, "%llu can't be", (unsigned long long)digits);
		ck_assert_msg(!seen[n], "%llu twice", (unsigned long long)digits);
		seen[n] = true;
	}
}
#define CK_STATES(s, at, ...)                                                                      \
	ck_states(s, at, sizeof(at) / sizeof((at)[0]), (const uint64_t[]){ __VA_ARGS__ },          \
		sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

START_TEST(two_lines)
{
	static const uint64_t at[] = { 0, 8 };
	struct stage s;

	stage_init(&s);
	store(&s, 0, 1);
	store(&s, 8, 2);
	build(&s, CRASH_FLUSHED, 64);
	CK_STATES(&s, at, 0, 10, 2, 12);
	stage_fini(&s);
}
END_TEST

/* What was stored over is there, or what it was stored over with. */
START_TEST(one_word_thrice)
{
	static const uint64_t at[] = { 9 };
	struct stage s;

	stage_init(&s);
	store(&s, 9, 1);
	store(&s, 9, 1);
	store(&s, 9, 3);
	build(&s, CRASH_FLUSHED, 64);
	CK_STATES(&s, at, 0, 1, 3);
	stage_fini(&s);
}
END_TEST

START_TEST(torn_line)
{
	static const uint64_t at[] = { 16, 17, 23 };
	struct stage s;

	stage_init(&s);
	store(&s, 16, 1);
	store(&s, 17, 2);
	store(&s, 23, 3);
	build(&s, CRASH_FLUSHED, 64);
	CK_STATES(&s, at, 0, 3, 20, 23, 100, 103, 120, 123);
	stage_fini(&s);
}
END_TEST

/* With room for the lines, but not for their words: lines, then some that are torn. */
START_TEST(lines_before_words)
{
	static const uint64_t ones[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	struct stage s;
	bool torn = false;

	stage_init(&s);
	store_bytes(&s, 0, ones, sizeof(ones));
	build(&s, CRASH_FLUSHED, 8);
	ck_assert_int_eq(s.cut.scheme, CRASH_ALL_LINES);
	ck_assert_uint_eq(s.cut.nr_whole, 4);
	ck_assert_uint_eq(s.cut.nr_ruled, 4 + 2 * 8);
	ck_assert_uint_eq(s.cut.nr_states, s.cut.nr_ruled + 4);
	for (uint64_t i = s.cut.nr_ruled; i < s.cut.nr_states; i++) {
		unsigned int sum = 0;

		become(&s, i);
		for (uint64_t w = 0; w < 16; w++)
			sum += (unsigned int)word(&s, w);
		torn |= sum % 8 != 0;
	}
	ck_assert(torn);
	stage_fini(&s);
}
END_TEST

/* Of many lines: none, all, each alone, all but each. */
START_TEST(extremes)
{
	unsigned int alone[100] = { 0 }, without[100] = { 0 }, none = 0, all = 0;
	struct stage s;

	stage_init(&s);
	for (uint64_t l = 0; l < 100; l++)
		store(&s, l * 8, 1);
	build(&s, CRASH_FLUSHED, 200);
	ck_assert_int_eq(s.cut.scheme, CRASH_EXTREMES);
	for (uint64_t i = 0; i < s.cut.nr_states; i++) {
		unsigned int sum = 0, last = 0, gap = 0;

		become(&s, i);
		for (unsigned int l = 0; l < 100; l++) {
			sum += (unsigned int)word(&s, l * 8);
			*(word(&s, l * 8) ? &last : &gap) = l;
		}
		none += sum == 0;
		all += sum == 100;
		alone[last] += sum == 1;
		without[gap] += sum == 99;
	}
	ck_assert(none && all);
	for (unsigned int l = 0; l < 100; l++)
		ck_assert_msg(alone[l] && without[l], "line %u", l);
	stage_fini(&s);
}
END_TEST

/* Of a large store with a header: each word of that alone, and all but it. */
START_TEST(words_of_a_header)
{
	bool alone[8] = { false }, without[8] = { false };
	uint64_t words[1000];
	struct stage s;

	stage_init(&s);
	for (unsigned int i = 0; i < 1000; i++)
		words[i] = 1;
	store_bytes(&s, 0, words, sizeof(words));
	build(&s, CRASH_FLUSHED, 64);
	ck_assert_int_eq(s.cut.scheme, CRASH_EXTREMES);
	for (uint64_t i = 0; i < s.cut.nr_states; i++) {
		unsigned int sum = 0;

		become(&s, i);
		for (uint64_t w = 0; w < 1000; w++)
			sum += (unsigned int)word(&s, w);
		for (uint64_t w = 0; w < 8; w++) {
			alone[w] |= sum == 1 && word(&s, w);
			without[w] |= sum == 999 && !word(&s, w);
		}
	}
	for (unsigned int w = 0; w < 8; w++)
		ck_assert_msg(alone[w] && without[w], "word %u", w);
	stage_fini(&s);
}
END_TEST

/* A word is what some store made it, whatever the state; unaligned stores touch two. */
START_TEST(no_torn_word)
{
	static const uint8_t bytes[12] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	static const uint64_t at[] = { 0, 1 };
	struct stage s;

	stage_init(&s);
	store_bytes(&s, 2, bytes, sizeof(bytes));
	build(&s, CRASH_FLUSHED, 64);
	ck_assert_uint_eq(s.cut.nr_states, 4);
	for (uint64_t i = 0; i < 4; i++) {
		become(&s, i);
		ck_assert(!word(&s, at[0]) || word(&s, at[0]) == UINT64_C(0x0101010101010000));
		ck_assert(!word(&s, at[1]) || word(&s, at[1]) == UINT64_C(0x0000010101010101));
	}
	stage_fini(&s);
}
END_TEST

START_TEST(prefixes)
{
	static const uint64_t three[] = { 1, 2, 3 }, at[] = { 7, 8, 9 };
	struct stage s;

	stage_init(&s);
	store_bytes(&s, 56, three, sizeof(three));
	build(&s, CRASH_IN_ORDER, 64);
	CK_STATES(&s, at, 0, 100, 120, 123);
	stage_fini(&s);
}
END_TEST

START_TEST(prefixes_of_a_large_store)
{
	uint64_t words[1000];
	struct stage s;
	bool none = false, all = false, some = false;

	stage_init(&s);
	for (unsigned int i = 0; i < 1000; i++)
		words[i] = 1;
	store_bytes(&s, 0, words, sizeof(words));
	build(&s, CRASH_IN_ORDER, 16);
	ck_assert_uint_eq(s.cut.nr_states, 16);
	for (uint64_t i = 0; i < 16; i++) {
		uint64_t n = 0;

		become(&s, i);
		while (n < 1000 && word(&s, n))
			n++;
		for (uint64_t w = n; w < 1000; w++)
			ck_assert_uint_eq(word(&s, w), 0);
		none |= n == 0;
		all |= n == 1000;
		some |= n > 0 && n < 1000;
	}
	ck_assert(none && all && some);
	stage_fini(&s);
}
END_TEST

/* Of equal memories, whichever way they came to be; and another one if a word moves. */
START_TEST(hashes)
{
	uint64_t a = 5, b = 6, zero = 0, first;
	struct stage s;

	stage_init(&s);
	crash_memory_store(&s.durable, 64, &a, 8);
	crash_memory_store(&s.durable, 4096, &b, 8);
	crash_memory_store(&s.scratch, 4096, &a, 8);
	crash_memory_store(&s.scratch, 64, &b, 8);
	ck_assert_uint_ne(s.durable.hash, s.scratch.hash);
	crash_memory_store(&s.scratch, 4096, &b, 8);
	crash_memory_store(&s.scratch, 64, &a, 8);
	ck_assert_uint_eq(s.durable.hash, s.scratch.hash);
	first = s.durable.hash;
	crash_memory_settle(&s.durable);
	crash_memory_store(&s.durable, 70, "xyz", 3);
	ck_assert_uint_ne(s.durable.hash, first);
	crash_memory_revert(&s.durable, &s.scratch);
	ck_assert_uint_eq(s.durable.hash, first);
	ck_assert(!memcmp(s.durable.writable, s.scratch.writable, 8192));
	crash_memory_store(&s.durable, 64, &zero, 8);
	crash_memory_store(&s.durable, 4096, &zero, 8);
	ck_assert_uint_eq(s.durable.hash, 0);
	stage_fini(&s);
}
END_TEST

/* ---- a recovery that is known to be wrong, or right ----------------------------------------- */

#define PAYLOAD_LINES 3
#define FLAG_WORD     512

/* Payload, then the flag that says that it is there. */
static void toy_write(struct stage *s, bool fence)
{
	for (uint64_t w = 0; w < PAYLOAD_LINES * 8; w++)
		store(s, w, 1);
	if (fence)
		crash_log_note(&s->log, CRASH_FENCE);
	store(s, FLAG_WORD, 1);
	crash_log_note(&s->log, CRASH_FENCE);
}

static bool toy_holds(const struct stage *s)
{
	if (!word(s, FLAG_WORD))
		return true;
	for (uint64_t w = 0; w < PAYLOAD_LINES * 8; w++)
		if (!word(s, w))
			return false;
	return true;
}

static unsigned int nr_wrong(struct stage *s, enum crash_mode mode)
{
	unsigned int n = 0;

	build(s, mode, 64);
	for (uint64_t i = 0; i < s->cut.nr_states; i++) {
		become(s, i);
		n += !toy_holds(s);
	}
	return n;
}

/* As the explorer goes through a log. */
static unsigned int walk_wrong(struct stage *s, enum crash_mode mode)
{
	unsigned int n = 0;

	crash_pending_clear(&s->pending);
	for (size_t i = 0; i < s->log.nr; i++) {
		const struct crash_event *e = &s->log.events[i];

		if (e->kind == CRASH_STORE)
			crash_pending_store(&s->pending, &s->log, i);
		if ((mode == CRASH_IN_ORDER) != (e->kind == CRASH_STORE))
			continue;
		n += nr_wrong(s, mode);
		fence(s, e->thread);
	}
	return n;
}

static unsigned int toy_wrong(enum crash_mode mode, bool fence)
{
	struct stage s;
	unsigned int n;

	stage_init(&s);
	toy_write(&s, fence);
	n = walk_wrong(&s, mode);
	stage_fini(&s);
	return n;
}

START_TEST(toy_recovery)
{
	ck_assert_uint_eq(toy_wrong(CRASH_FLUSHED, true), 0);
	ck_assert_uint_ne(toy_wrong(CRASH_FLUSHED, false), 0);
	/* Where order is all there is, a fence makes no difference. */
	ck_assert_uint_eq(toy_wrong(CRASH_IN_ORDER, true), 0);
	ck_assert_uint_eq(toy_wrong(CRASH_IN_ORDER, false), 0);
}
END_TEST

/* The payload's fence is another thread's. */
START_TEST(toy_fence_of_another)
{
	struct stage s;

	stage_init(&s);
	for (uint64_t w = 0; w < PAYLOAD_LINES * 8; w++)
		store(&s, w, 1);
	s.log.thread = 1;
	crash_log_note(&s.log, CRASH_FENCE);
	s.log.thread = CRASH_MAIN;
	store(&s, FLAG_WORD, 1);
	crash_log_note(&s.log, CRASH_FENCE);
	ck_assert_uint_ne(walk_wrong(&s, CRASH_FLUSHED), 0);
	stage_fini(&s);
}
END_TEST

START_TEST(planes)
{
	struct crash_planes *p = malloc(sizeof(*p));
	struct crash_memory first;
	uint64_t v = 9;
	struct stage s;

	stage_init(&s);
	crash_memory_init(&first);
	crash_planes_init(p);
	crash_planes_store(p, 0, 4096, &v, 8);
	store(&s, 0, 4);
	crash_cut_build(&s.cut, CRASH_FLUSHED, &s.log, &s.pending, &p->plane[0].durable, 64, 0);
	crash_planes_apply(p, 1, &s.cut, 1);
	crash_planes_store(p, 1, 8192, &v, 8);
	ck_assert_uint_eq(p->plane[2].scratch.hash, p->plane[1].durable.hash);
	ck_assert_uint_ne(p->plane[0].scratch.hash, p->plane[1].durable.hash);
	crash_planes_leave(p, 1, NULL);
	for (unsigned int i = 0; i < CRASH_PLANES; i++) {
		ck_assert(!memcmp(
			p->plane[i].scratch.writable, p->plane[0].durable.writable, CRASH_BYTES));
		ck_assert(!memcmp(
			p->plane[i].durable.writable, p->plane[0].durable.writable, CRASH_BYTES));
	}
	crash_planes_leave(p, 0, &first);
	ck_assert(!memcmp(p->plane[2].scratch.writable, first.writable, CRASH_BYTES));
	ck_assert_uint_eq(p->plane[0].durable.hash, 0);
	crash_planes_fini(p);
	crash_memory_fini(&first);
	stage_fini(&s);
	free(p);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "two lines", two_lines, 0 },
		{ "one word, thrice", one_word_thrice, 0 },
		{ "torn line", torn_line, 0 },
		{ "lines before words", lines_before_words, 0 },
		{ "extremes", extremes, 0 },
		{ "words of a header", words_of_a_header, 0 },
		{ "no torn word", no_torn_word, 0 },
		{ "prefixes", prefixes, 0 },
		{ "prefixes of a large store", prefixes_of_a_large_store, 0 },
		{ "hashes", hashes, 0 },
		{ "toy recovery", toy_recovery, 0 },
		{ "toy recovery, another's fence", toy_fence_of_another, 0 },
		{ "planes", planes, 0 },
	};

	return suite_run("crash_states", cases, sizeof(cases) / sizeof(cases[0]));
}
