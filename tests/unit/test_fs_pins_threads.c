/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that pin, threads that change the same files and sleep until they may, one that
 * interrupts them, one that ends leases and collects who was killed. No result is predicted: each
 * must be one that the call may give, no pinned block may be another file's, nobody may sleep for
 * ever, and in the end all is idle and free. Made for ThreadSanitizer too.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "tests/unit/check_image.h"
#include "tests/unit/pins_crowd.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* Seconds that a thread may take for one thing. */
#define PATIENCE 60u

/* Between a look and the step that it is for, others get in more often than by chance. */
int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	static _Thread_local unsigned int n;

	if (++n % 8 == 0)
		sched_yield();
	return __real_pthread_mutex_lock(m);
}

/* ---- sleeping ------------------------------------------------------------------------------- */

static void note_wake(struct ddfs_wait *w, int err)
{
	struct sleeper *s = (struct sleeper *)w;

	pthread_mutex_lock(&s->lock);
	if (s->woken)
		ck_abort_msg("woken twice");
	s->woken = true;
	s->err = err;
	s->nr_wakes++;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

static int sleep_until_woken(struct sleeper *s)
{
	int err;

	pthread_mutex_lock(&s->lock);
	while (!s->woken)
		pthread_cond_wait(&s->cond, &s->lock);
	s->woken = false;
	err = s->err;
	pthread_mutex_unlock(&s->lock);
	return err;
}

static void set_sleeper(struct thread *t, struct sleeper *s)
{
	pthread_mutex_lock(&t->lock);
	t->sleeper = s;
	pthread_mutex_unlock(&t->lock);
}

int64_t crowd_wait(struct thread *t, const char *what,
	int64_t (*call)(void *arg, struct ddfs_wait *w), void *arg)
{
	struct sleeper s = { .wait = { .wake = note_wake },
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER };
	uint64_t nr = 0;
	int64_t got;

	set_sleeper(t, &s);
	atomic_store(&t->doing, what);
	while ((got = call(arg, &s.wait)) == -EINPROGRESS) {
		nr++;
		got = sleep_until_woken(&s);
		if (got)
			break;
	}
	atomic_store(&t->doing, "other things");
	set_sleeper(t, NULL);
	ddfs_wait_end(t->crowd->ls, &s.wait);
	if (s.nr_wakes != nr || s.woken)
		ck_abort_msg("%s: waited %llu times, woken %llu", what, (unsigned long long)nr,
			(unsigned long long)s.nr_wakes);
	atomic_fetch_add(&t->crowd->nr_parked, nr);
	atomic_fetch_add(&t->crowd->nr_interrupted, got == -EINTR);
	return got;
}

/* ---- who else is there ---------------------------------------------------------------------- */

static void *interrupt(void *arg)
{
	struct crowd *crowd = arg;
	struct rng rng;

	rng_seed(&rng, 77);
	/* One case has none: there, who is not woken sleeps for ever. */
	while (!atomic_load(&crowd->stop) && crowd->lease_expire != DDFS_LEASE_WAIT) {
		struct thread *t = &crowd->threads[rng_below(&rng, NR_THREADS)];

		pthread_mutex_lock(&t->lock);
		if (t->sleeper)
			ddfs_wait_cancel(crowd->ls, &t->sleeper->wait, -EINTR);
		pthread_mutex_unlock(&t->lock);
		usleep(500);
	}
	return NULL;
}

/* What the daemon does when the holders' descriptor is readable, and each second. */
static void *attend(void *arg)
{
	struct crowd *crowd = arg;
	struct pollfd fd = { .fd = ddfs_holders_fd(ddfs_layouts_holders(crowd->ls)),
		.events = POLLIN };
	struct timespec now;

	while (!atomic_load(&crowd->stop)) {
		if (poll(&fd, 1, 1) > 0)
			ddfs_pins_collect(crowd->fs);
		ddfs_pins_tick(crowd->fs);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (crowd->lease_expire != DDFS_LEASE_WAIT)
			ddfs_layouts_tick(crowd->ls, now.tv_sec + LEASE_TIME + 1);
	}
	return NULL;
}

static void say_who_waits(struct crowd *crowd)
{
	for (unsigned int i = 0; i < NR_THREADS; i++)
		fprintf(stderr, "thread %u: %s\n", i, atomic_load(&crowd->threads[i].doing));
}

/* A thread that goes on with nothing at all sleeps for ever. */
static void *watch(void *arg)
{
	struct crowd *crowd = arg;
	unsigned int idle[NR_THREADS] = { 0 };
	uint64_t last[NR_THREADS] = { 0 };

	while (!atomic_load(&crowd->stop)) {
		for (unsigned int i = 0; i < NR_THREADS; i++) {
			uint64_t now = atomic_load(&crowd->threads[i].progress);

			idle[i] = now == last[i] && now != THREAD_ENDED ? idle[i] + 1 : 0;
			last[i] = now;
			if (idle[i] < PATIENCE * 10)
				continue;
			say_who_waits(crowd);
			ck_abort_msg("thread %u does not go on", i);
		}
		usleep(100000);
	}
	return NULL;
}

struct ddfs_inode *crowd_file(struct thread *t, unsigned int *nr)
{
	unsigned int n = (unsigned int)rng_below(&t->rng, NR_FILES);
	struct ddfs_inode *ip;
	struct ddfs_entry e;
	char name[16];

	if (nr)
		*nr = n;
	snprintf(name, sizeof(name), "f%u", n);
	if (ddfs_lookup(t->crowd->root, name, strlen(name), &e) ||
		ddfs_inode_get(t->crowd->fs, e.attr.id, &ip))
		return NULL;
	return ip;
}

/* ---- all ------------------------------------------------------------------------------------ */

static void run_all(struct crowd *crowd, uint64_t seed)
{
	void *(*const others[])(void *) = { interrupt, attend, watch };
	pthread_t other[3];

	for (unsigned int i = 0; i < NR_THREADS; i++) {
		struct thread *t = &crowd->threads[i];

		t->crowd = crowd;
		t->nr = i;
		rng_seed(&t->rng, seed * 100 + i);
		pthread_mutex_init(&t->lock, NULL);
		atomic_store(&t->doing, "other things");
		ck_assert_int_eq(pthread_create(&t->thread, NULL,
					 i < NR_HOLDERS ? crowd_hold : crowd_change, t),
			0);
	}
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&other[i], NULL, others[i], crowd), 0);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(crowd->threads[i].thread, NULL);
	atomic_store(&crowd->stop, true);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(other[i], NULL);
}

