/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/report.h"

/* Failing states of a workload that are told, and after which it is left. */
#define TOLD_AT_MOST   3u
#define FAILED_AT_MOST 20u

/* What the process that does the work tells the one that watches it. */
struct progress {
	struct crash_outcome outcome;
	uint64_t i;    /* workload */
	uint64_t done; /* modes of it that are done */
	enum crash_mode mode;
	struct crash_workload workload;
	struct crash_path now;
	uint64_t nr_failed; /* states of this one */
	bool over;
};

struct work {
	const struct crash_jobs *jobs;
	struct progress *progress;
};

/* ---- which ---------------------------------------------------------------------------------- */

static bool is_chosen(const struct crash_jobs *j, uint64_t i)
{
	uint64_t r = crash_hash(crash_hash(j->seed, j->set), i);

	return j->fraction >= 1 || (double)(r >> 11) < j->fraction * (double)(UINT64_C(1) << 53);
}

static void get_workload(const struct crash_jobs *j, uint64_t i, struct crash_workload *w)
{
	if (!j->text)
		crash_workload_get(j->set, j->seed, i, w);
	else if (crash_workload_parse(j->text, w))
		exit(2);
}

static uint64_t end_of(const struct crash_jobs *j)
{
	uint64_t size = j->text ? 1 : crash_set_size(j->set);

	return j->end < size ? j->end : size;
}

/* Of those that pin, the daemon's crash is what is tried, in whatever mode. */
static bool has_mode(
	const struct crash_jobs *j, const struct crash_workload *w, enum crash_mode mode)
{
	return mode == CRASH_IN_ORDER ? j->in_order : j->flushed && !w->pinned;
}

void crash_jobs_list(const struct crash_jobs *j)
{
	struct crash_workload w;

	for (uint64_t i = j->first; i < end_of(j); i++) {
		if (!is_chosen(j, i))
			continue;
		get_workload(j, i, &w);
		printf("%s: %s\n", w.name, w.text);
	}
}

/* ---- the process that does it --------------------------------------------------------------- */

static bool on_failure(void *arg, const struct crash_failure *f)
{
	struct work *work = arg;
	struct progress *p = work->progress;

	if (p->nr_failed++ < TOLD_AT_MOST)
		crash_report_failure(work->jobs, f, p->mode, p->nr_failed == 1);
	return !work->jobs->stop_at_first && p->nr_failed < FAILED_AT_MOST;
}

static void do_mode(struct work *work, struct crash_explorer *x, enum crash_mode mode)
{
	struct progress *p = work->progress;
	struct crash_options opt = work->jobs->opt;
	uint64_t nr_states = p->outcome.counts.nr_states;
	uint64_t nr_distinct = p->outcome.counts.nr_distinct;

	opt.mode = p->mode = mode;
	opt.seed = work->jobs->seed;
	crash_explore(x, &p->workload, &opt, &p->outcome.counts, &p->now, on_failure, work);
	if (work->jobs->verbose)
		printf("%s crash.%s (%s): %llu states, %llu distinct: %s\n",
			p->nr_failed ? "not ok" : "ok", p->workload.name, crash_mode_name(mode),
			(unsigned long long)(p->outcome.counts.nr_states - nr_states),
			(unsigned long long)(p->outcome.counts.nr_distinct - nr_distinct),
			p->workload.text);
}

static void do_workload(struct work *work, struct crash_explorer *x)
{
	struct progress *p = work->progress;

	for (; p->done < 2; p->done++) {
		enum crash_mode mode = p->done ? CRASH_IN_ORDER : CRASH_FLUSHED;

		if (has_mode(work->jobs, &p->workload, mode) && !p->over)
			do_mode(work, x, mode);
		p->over |= work->jobs->stop_at_first && p->nr_failed;
	}
	p->outcome.counts.nr_workloads++;
	p->outcome.nr_failed += p->nr_failed != 0;
	p->nr_failed = 0;
	p->done = 0;
}

static void do_all(struct work *work)
{
	struct crash_explorer *x = crash_explorer_new();
	struct progress *p = work->progress;

	for (; p->i < end_of(work->jobs) && !p->over; p->i++) {
		if (!is_chosen(work->jobs, p->i))
			continue;
		get_workload(work->jobs, p->i, &p->workload);
		do_workload(work, x);
	}
	p->over = true;
	crash_explorer_delete(x);
}

/* ---- the one that watches ------------------------------------------------------------------- */

/* It died: of what the workload that it was at did. */
static void on_death(struct work *work, int status)
{
	struct progress *p = work->progress;

	crash_report_death(work->jobs, &p->workload, p->mode, &p->now, status);
	p->outcome.counts.nr_workloads++;
	p->outcome.nr_failed++;
	p->nr_failed = 0;
	p->done = 0;
	p->i++;
	p->over |= work->jobs->stop_at_first;
}

static int run_process(struct work *work)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		do_all(work);
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (status)
		on_death(work, status);
	return 0;
}

int crash_jobs_run(const struct crash_jobs *jobs, struct crash_outcome *out)
{
	struct work work = { .jobs = jobs };
	int err = 0;

	work.progress = mmap(NULL, sizeof(*work.progress), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (work.progress == MAP_FAILED)
		return -errno;
	work.progress->i = jobs->first;
	while (!err && !work.progress->over && work.progress->i < end_of(jobs))
		err = run_process(&work);
	*out = work.progress->outcome;
	munmap(work.progress, sizeof(*work.progress));
	return err;
}

/* ---- one state ------------------------------------------------------------------------------ */

static bool on_shown(void *arg, const struct crash_failure *f)
{
	(void)arg;
	printf("\nnot ok: %s\n%s", f->why, f->said);
	return true;
}

bool crash_jobs_show(const struct crash_jobs *jobs)
{
	struct crash_explorer *x = crash_explorer_new();
	struct crash_counts counts = { 0 };
	struct crash_options opt = jobs->opt;
	struct crash_workload w;
	struct crash_path now;

	opt.mode = jobs->flushed ? CRASH_FLUSHED : CRASH_IN_ORDER;
	opt.seed = jobs->seed;
	get_workload(jobs, jobs->first, &w);
	crash_explore(x, &w, &opt, &counts, &now, on_shown, NULL);
	crash_explorer_delete(x);
	if (!counts.nr_distinct)
		puts("there is no such state");
	else if (!counts.nr_failed)
		puts("\nok");
	return counts.nr_distinct && !counts.nr_failed;
}
