/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/explore.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/clock.h"
#include "tests/crash/planes.h"
#include "tests/crash/record.h"

/* Of recoveries that had nothing to do, and of recoveries of recoveries, one in this many is cut.
 */
#define PLAIN_ONE_IN 16u
#define DEEP_ONE_IN  32u
/* Of those that logged more than this, and when more states of recoveries than so many budgets have
 * been tried, fewer are. */
#define LONG_LOG     256u
#define MANY_BUDGETS 128u
/* A trial that takes longer than this hangs, seconds. */
#define TRIAL_TIME 30u
/* The same of the run that is recorded. */
#define RUN_TIME 300u

struct crash_explorer {
	struct crash_recording rec;
	struct crash_planes planes;
	struct crash_log logs[CRASH_LEVELS + 1]; /* of the recovery of each level, from 1 on */
	struct crash_cut cuts[CRASH_LEVELS];
	size_t *pending[CRASH_LEVELS]; /* stores that are not durable yet */
	size_t nr_pending[CRASH_LEVELS], pending_cap[CRASH_LEVELS];
	uint64_t nr_cuts[CRASH_LEVELS]; /* so far */
	uint64_t nr_deep;		/* states of recoveries so far */
	struct crash_seen seen;
	struct crash_trials trials;
	/* of the call */
	const struct crash_options *opt;
	struct crash_counts *counts;
	struct crash_path *now;
	struct crash_moment moment;
	bool returned, stop;
	bool (*failed)(void *arg, const struct crash_failure *f);
	void *arg;
	size_t event[CRASH_LEVELS]; /* of the log, that the cut is before */
};

static_assert(CRASH_LEVELS == CRASH_PLANES, "a plane for each level");

struct crash_explorer *crash_explorer_new(void)
{
	struct crash_explorer *x = calloc(1, sizeof(*x));

	if (!x)
		abort();
	crash_recording_init(&x->rec);
	crash_planes_init(&x->planes);
	for (unsigned int i = 0; i < CRASH_LEVELS; i++)
		crash_cut_init(&x->cuts[i]);
	for (unsigned int i = 0; i <= CRASH_LEVELS; i++)
		crash_log_init(&x->logs[i]);
	return x;
}

void crash_explorer_delete(struct crash_explorer *x)
{
	crash_recording_fini(&x->rec);
	crash_planes_fini(&x->planes);
	for (unsigned int i = 0; i < CRASH_LEVELS; i++) {
		crash_cut_fini(&x->cuts[i]);
		free(x->pending[i]);
	}
	for (unsigned int i = 0; i <= CRASH_LEVELS; i++)
		crash_log_fini(&x->logs[i]);
	crash_seen_fini(&x->seen);
	crash_seen_fini(&x->trials.good);
	free(x);
}

/* ---- moments -------------------------------------------------------------------------------- */

static void moment_set(struct crash_explorer *x, unsigned int op, unsigned int before,
	unsigned int after, bool returned)
{
	uint32_t a = x->rec.snap_id[before], b = x->rec.snap_id[after];

	x->moment = (struct crash_moment){ .op = op, .before = before, .after = after };
	/* Where nothing but one snapshot is right it is no matter what ran. */
	x->moment.key = crash_hash(a == b ? UINT32_MAX : op, (uint64_t)a << 32 | b);
	x->returned = returned;
}

static void moment_begin(struct crash_explorer *x, unsigned int op)
{
	/* Behind the last operation: the unmount, which changes nothing. */
	if (op == x->rec.nr_ops)
		moment_set(x, op - 1, op, op, true);
	else
		moment_set(x, op, op, op + 1, false);
}

static void moment_end(struct crash_explorer *x, unsigned int op)
{
	if (op < x->rec.nr_ops)
		moment_set(x, op, op + 1, op + 1, true);
}

/* ---- one state ------------------------------------------------------------------------------ */

static void walk(struct crash_explorer *x, unsigned int level, const struct crash_log *log);

static bool is_wanted(const struct crash_explorer *x, unsigned int level, uint64_t cut)
{
	return level >= x->opt->only.nr || x->opt->only.at[level].cut == cut;
}

static bool is_last(const struct crash_explorer *x, unsigned int level)
{
	return level + 1 == x->opt->only.nr;
}

static void tell(struct crash_explorer *x, const struct crash_trial *t)
{
	struct crash_failure f = {
		.workload = x->trials.workload,
		.path = *x->now,
		.op = crash_recording_op_text(&x->rec, x->moment.op),
		.returned = x->returned,
		.why = t->why,
		.said = t->said,
	};

	x->counts->nr_failed++;
	if (!x->failed(x->arg, &f))
		x->stop = true;
}

