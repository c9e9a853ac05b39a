/* SPDX-License-Identifier: BSD-3-Clause */
/* Holders of real processes: which thread is whose, also when its number is another's by now. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layout/holder.h"
#include "tests/unit/child.h"
#include "tests/unit/holder_check.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#define NR_THREADS 4

/* ---- who ------------------------------------------------------------------------------------- */

START_TEST(threads_share_one)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h, *other;
	struct child c, d;

	child_start(&c);
	child_start(&d);
	h = holder_get(hs, c.pid);
	other = holder_get(hs, d.pid);
	ck_assert_ptr_ne(h, other);
	ck_assert_int_eq(ddfs_holder_pid(h), c.pid);
	ck_assert_int_eq(ddfs_holder_pid(other), d.pid);
	for (int i = 0; i < NR_THREADS; i++) {
		pid_t tid = child_thread(&c, CHILD_THREAD);

		for (int again = 0; again < 3; again++) {
			ck_assert_ptr_eq(holder_get(hs, tid), h);
			ddfs_holder_put(h);
		}
	}
	/* Put by all, it is still known. */
	ddfs_holder_put(h);
	ck_assert_ptr_eq(holder_get(hs, c.pid), h);
	check_lives(hs, h, false);
	ddfs_holder_put(h);
	ddfs_holder_put(other);
	ddfs_holders_delete(hs);
	child_end(&c);
	child_end(&d);
}
END_TEST

START_TEST(nobody)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h = NULL;
	struct child c;

	child_start(&c);
	child_end(&c);
	ck_assert_int_eq(ddfs_holders_get(hs, 0, &h), -ESRCH);
	ck_assert_int_eq(ddfs_holders_get(hs, -1, &h), -ESRCH);
	ck_assert_int_eq(ddfs_holders_get(hs, c.pid, &h), -ESRCH);
	ck_assert_ptr_null(h);
	ddfs_holders_delete(hs);
}
END_TEST

START_TEST(program_names)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct child c;

	child_start(&c);
	child_thread(&c, CHILD_RENAME);
	h = holder_get(hs, c.pid);
	ck_assert_str_eq(ddfs_holder_comm(h), CHILD_NAME);
	check_lives(hs, h, false);
	kill(c.pid, SIGKILL);
	check_goes(hs, h);
	child_reap(&c);
	ddfs_holders_delete(hs);
}
END_TEST

START_TEST(collected_once_each)
{
	struct ddfs_holders *hs = holders_new();
	struct child c[NR_THREADS];
	unsigned int seen = 0;

	for (int i = 0; i < NR_THREADS; i++) {
		child_start(&c[i]);
		ddfs_holder_put(holder_get(hs, c[i].pid));
	}
	for (int i = 0; i < NR_THREADS; i++)
		child_order(&c[i], CHILD_EXIT);
	for (int n = 0; n < NR_THREADS; n++) {
		struct ddfs_holder *h;

		ck_assert(some_gone(hs, -1));
		h = ddfs_holders_collect(hs);
		ck_assert_ptr_nonnull(h);
		for (int i = 0; i < NR_THREADS; i++)
			seen ^= (ddfs_holder_pid(h) == c[i].pid) << i;
		ddfs_holder_put(h);
	}
	ck_assert_uint_eq(seen, (1 << NR_THREADS) - 1);
	ck_assert_ptr_null(ddfs_holders_collect(hs));
	ddfs_holders_delete(hs);
	for (int i = 0; i < NR_THREADS; i++)
		child_reap(&c[i]);
}
END_TEST

/* ---- numbers that are used again ------------------------------------------------------------- */

/* May we choose the number of a process? */
static bool can_choose(void)
{
	struct child c;
	pid_t pid, again;

	child_start(&c);
	pid = c.pid;
	child_end(&c);
	again = fork_as(pid);
	if (!again)
		_exit(0);
	if (again < 0) {
		fprintf(stderr, "reuse of a pid not tried: clone3: %s\n", strerror(errno));
		return false;
	}
	ck_assert_int_eq(waitpid(again, NULL, 0), pid);
	return true;
}

START_TEST(pid_again)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *old, *new;
	struct child c, d;

	if (!can_choose())
		return;
	child_start(&c);
	old = holder_get(hs, c.pid);
	child_end(&c);
	child_start_as(&d, c.pid);
	ck_assert_int_eq(d.pid, c.pid);
	ck_assert(ddfs_holder_is_gone(old));
	ck_assert_int_eq(ddfs_holder_kill(old), -ESRCH);
	ck_assert(ddfs_holder_is_dying(old));

	/* Not taken for the old one, though that is not collected. */
	new = holder_get(hs, d.pid);
	ck_assert_ptr_ne(new, old);
	ck_assert_int_eq(ddfs_holder_pid(new), d.pid);
	ck_assert(!ddfs_holder_is_gone(new));
	ck_assert(!ddfs_holder_is_dying(new));
	check_goes(hs, old);
	ck_assert_ptr_eq(holder_get(hs, d.pid), new);
	ddfs_holder_put(new);
	check_lives(hs, new, false);
	kill(d.pid, SIGKILL);
	check_goes(hs, new);
	child_reap(&d);
	ddfs_holders_delete(hs);
}
END_TEST