static void check_idle(struct crowd *crowd)
{
	struct ddfs_layouts_stats st;

	ddfs_pins_collect(crowd->fs);
	ddfs_layouts_stats(crowd->ls, NULL, &st);
	ck_assert_uint_eq(st.nr_pins, 0);
	ck_assert_uint_eq(st.nr_pages, 0);
	ck_assert_uint_eq(st.nr_recalled, 0);
	ck_assert_uint_eq(st.nr_breaks, 0);
	ck_assert_uint_eq(st.nr_queued, 0);
	for (uint64_t b = 0; b < crowd->nr_blocks; b++)
		if (crowd->held[b].nr)
			ck_abort_msg("block %llu is in the books", (unsigned long long)b);
}

static uint64_t nr_free(struct crowd *crowd)
{
	struct ddfs_statfs st;

	ddfs_fs_statfs(crowd->fs, &st);
	return st.nr_free;
}

static void note_line(void *arg, int priority, const char *line)
{
	(void)arg;
	if (priority <= LOG_ERR)
		ck_abort_msg("%s", line);
}

static void crowd_init(struct crowd *crowd, uint64_t size, enum ddfs_lease_expire expire)
{
	struct ddfs_fs_options opt = {
		.dax = DDFS_DAX_ALWAYS, .lease_time = LEASE_TIME, .lease_expire = expire
	};

	opt.log = note_line;
	memset(crowd, 0, sizeof(*crowd));
	crowd->lease_expire = expire;
	crowd->steps = env_number("DDFS_STEPS", 3000);
	crowd->nr_changing = NR_CHANGES;
	crowd->nr_blocks = size / BLK;
	crowd->held = calloc(crowd->nr_blocks, sizeof(*crowd->held));
	pthread_mutex_init(&crowd->books, NULL);
	ram_mkfs(&crowd->ram, size, BLK);
	crowd->fs = ram_mount(&crowd->ram, &opt);
	crowd->ls = ddfs_fs_layouts(crowd->fs);
	crowd->root = ram_root(crowd->fs);
}

START_TEST(all_at_once)
{
	static struct crowd crowd;
	uint64_t at_start;
	char name[16];

	crowd_init(&crowd, UINT64_C(16) << 20, (enum ddfs_lease_expire)_i);
	at_start = nr_free(&crowd);
	crowd.ballast = tree_make_get(crowd.root, "ballast", S_IFREG | 0644);
	run_all(&crowd, env_number("DDFS_SEED", 1) * 10 + (uint64_t)_i);
	check_idle(&crowd);
	ck_image(&crowd.ram.media);
	for (unsigned int i = 0; i < NR_FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		tree_unlink(crowd.root, name);
	}
	ck_assert_int_eq(tree_unlink(crowd.root, "ballast"), 0);
	ddfs_inode_put(crowd.ballast);
	ddfs_inode_put(crowd.root);
	ck_assert_int_eq(ddfs_fs_close(crowd.fs), 0);
	crowd.fs = ram_mount(&crowd.ram, NULL);
	ck_assert_uint_eq(nr_free(&crowd), at_start);
	ck_image(&crowd.ram.media);
	ck_assert_int_eq(ddfs_fs_close(crowd.fs), 0);
	ram_fini(&crowd.ram);
	free(crowd.held);
	fprintf(stderr, "case %d: %llu pins, %llu waits, %llu interrupted, %llu killed\n", _i,
		(unsigned long long)crowd.nr_pins, (unsigned long long)crowd.nr_parked,
		(unsigned long long)crowd.nr_interrupted, (unsigned long long)crowd.nr_killed);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "all at once", all_at_once, 3 },
	};

	return suite_run("fs_pins_threads", cases, 1);
}