/* Events of the log that are shown before and behind the crash. */
#define SHOWN_BEFORE 12u
#define SHOWN_BEHIND 4u

/* Where the crash of a level is, and what it leaves. */
static void show_level(const struct crash_explorer *x, unsigned int level)
{
	const struct crash_log *log = level ? &x->logs[level] : &x->rec.log;
	size_t at = x->event[level], from = at > SHOWN_BEFORE ? at - SHOWN_BEFORE : 0;

	if (level)
		puts("\nthen a crash in its recovery");
	else
		printf("a crash %s %s\n", x->returned ? "behind" : "in",
			crash_recording_op_text(&x->rec, x->moment.op));
	crash_log_print(stdout, log, from, at);
	puts("       ---- here ----");
	crash_log_print(stdout, log, at, at + SHOWN_BEHIND);
	crash_cut_print(stdout, &x->cuts[level], x->now->at[level].state);
}

static void show(const struct crash_explorer *x, unsigned int level)
{
	const struct crash_memory *m = &x->planes.plane[level].scratch;
	int err;

	for (unsigned int l = 0; l <= level; l++)
		show_level(x, l);
	putchar('\n');
	err = x->opt->save ? crash_memory_save(m, x->opt->save) : 0;
	if (err)
		fprintf(stderr, "%s: %s\n", x->opt->save, strerror(-err));
}

/* One in how many recoveries is cut: all that did something are, unless they did much, or so many
 * have been that the rest of the workload would never be reached. */
static uint64_t cut_one_in(
	const struct crash_explorer *x, unsigned int level, const struct crash_trial *t)
{
	const struct ddfs_recovery *r = &t->recovery;
	bool plain = !r->nr_lanes_replayed && !r->nr_orphans_freed && !r->nr_pins_dropped;

	return (plain ? PLAIN_ONE_IN : 1) * (level ? DEEP_ONE_IN : 1) *
	       (1 + t->log->nr / LONG_LOG) *
	       (1 + x->nr_deep / ((uint64_t)MANY_BUDGETS * x->opt->budget));
}

static bool wants_recovery_cut(const struct crash_explorer *x, unsigned int level,
	const struct crash_trial *t, uint64_t key)
{
	if (level < x->opt->only.nr)
		return !is_last(x, level);
	return level < x->opt->levels && crash_hash(key, 1) % cut_one_in(x, level, t) == 0;
}

/* The recovery is what is cut, from the image that the state is. */
static void cut_recovery(struct crash_explorer *x, unsigned int level, uint64_t i)
{
	x->counts->nr_recoveries++;
	crash_planes_apply(&x->planes, level + 1, &x->cuts[level], i);
	walk(x, level + 1, &x->logs[level + 1]);
	crash_planes_leave(&x->planes, level + 1, NULL);
	x->now->nr = level + 1;
}

static void try_trial(struct crash_explorer *x, unsigned int level, uint64_t i, uint64_t key)
{
	struct crash_plane *p = &x->planes.plane[level];
	struct crash_trial t = { .memory = &p->scratch, .log = &x->logs[level + 1] };
	bool ok;

	if (is_last(x, level)) {
		show(x, level);
		t.detail = stdout;
	}
	crash_log_clear(t.log);
	alarm(TRIAL_TIME);
	ok = crash_trial_run(&x->trials, &t, &x->moment);
	alarm(0);
	crash_memory_revert(&p->scratch, &p->durable);
	if (!ok)
		tell(x, &t);
	else if (wants_recovery_cut(x, level, &t, key))
		cut_recovery(x, level, i);
}

static void try_state(struct crash_explorer *x, unsigned int level, uint64_t i)
{
	struct crash_plane *p = &x->planes.plane[level];
	uint64_t key;

	x->now->nr = level + 1;
	x->now->at[level].state = i;
	x->counts->nr_states++;
	x->nr_deep += level > 0;
	crash_cut_apply(&x->cuts[level], i, &p->scratch);
	key = crash_hash(p->scratch.hash, x->moment.key);
	if (!x->opt->only.nr && !crash_seen_add(&x->seen, key)) {
		crash_memory_revert(&p->scratch, &p->durable);
		return;
	}
	x->counts->nr_distinct++;
	try_trial(x, level, i, key);
}

