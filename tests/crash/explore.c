/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/explore.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/clock.h"
#include "tests/crash/planes.h"
#include "tests/crash/record.h"
#include "tests/unit/room.h"

/* Of recoveries that had nothing to do, and of recoveries of recoveries, one in this many is cut.
 */
#define PLAIN_ONE_IN 16u
#define DEEP_ONE_IN  32u
/* Of those that logged more than this, and when more states of recoveries than so many budgets have
 * been tried, fewer are. */
#define LONG_LOG     256u
#define MANY_BUDGETS 128u
/* Of two at the same time, the first is parked before and behind each of its fences, and at about
 * budget / PARKS_OF_BUDGET of its calls of the door; one in BOTH_ONE_IN times, so is the second. */
#define PARKS_OF_BUDGET 2u
#define BOTH_ONE_IN	4u
/* A trial that takes longer than this hangs, seconds. */
#define TRIAL_TIME 30u
/* The same of the run that is recorded. */
#define RUN_TIME 300u

/* Two operations at the same time, as one schedule says. */
struct two {
	bool is; /* else there are none such */
	bool parked;
	unsigned int begun, returned; /* a bit each */
	/* Calls of the door at which the first one may be parked. */
	uint64_t *parks;
	size_t nr_parks, parks_cap;
};

