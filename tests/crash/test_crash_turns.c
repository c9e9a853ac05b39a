/* SPDX-License-Identifier: BSD-3-Clause */
/* Two threads that take turns: which one runs when, with locks and without. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/turns.h"
#include "tests/unit/suite.h"

/* What happens, in order: "a" and "b" are calls of the door, capitals what comes behind a lock. */
static char trace[64];
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, two = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static atomic_bool seen[2];

static void note(char c)
{
	size_t n = strlen(trace);

	ck_assert_uint_lt(n + 1, sizeof(trace));
	trace[n] = c;
}

static void door(unsigned int i)
{
	crash_turns_at_door();
	note((char)('a' + i));
}

static void switched(void *arg, unsigned int i)
{
	(void)arg;
	(void)i;
}

static void run(const struct crash_schedule *s, void (*body)(void *arg, unsigned int i))
{
	struct crash_turns *t = crash_turns_new(s);

	memset(trace, 0, sizeof(trace));
	crash_turns_run(t, body, switched, NULL);
	crash_turns_delete(t);
}

static void call_thrice(void *arg, unsigned int i)
{
	(void)arg;
	for (unsigned int n = 0; n < 3; n++)
		door(i);
}

START_TEST(parked)
{
	static const struct {
		struct crash_schedule s;
		const char *trace;
	} cases[] = {
		{ { 0, { CRASH_NEVER, CRASH_NEVER } }, "aaabbb" },
		{ { 1, { CRASH_NEVER, CRASH_NEVER } }, "bbbaaa" },
		{ { 0, { 0, CRASH_NEVER } }, "bbbaaa" },
		{ { 0, { 2, CRASH_NEVER } }, "aabbba" },
		{ { 1, { 1, 2 } }, "bbabaa" },
		{ { 0, { 1, 1 } }, "abaabb" },
		{ { 0, { 3, CRASH_NEVER } }, "aaabbb" },
	};

	run(&cases[_i].s, call_thrice);
	ck_assert_str_eq(trace, cases[_i].trace);
}
END_TEST

static void call_locked(void *arg, unsigned int i)
{
	(void)arg;
	door(i);
	pthread_mutex_lock(&one);
	note((char)('A' + i));
	door(i);
	pthread_mutex_unlock(&one);
	door(i);
}

/* Who comes to a lock that is taken goes on as soon as it is let go. */
START_TEST(locked)
{
	const struct crash_schedule s = { 0, { 1, CRASH_NEVER } };

	run(&s, call_locked);
	ck_assert_str_eq(trace, "aAbaBbba");
}
END_TEST

static void call_shared(void *arg, unsigned int i)
{
	(void)arg;
	pthread_rwlock_rdlock(&shared);
	door(i);
	pthread_rwlock_unlock(&shared);
	pthread_rwlock_wrlock(&shared);
	note((char)('A' + i));
	door(i);
	pthread_rwlock_unlock(&shared);
}

/* Both read at once; who writes waits until nobody does. */
START_TEST(locked_shared)
{
	const struct crash_schedule s = { 0, { 0, CRASH_NEVER } };

	run(&s, call_shared);
	ck_assert_str_eq(trace, "baBbAa");
}
END_TEST

static void look_again(void *arg, unsigned int i)
{
	(void)arg;
	door(i);
	seen[i] = true;
	while (!seen[1 - i])
		sched_yield();
	door(i);
}

START_TEST(yields)
{
	const struct crash_schedule s = { 0, { CRASH_NEVER, CRASH_NEVER } };

	seen[0] = seen[1] = false;
	run(&s, look_again);
	ck_assert_str_eq(trace, "abba");
}
END_TEST

static void lock_crosswise(void *arg, unsigned int i)
{
	(void)arg;
	pthread_mutex_lock(i ? &one : &two);
	door(i);
	pthread_mutex_lock(i ? &two : &one);
}

/* Each waits for the other: the process ends, and does not hang. */
START_TEST(deadlock)
{
	const struct crash_schedule s = { 0, { 0, CRASH_NEVER } };
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		run(&s, lock_crosswise);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "parked", parked, 7 },
		{ "locked", locked, 0 },
		{ "locked shared", locked_shared, 0 },
		{ "yields", yields, 0 },
		{ "deadlock", deadlock, 0 },
	};

	return suite_run("crash_turns", cases, sizeof(cases) / sizeof(cases[0]));
}