/* A power cut with these stores not yet durable. */
static void try_cut(struct crash_explorer *x, unsigned int level, const struct crash_log *log,
	const size_t *stores, size_t nr)
{
	const struct crash_path *only = &x->opt->only;
	uint64_t id = x->nr_cuts[level]++;
	struct crash_cut *c = &x->cuts[level];

	if (!is_wanted(x, level, id) || x->stop)
		return;
	x->now->at[level].cut = id;
	crash_cut_build(c, x->opt->mode, log, stores, nr, &x->planes.plane[level].durable,
		level ? x->opt->budget / 2 : x->opt->budget, crash_hash(x->opt->seed, id));
	for (uint64_t i = 0; i < c->nr_states && !x->stop; i++)
		if (level >= only->nr || only->at[level].state == i)
			try_state(x, level, i);
}

/* ---- walking through a log ------------------------------------------------------------------ */

static void pending_add(struct crash_explorer *x, unsigned int level, size_t event)
{
	if (x->nr_pending[level] == x->pending_cap[level]) {
		x->pending_cap[level] = x->pending_cap[level] ? x->pending_cap[level] * 2 : 256;
		x->pending[level] = realloc(
			x->pending[level], x->pending_cap[level] * sizeof(*x->pending[level]));
		if (!x->pending[level])
			abort();
	}
	x->pending[level][x->nr_pending[level]++] = event;
}

static void try_pending(struct crash_explorer *x, unsigned int level, const struct crash_log *log)
{
	try_cut(x, level, log, x->pending[level], x->nr_pending[level]);
}

static void pending_durable(
	struct crash_explorer *x, unsigned int level, const struct crash_log *log)
{
	for (size_t i = 0; i < x->nr_pending[level]; i++) {
		const struct crash_event *e = &log->events[x->pending[level][i]];

		crash_planes_store(&x->planes, level, e->off, crash_log_bytes(log, e), e->len);
	}
	x->nr_pending[level] = 0;
}

/* An operation begins or ends: what is allowed is other than it was. */
static void turn(struct crash_explorer *x, const struct crash_log *log, const struct crash_event *e)
{
	if (e->kind == CRASH_BEGIN) {
		moment_begin(x, e->op);
	} else {
		/* Still in it, with all that it has stored; then just behind it. */
		try_pending(x, 0, log);
		moment_end(x, e->op);
	}
	try_pending(x, 0, log);
}

/* Whether anything is to be tried: not before the first operation. */
static bool is_cut(const struct crash_explorer *x, unsigned int level)
{
	return level || x->moment.key;
}

static void step(
	struct crash_explorer *x, unsigned int level, const struct crash_log *log, size_t i)
{
	const struct crash_event *e = &log->events[i];
	bool in_order = x->opt->mode == CRASH_IN_ORDER;

	x->event[level] = i;
	if (e->kind == CRASH_STORE)
		pending_add(x, level, i);
	if (!level && (e->kind == CRASH_BEGIN || e->kind == CRASH_END))
		turn(x, log, e);
	if (in_order ? e->kind != CRASH_STORE : e->kind != CRASH_FENCE)
		return;
	if (is_cut(x, level))
		try_pending(x, level, log);
	pending_durable(x, level, log);
}

static void walk(struct crash_explorer *x, unsigned int level, const struct crash_log *log)
{
	x->nr_cuts[level] = 0;
	x->nr_pending[level] = 0;
	for (size_t i = 0; i < log->nr && !x->stop; i++)
		step(x, level, log, i);
	/* Behind a recovery; behind a workload is what its last operation left. */
	x->event[level] = log->nr;
	if (level && !x->stop)
		try_pending(x, level, log);
}

void crash_explore(struct crash_explorer *x, const struct crash_workload *w,
	const struct crash_options *opt, struct crash_counts *counts, struct crash_path *now,
	bool (*failed)(void *arg, const struct crash_failure *f), void *arg)
{
	x->opt = opt;
	x->counts = counts;
	x->now = now;
	x->failed = failed;
	x->arg = arg;
	x->stop = false;
	x->nr_deep = 0;
	x->moment = (struct crash_moment){ 0 };
	*now = (struct crash_path){ 0 };
	alarm(RUN_TIME);
	if (crash_recording_make(&x->rec, w))
		crash_planes_copy(&x->planes, &x->rec.pristine);
	alarm(0);
	x->trials.workload = w;
	x->trials.world = x->rec.world;
	x->trials.snaps = x->rec.snaps;
	x->trials.epoch = x->rec.epoch;
	x->trials.nr_free_empty = x->rec.nr_free_empty;
	x->trials.nr_whole = 0;
	crash_seen_clear(&x->seen);
	crash_seen_clear(&x->trials.good);
	walk(x, 0, &x->rec.log);
	counts->nr_whole += x->trials.nr_whole;
	crash_planes_leave(&x->planes, 0, &x->rec.pristine);
	crash_recording_clear(&x->rec);
}