struct crash_explorer {
	struct crash_recording rec;
	struct crash_planes planes;
	struct crash_log logs[CRASH_LEVELS + 1]; /* of the recovery of each level, from 1 on */
	struct crash_cut cuts[CRASH_LEVELS];
	struct crash_pending pending[CRASH_LEVELS];
	uint64_t nr_cuts[CRASH_LEVELS]; /* so far */
	uint64_t nr_deep;		/* states of recoveries so far */
	struct crash_seen seen;
	struct crash_trials trials;
	/* of the call */
	const struct crash_options *opt;
	struct crash_counts *counts;
	struct crash_path *now;
	struct crash_moment moment;
	struct two two;
	bool stop;
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
		crash_pending_fini(&x->pending[i]);
	}
	for (unsigned int i = 0; i <= CRASH_LEVELS; i++)
		crash_log_fini(&x->logs[i]);
	free(x->two.parks);
	crash_seen_fini(&x->seen);
	crash_seen_fini(&x->trials.good);
	free(x);
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
		.returned = x->moment.returned,
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
		printf("a crash %s %s\n", x->moment.returned ? "behind" : "in",
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
	x->nr_cuts[level + 1] = 0;
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

/* A power cut, with what is pending not yet durable. */
static void try_cut(struct crash_explorer *x, unsigned int level, const struct crash_log *log)
{
	const struct crash_path *only = &x->opt->only;
	uint64_t id = x->nr_cuts[level]++;
	struct crash_cut *c = &x->cuts[level];

	if (!is_wanted(x, level, id) || x->stop)
		return;
	x->now->at[level].cut = id;
	crash_cut_build(c, x->opt->mode, log, &x->pending[level], &x->planes.plane[level].durable,
		level ? x->opt->budget / 2 : x->opt->budget, crash_hash(x->opt->seed, id));
	for (uint64_t i = 0; i < c->nr_states && !x->stop; i++)
		if (level >= only->nr || only->at[level].state == i)
			try_state(x, level, i);
}

/* ---- walking through a log ------------------------------------------------------------------ */

/* Of which log what is durable becomes so. */
struct walker {
	struct crash_explorer *x;
	unsigned int level;
	const struct crash_log *log;
};

static void become_durable(void *arg, const struct crash_span *s)
{
	const struct walker *w = arg;

	crash_planes_store(
		&w->x->planes, w->level, s->off, crash_span_bytes(w->log, s), s->end - s->off);
}

static void fence(struct crash_explorer *x, unsigned int level, const struct crash_log *log,
	unsigned int thread)
{
	struct walker w = { x, level, log };

	crash_pending_fence(&x->pending[level], thread, become_durable, &w);
}

/* Whether anything is to be tried: not before the first operation. */
static bool is_cut(const struct crash_explorer *x, unsigned int level)
{
	return level || x->moment.key;
}

static void turn_of_two(struct crash_explorer *x, const struct crash_event *e)
{
	unsigned int op = e->op < x->rec.nr_ops ? 1u << e->op : 0;

	if (e->kind == CRASH_BEGIN)
		x->two.begun |= op;
	else
		x->two.returned |= op;
	crash_moment_together(&x->moment, &x->rec, x->two.begun, x->two.returned);
	/* What one does alone, and the unmount, are tried once: where none is parked. */
	if (x->two.parked && (x->two.begun != 3 || !op))
		x->moment.key = 0;
}

/* An operation begins or ends: what is allowed is other than it was. */
static void turn(struct crash_explorer *x, const struct crash_log *log, const struct crash_event *e)
{
	bool begins = e->kind == CRASH_BEGIN;

	/* Still in it, with all that it has stored; then just behind it. */
	if (!begins && is_cut(x, 0))
		try_cut(x, 0, log);
	if (x->two.is)
		turn_of_two(x, e);
	else if (begins)
		crash_moment_begin(&x->moment, &x->rec, e->op);
	else
		crash_moment_end(&x->moment, &x->rec, e->op);
	if (is_cut(x, 0))
		try_cut(x, 0, log);
}

static void step(
	struct crash_explorer *x, unsigned int level, const struct crash_log *log, size_t i)
{
	const struct crash_event *e = &log->events[i];
	bool in_order = x->opt->mode == CRASH_IN_ORDER;

	x->event[level] = i;
	if (e->kind == CRASH_STORE)
		crash_pending_store(&x->pending[level], log, i);
	else if (e->kind == CRASH_FLUSH)
		crash_pending_flush(&x->pending[level], e);
	if (!level && (e->kind == CRASH_BEGIN || e->kind == CRASH_END))
		turn(x, log, e);
	if (in_order ? e->kind != CRASH_STORE : e->kind != CRASH_FENCE)
		return;
	if (is_cut(x, level))
		try_cut(x, level, log);
	fence(x, level, log, e->thread);
}

static void walk(struct crash_explorer *x, unsigned int level, const struct crash_log *log)
{
	crash_pending_clear(&x->pending[level]);
	for (size_t i = 0; i < log->nr && !x->stop; i++)
		step(x, level, log, i);
	/* Behind a recovery; behind a workload is what its last operation left. */
	x->event[level] = log->nr;
	if (level && !x->stop)
		try_cut(x, level, log);
}

/* The log of the workload, from the first image on. */
static void walk_workload(struct crash_explorer *x, const struct crash_workload *w)
{
	x->trials.workload = w;
	x->trials.world = x->rec.world;
	x->trials.snaps = x->rec.snaps;
	x->trials.epoch = x->rec.epoch;
	x->trials.nr_free_empty = x->rec.nr_free_empty;
	x->moment = (struct crash_moment){ 0 };
	walk(x, 0, &x->rec.log);
	crash_planes_leave(&x->planes, 0, &x->rec.pristine);
}

static void explore_one(struct crash_explorer *x, const struct crash_workload *w)
{
	alarm(RUN_TIME);
	if (crash_recording_make(&x->rec, w))
		crash_planes_copy(&x->planes, &x->rec.pristine);
	alarm(0);
	walk_workload(x, w);
}

/* ---- two at the same time ------------------------------------------------------------------- */

static void explore_schedule(
	struct crash_explorer *x, const struct crash_workload *w, const struct crash_schedule *s)
{
	x->two.is = true;
	x->two.parked = s->park[s->first] != CRASH_NEVER;
	x->two.begun = x->two.returned = 0;
	alarm(RUN_TIME);
	crash_recording_make_together(&x->rec, w, s);
	alarm(0);
	walk_workload(x, w);
}

static void add_park(struct crash_explorer *x, uint64_t call)
{
	struct two *t = &x->two;

	if (t->nr_parks && t->parks[t->nr_parks - 1] == call)
		return;
	t->parks = array_room(t->parks, t->nr_parks, &t->parks_cap, sizeof(*t->parks));
	t->parks[t->nr_parks++] = call;
}

/* By what it did when it was not parked. */
static void choose_parks(struct crash_explorer *x, unsigned int first)
{
	uint64_t one_in = 1 + x->rec.nr_calls[first] * PARKS_OF_BUDGET / x->opt->budget, n = 0;
	const struct crash_log *log = &x->rec.log;
	bool behind_fence = true;

	x->two.nr_parks = 0;
	for (size_t i = 0; i < log->nr; i++) {
		const struct crash_event *e = &log->events[i];

		if (e->op != first || e->kind == CRASH_BEGIN || e->kind == CRASH_END)
			continue;
		if (e->kind == CRASH_FENCE || behind_fence ||
			crash_hash(x->opt->seed, n) % one_in == 0)
			add_park(x, n);
		behind_fence = e->kind == CRASH_FENCE;
		n++;
	}
}

static void explore_first(
	struct crash_explorer *x, const struct crash_workload *w, unsigned int first)
{
	struct crash_schedule s = { .first = first, .park = { CRASH_NEVER, CRASH_NEVER } };
	uint64_t nr_second;

	explore_schedule(x, w, &s);
	nr_second = x->rec.nr_calls[1 - first];
	choose_parks(x, first);
	for (size_t i = 0; i < x->two.nr_parks && !x->stop; i++) {
		s.park[first] = x->two.parks[i];
		s.park[1 - first] = CRASH_NEVER;
		explore_schedule(x, w, &s);
		if (!nr_second || x->stop || crash_hash(x->opt->seed, ~i) % BOTH_ONE_IN)
			continue;
		s.park[1 - first] = crash_hash(x->opt->seed, i) % nr_second;
		explore_schedule(x, w, &s);
	}
}

static void explore_two(struct crash_explorer *x, const struct crash_workload *w)
{
	alarm(RUN_TIME);
	if (crash_recording_compare(&x->rec, w))
		crash_planes_copy(&x->planes, &x->rec.pristine);
	alarm(0);
	for (unsigned int first = 0; first < 2 && !x->stop; first++)
		explore_first(x, w, first);
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
	x->nr_deep = x->nr_cuts[0] = 0;
	x->two.is = false;
	x->trials.nr_whole = 0;
	*now = (struct crash_path){ 0 };
	crash_seen_clear(&x->seen);
	crash_seen_clear(&x->trials.good);
	if (w->together)
		explore_two(x, w);
	else
		explore_one(x, w);
	counts->nr_whole += x->trials.nr_whole;
	crash_recording_clear(&x->rec);
}
