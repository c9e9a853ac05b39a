/* SPDX-License-Identifier: BSD-3-Clause */
/* Two operations at the same time: what may be found at each moment, and what a sync is about. */
#include <check.h>
#include <string.h>

#include "tests/crash/durable.h"
#include "tests/crash/moment.h"
#include "tests/crash/record.h"
#include "tests/unit/suite.h"

#define FIRST  1u
#define SECOND 2u
#define BOTH   3u

/* Snapshots, by what is there. */
enum { NONE, ONE_A, AB, ONE_B, BA };

struct moment_case {
	unsigned int orders, begun, returned;
	unsigned int nr;
	struct {
		unsigned int before, after;
	} step[CRASH_STEPS];
};

static const struct moment_case moments[] = {
	/* Either order explains the run: each by itself is there or not. */
	{ BOTH, FIRST, 0, 2, { { NONE, ONE_A }, { NONE, NONE } } },
	{ BOTH, BOTH, 0, 4, { { NONE, ONE_A }, { ONE_A, AB }, { NONE, ONE_B }, { ONE_B, BA } } },
	{ BOTH, BOTH, FIRST, 2, { { ONE_A, AB }, { BA, BA } } },
	{ BOTH, BOTH, BOTH, 2, { { AB, AB }, { BA, BA } } },
	{ BOTH, FIRST, FIRST, 1, { { ONE_A, ONE_A } } },
	/* Only one does: the second is never there without the first. */
	{ FIRST, BOTH, 0, 2, { { NONE, ONE_A }, { ONE_A, AB } } },
	{ FIRST, BOTH, SECOND, 1, { { AB, AB } } },
	{ FIRST, BOTH, FIRST, 1, { { ONE_A, AB } } },
	{ SECOND, BOTH, FIRST, 1, { { BA, BA } } },
	{ SECOND, FIRST, 0, 1, { { NONE, NONE } } },
};
#define NR_MOMENTS (sizeof(moments) / sizeof(moments[0]))

static bool has_step(const struct crash_moment *m, unsigned int before, unsigned int after)
{
	for (unsigned int i = 0; i < m->nr_steps; i++)
		if (m->step[i].before == before && m->step[i].after == after)
			return true;
	return false;
}

START_TEST(moment)
{
	const struct moment_case *c = &moments[_i];
	uint32_t snap_id[CRASH_SNAPS_OF_TOGETHER] = { 0, 1, 2, 3, 2 };
	struct crash_recording r = { .snap_id = snap_id, .nr_ops = 2, .orders = c->orders };
	struct crash_workload w;
	struct crash_moment m;

	ck_assert_int_eq(crash_workload_parse("create a & create b", &w), 0);
	r.world = crash_world_new(&w);
	crash_moment_together(&m, &r, c->begun, c->returned);
	ck_assert_uint_eq(m.nr_steps, c->nr);
	for (unsigned int i = 0; i < c->nr; i++)
		ck_assert_msg(has_step(&m, c->step[i].before, c->step[i].after), "step %u", i);
	ck_assert(m.returned == (c->begun == c->returned));
	ck_assert_uint_ne(m.key, 0);
	ck_assert(!m.both);
	crash_world_delete(r.world);
}
END_TEST

/* What a log is made of: a letter for each event, of thread 1 ("sfFbe") or 2 (behind a '-'):
 * store, fence, deep flush, its operation begins, ends. */
static void write_log(struct crash_log *log, const char *events)
{
	const uint64_t word = 1;

	for (; *events; events++) {
		log->thread = *events == '-' ? 2 : 1;
		events += *events == '-';
		if (*events == 's')
			crash_log_store(log, 8192, &word, sizeof(word));
		else if (*events == 'b')
			crash_log_begin(log, log->thread - 1);
		else if (*events == 'e')
			crash_log_end(log);
		else
			crash_log_note(log, *events == 'f' ? CRASH_FENCE : CRASH_DEEP_FLUSH);
	}
}

static const struct {
	const char *events;
	bool synced; /* operation 0, of thread 1 */
} syncs[] = {
	{ "bsfFe", true },
	{ "bsFe", false },
	{ "bsfe", false },
	{ "bsF-fe", false },
	{ "bs-fFe", false },
	/* what had ended before is its matter, with the other's fence; */
	{ "-b-s-f-ebFe", true },
	{ "-b-s-ebfFe", false },
	{ "-b-s-f-ebe", false },
	/* what was under way, or began later, is not */
	{ "-b-sbFe", true },
	{ "-b-sb-f-eFe", true },
	{ "bF-b-s-ee", true },
	/* somebody's deep flush is everybody's */
	{ "bsf-b-F-ee", true },
};

START_TEST(synced)
{
	struct crash_memory m;
	struct crash_log log;

	crash_memory_init(&m);
	crash_log_init(&log);
	write_log(&log, syncs[_i].events);
	ck_assert(crash_durable_is_synced(&log, &m, 0) == syncs[_i].synced);
	crash_log_fini(&log);
	crash_memory_fini(&m);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "moment", moment, NR_MOMENTS },
		{ "synced", synced, sizeof(syncs) / sizeof(syncs[0]) },
	};

	return suite_run("crash_together", cases, sizeof(cases) / sizeof(cases[0]));
}
