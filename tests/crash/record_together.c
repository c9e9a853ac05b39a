/* SPDX-License-Identifier: BSD-3-Clause */
/* Two operations that are made at the same time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/clock.h"
#include "tests/crash/record_priv.h"

/* When both begin, on the clock of the workload. */
#define TOGETHER_SEC 1800u

/* ---- one after the other -------------------------------------------------------------------- */

static void call(struct crash_recording *r, struct ddfs_fs *fs, unsigned int first, unsigned int op)
{
	crash_world_call(r->world, fs, op);
	r->result[first][op] = crash_world_result(r->world, op);
}

static void keep(struct crash_recording *r, struct ddfs_fs *fs, unsigned int at)
{
	struct crash_snap *snap = crash_record_look(fs);

	if (at)
		crash_snap_forget_numbers(snap, r->snaps[CRASH_SNAP_BEFORE]);
	crash_record_keep(r, at, snap);
}

static void run_in_order(
	struct crash_recording *r, const struct crash_workload *w, unsigned int first)
{
	struct ddfs_fs *fs = crash_record_begin(r, w);

	crash_world_find_names(r->world, fs);
	if (!r->snaps[CRASH_SNAP_BEFORE])
		keep(r, fs, CRASH_SNAP_BEFORE);
	call(r, fs, first, first);
	keep(r, fs, CRASH_SNAP_ONE(first));
	call(r, fs, first, 1 - first);
	keep(r, fs, CRASH_SNAP_BOTH(first));
	crash_record_end(r, fs, w);
	crash_world_delete(r->world);
	r->world = NULL;
}

bool crash_recording_compare(struct crash_recording *r, const struct crash_workload *w)
{
	bool made = crash_record_pristine(r, w);

	crash_record_make_room(r, CRASH_SNAPS_OF_TOGETHER);
	for (unsigned int first = 0; first < 2; first++)
		run_in_order(r, w, first);
	return made;
}

/* ---- at the same time ----------------------------------------------------------------------- */

struct both {
	struct crash_recording *r;
	struct ddfs_fs *fs;
};

static void run_one(void *arg, unsigned int i)
{
	struct both *b = arg;
	struct crash_recording *r = b->r;

	crash_clock_set(TOGETHER_SEC);
	crash_log_begin(&r->log, i);
	crash_world_call(r->world, b->fs, i);
	crash_log_end(&r->log);
	crash_record_check_synced(r, i);
}

static void switched(void *arg, unsigned int i)
{
	struct both *b = arg;

	b->r->log.thread = CRASH_MAIN + 1 + i;
}

static void at_door(void *arg)
{
	(void)arg;
	crash_turns_at_door();
}

static void run_both(struct both *b, const struct crash_schedule *s)
{
	struct crash_turns *turns = crash_turns_new(s);
	struct crash_recording *r = b->r;

	r->live.at_door = at_door;
	crash_turns_run(turns, run_one, switched, b);
	r->live.at_door = NULL;
	r->log.thread = CRASH_MAIN;
	for (unsigned int i = 0; i < 2; i++)
		r->nr_calls[i] = crash_turns_nr_calls(turns, i);
	crash_turns_delete(turns);
}

/* ---- whether what they give can be ---------------------------------------------------------- */

/* What is gone has no number any more, or is gone for who has it still. */
static int64_t plain(int64_t result)
{
	return result == -ESTALE ? -ENOENT : result;
}

static bool explains(
	const struct crash_recording *r, unsigned int first, const struct crash_snap *found)
{
	for (unsigned int i = 0; i < 2; i++)
		if (plain(r->result[first][i]) != plain(crash_world_result(r->world, i)))
			return false;
	return crash_snap_is_equal(r->snaps[CRASH_SNAP_BOTH(first)], found);
}

_Noreturn static void unexplained(const struct crash_recording *r, const struct crash_snap *found)
{
	fprintf(stderr, "crash: %s gave %lld and %lld\n", r->what,
		(long long)crash_world_result(r->world, 0),
		(long long)crash_world_result(r->world, 1));
	for (unsigned int first = 0; first < 2; first++) {
		fprintf(stderr, "with '%s' first, one after the other, they give %lld and %lld; ",
			crash_world_op_text(r->world, first), (long long)r->result[first][0],
			(long long)r->result[first][1]);
		fputs("what is there then, and what was found:\n", stderr);
		crash_snap_print_diff(stderr, r->snaps[CRASH_SNAP_BOTH(first)], found);
	}
	abort();
}

static void find_orders(struct crash_recording *r, struct ddfs_fs *fs)
{
	struct crash_snap *found = crash_record_look(fs);

	crash_snap_forget_numbers(found, r->snaps[CRASH_SNAP_BEFORE]);
	r->orders = 0;
	for (unsigned int first = 0; first < 2; first++)
		r->orders |= (unsigned int)explains(r, first, found) << first;
	if (!r->orders)
		unexplained(r, found);
	crash_snap_delete(found);
}

/* "create d/c (waits at its call 3 of the door) & unlink a" */
static void describe(struct crash_recording *r, const struct crash_schedule *s)
{
	size_t used = 0;

	r->what[0] = '\0';
	for (unsigned int n = 0; n < 2; n++) {
		unsigned int i = n ? 1 - s->first : s->first;

		used += (size_t)snprintf(r->what + used, sizeof(r->what) - used, "%s%s",
			n ? " & " : "", crash_world_op_text(r->world, i));
		if (s->park[i] != CRASH_NEVER)
			used += (size_t)snprintf(r->what + used, sizeof(r->what) - used,
				" (waits at its call %llu of the door)",
				(unsigned long long)s->park[i]);
	}
}

void crash_recording_make_together(
	struct crash_recording *r, const struct crash_workload *w, const struct crash_schedule *s)
{
	struct both b = { .r = r };

	if (r->world)
		crash_world_delete(r->world);
	b.fs = crash_record_begin(r, w);
	describe(r, s);
	crash_world_find_names(r->world, b.fs);
	run_both(&b, s);
	crash_world_note(r->world, b.fs);
	find_orders(r, b.fs);
	crash_record_end(r, b.fs, w);
}
