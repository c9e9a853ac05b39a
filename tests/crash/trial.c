/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/trial.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

#include "tests/crash/clock.h"
#include "tests/crash/record.h"
#include "tests/crash/verify.h"

/* When recovery begins, on the clock of the workload. */
#define RECOVERY_SEC 3600u

__attribute__((format(printf, 2, 3))) static bool fail(struct crash_trial *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
	return false;
}

static void hear(void *arg, int priority, const char *line)
{
	struct crash_trial *t = arg;
	size_t used = strlen(t->said);

	t->erred |= priority <= LOG_ERR;
	snprintf(t->said + used, sizeof(t->said) - used, "<%d> %s\n", priority, line);
}

/* Of the mount that crashed; of its recovery there are none yet. */
static bool clients_live(void *arg, uint32_t epoch)
{
	const struct crash_trials *trials = arg;

	return trials->workload->pinned && epoch == trials->epoch;
}

struct ddfs_fs_options crash_mount_options(const struct crash_workload *w)
{
	return (struct ddfs_fs_options){
		.atime = DDFS_ATIME_NOATIME,
		.dax = w->dax,
		.nr_cpus = 1,
		.owner_pid = 1,
	};
}

static bool open_it(struct crash_trials *trials, struct crash_trial *t, struct ddfs_fs **fs)
{
	struct ddfs_fs_options opt = crash_mount_options(trials->workload);
	int err;

	opt.clients_alive = clients_live;
	opt.clients_arg = trials;
	opt.log = hear;
	opt.log_arg = t;
	crash_clock_set(RECOVERY_SEC);
	t->memory->log = t->log;
	err = ddfs_fs_open(&t->memory->media, &opt, fs);
	t->memory->log = NULL;
	if (err)
		return fail(t, "it can't be mounted: %s", strerror(-err));
	ddfs_fs_recovery(*fs, &t->recovery);
	return true;
}

/* may_wait: pins of living clients may keep orphans waiting. */
static bool verify(struct crash_trial *t, const char *when, bool want_clean, bool may_wait)
{
	struct crash_verdict v;

	crash_verify(t->memory, t->detail, &v);
	if (v.nr_problems)
		return fail(t, "%s: %llu problems on media, the first: %s", when,
			(unsigned long long)v.nr_problems, v.first);
	if (want_clean && !v.clean)
		return fail(t, "%s: it is not marked clean", when);
	if (v.nr_orphans && !may_wait)
		return fail(t, "%s: %llu orphans are left", when, (unsigned long long)v.nr_orphans);
	return true;
}

/* Whether the step explains what is found; adds to why if it does not. */
static bool judge_step(const struct crash_trials *trials, const struct crash_step *step,
	const struct crash_snap *found, char *why, size_t size)
{
	size_t used = strlen(why);
	char one[256] = "";

	if (crash_judge(trials->world, step->op, trials->snaps[step->before],
		    trials->snaps[step->after], found, one))
		return true;
	snprintf(why + used, size - used, "%s%s", used ? "; or " : "", one);
	return false;
}

static bool judge_both(const struct crash_trials *trials, const struct crash_snap *found)
{
	const struct crash_snap *after[2] = { trials->snaps[CRASH_SNAP_ONE(0)],
		trials->snaps[CRASH_SNAP_ONE(1)] };
	char why[256];

	return crash_judge_both(trials->world, trials->snaps[CRASH_SNAP_BEFORE], after, found, why);
}

static void print_steps(const struct crash_trials *trials, const struct crash_moment *m,
	const struct crash_snap *found, FILE *to)
{
	for (unsigned int i = 0; i < m->nr_steps; i++) {
		fputs("what was there before, and what was found:\n", to);
		crash_snap_print_diff(to, trials->snaps[m->step[i].before], found);
		fputs("what is there afterwards, and what was found:\n", to);
		crash_snap_print_diff(to, trials->snaps[m->step[i].after], found);
	}
}

static bool judge(struct crash_trials *trials, struct crash_trial *t, struct ddfs_fs *fs,
	const struct crash_moment *m)
{
	struct crash_snap *found;
	char why[256] = "", all[sizeof(t->why)] = "";
	bool ok = false;

	found = crash_snap_take(fs, why);
	if (!found)
		return fail(t, "it can't be read: %s", why);
	for (unsigned int i = 0; i < m->nr_steps && !ok; i++)
		ok = judge_step(trials, &m->step[i], found, all, sizeof(all));
	ok = ok || (m->both && judge_both(trials, found));
	if (!ok && t->detail)
		print_steps(trials, m, found, t->detail);
	crash_snap_delete(found);
	return ok || fail(t, "%s", all);
}

static bool use(struct crash_trial *t, struct ddfs_fs *fs)
{
	char why[256] = "";

	return crash_use(fs, why) || fail(t, "when it is used: %s", why);
}

static bool quiet(struct crash_trial *t)
{
	return !t->erred || fail(t, "it logged an error");
}

/* All is removed, and nobody holds anything any more: what was free at the very first is so. */
static bool check_empty(struct crash_trials *trials, struct crash_trial *t)
{
	struct ddfs_fs_options opt = crash_mount_options(trials->workload);
	struct ddfs_recovery r;
	struct ddfs_statfs st;
	struct ddfs_fs *fs;
	int err;

	opt.log = hear;
	opt.log_arg = t;
	err = ddfs_fs_open(&t->memory->media, &opt, &fs);
	if (err)
		return fail(t, "it can't be mounted again: %s", strerror(-err));
	ddfs_fs_recovery(fs, &r);
	ddfs_fs_statfs(fs, &st);
	err = ddfs_fs_close(fs);
	if (!r.was_clean)
		return fail(t, "it was unmounted, and is not clean");
	if (st.nr_free != trials->nr_free_empty)
		return fail(t, "%llu blocks are free of %llu when all is removed",
			(unsigned long long)st.nr_free, (unsigned long long)trials->nr_free_empty);
	return !err || fail(t, "the second unmount failed: %s", strerror(-err));
}

static bool close_it(struct crash_trial *t, struct ddfs_fs *fs)
{
	int err = ddfs_fs_close(fs);

	return !err || fail(t, "the unmount failed: %s", strerror(-err));
}

/*
 * Whether the same has been found right before, and so is again. What a mount has in memory comes
 * from media as it is once the lanes are replayed, and from what recovery does from there on: it is
 * the same if both are.
 */
static uint64_t key_of(const struct crash_trial *t, const struct crash_moment *m)
{
	return crash_hash(crash_hash(t->memory->hash_at_super, t->memory->hash), m->key);
}

bool crash_trial_run(
	struct crash_trials *trials, struct crash_trial *t, const struct crash_moment *moment)
{
	bool pinned = trials->workload->pinned, ok;
	struct ddfs_fs *fs;
	uint64_t key;

	t->why[0] = t->said[0] = '\0';
	t->erred = false;
	if (!open_it(trials, t, &fs))
		return false;
	key = key_of(t, moment);
	if (!t->detail && crash_seen_has(&trials->good, key))
		return close_it(t, fs) && quiet(t);
	trials->nr_whole++;
	ok = verify(t, "after recovery", false, pinned) && judge(trials, t, fs, moment) &&
	     use(t, fs);
	ok = close_it(t, fs) && ok;
	ok = ok && verify(t, "after the unmount", true, pinned) && check_empty(trials, t) &&
	     verify(t, "in the end", true, false) && quiet(t);
	if (ok)
		crash_seen_add(&trials->good, key);
	return ok;
}