/* The number of a thread that has pinned and ended is another process's. */
START_TEST(tid_again)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h, *other;
	struct child c, d;
	pid_t tid;

	if (!can_choose())
		return;
	child_start(&c);
	tid = child_thread(&c, CHILD_THREAD);
	h = holder_get(hs, tid);
	/* An exec ends the thread, not the process. */
	child_order(&c, CHILD_EXEC);
	while (!child_runs(&c, "sleep"))
		sched_yield();
	child_start_as(&d, tid);
	other = holder_get(hs, tid);
	ck_assert_ptr_ne(other, h);
	ck_assert_int_eq(ddfs_holder_pid(other), tid);
	ck_assert_ptr_eq(holder_get(hs, c.pid), h);
	ddfs_holder_put(h);
	ddfs_holder_put(h);
	ddfs_holder_put(other);
	ddfs_holders_delete(hs);
	child_end(&c);
	child_end(&d);
}
END_TEST

/* ---- all at once ----------------------------------------------------------------------------- */

#define NR_CHILDREN 6

struct crowd {
	struct ddfs_holders *hs;
	_Atomic pid_t pids[NR_CHILDREN];
	_Atomic bool stop;
	_Atomic uint64_t nr_collected;
};

static void *pin_some(void *arg)
{
	struct crowd *crowd = arg;
	struct ddfs_holder *h;
	struct rng rng;

	rng_seed(&rng, (uint64_t)own_tid());
	while (!atomic_load(&crowd->stop)) {
		pid_t pid = atomic_load(&crowd->pids[rng_below(&rng, NR_CHILDREN)]);
		int err = ddfs_holders_get(crowd->hs, pid, &h);

		if (err ? err != -ESRCH : ddfs_holder_pid(h) != pid)
			ck_abort_msg("the holder of %d: %d", (int)pid, err);
		if (!err)
			ddfs_holder_put(h);
	}
	return NULL;
}

static void *collect_some(void *arg)
{
	struct crowd *crowd = arg;
	struct ddfs_holder *h;

	while (!atomic_load(&crowd->stop) || some_gone(crowd->hs, 0)) {
		h = ddfs_holders_collect(crowd->hs);
		if (!h) {
			sched_yield();
			continue;
		}
		if (!ddfs_holder_is_gone(h))
			ck_abort_msg("collected, but alive");
		ddfs_holder_put(h);
		atomic_fetch_add(&crowd->nr_collected, 1);
	}
	return NULL;
}

/* Children that come and go while threads pin for them; each that was known is collected. */
START_TEST(crowd_of_threads)
{
	uint64_t rounds = env_number("DDFS_STEPS", 200);
	struct crowd crowd = { .hs = holders_new() };
	void *(*const work[NR_THREADS])(
		void *) = { pin_some, pin_some, collect_some, collect_some };
	struct child c[NR_CHILDREN];
	pthread_t threads[NR_THREADS];

	for (int i = 0; i < NR_CHILDREN; i++) {
		child_start(&c[i]);
		crowd.pids[i] = c[i].pid;
	}
	for (int i = 0; i < NR_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work[i], &crowd), 0);
	for (uint64_t i = 0; i < rounds; i++) {
		struct child *one = &c[i % NR_CHILDREN];

		/* At least ours makes it known; it may be the only one. */
		ddfs_holder_put(holder_get(crowd.hs, one->pid));
		child_end(one);
		child_start(one);
		atomic_store(&crowd.pids[i % NR_CHILDREN], one->pid);
	}
	while (atomic_load(&crowd.nr_collected) < rounds)
		sched_yield();
	atomic_store(&crowd.stop, true);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(crowd.nr_collected, rounds);
	ddfs_holders_delete(crowd.hs);
	for (int i = 0; i < NR_CHILDREN; i++)
		child_end(&c[i]);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "threads share one", threads_share_one, 0 },
		{ "nobody", nobody, 0 },
		{ "program names", program_names, 0 },
		{ "collected once each", collected_once_each, 0 },
		{ "pid again", pid_again, 0 },
		{ "tid again", tid_again, 0 },
		{ "crowd of threads", crowd_of_threads, 0 },
	};

	return suite_run("layout_holder", cases, sizeof(cases) / sizeof(cases[0]));
}
