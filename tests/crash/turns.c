/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/turns.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* The linker's names. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_sched_yield(void);
int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __real_pthread_mutex_unlock(pthread_mutex_t *lock);
int __real_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __real_sched_yield(void);

struct turner {
	struct crash_turns *turns;
	unsigned int i;
	sem_t go;
	uint64_t nr_calls; /* of the door */
	uint64_t park;
	const void *wants; /* a lock that the other one has; NULL */
	bool over;
};

/* What follows is used by whoever has the turn. */
struct crash_turns {
	struct turner of[CRASH_TURNS];
	unsigned int first;
	void (*body)(void *arg, unsigned int i);
	void (*switched)(void *arg, unsigned int i);
	void *arg;
};

/* NULL: not one of two. */
static _Thread_local struct turner *self;

struct crash_turns *crash_turns_new(const struct crash_schedule *s)
{
	struct crash_turns *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	t->first = s->first;
	for (unsigned int i = 0; i < CRASH_TURNS; i++) {
		t->of[i] = (struct turner){ .turns = t, .i = i, .park = s->park[i] };
		sem_init(&t->of[i].go, 0, 0);
	}
	return t;
}

void crash_turns_delete(struct crash_turns *t)
{
	for (unsigned int i = 0; i < CRASH_TURNS; i++)
		sem_destroy(&t->of[i].go);
	free(t);
}

uint64_t crash_turns_nr_calls(const struct crash_turns *t, unsigned int i)
{
	return t->of[i].nr_calls;
}

/* ---- whose turn it is ----------------------------------------------------------------------- */

static struct turner *other(void)
{
	return &self->turns->of[1 - self->i];
}

static void begin_turn(struct turner *t)
{
	t->turns->switched(t->turns->arg, t->i);
	sem_post(&t->go);
}

static void await_turn(struct turner *t)
{
	while (sem_wait(&t->go))
		if (errno != EINTR)
			abort();
}

/* The caller goes on when the other one has given it back. */
static void give_turn(void)
{
	begin_turn(other());
	await_turn(self);
}

void crash_turns_at_door(void)
{
	if (self && self->nr_calls++ == self->park && !other()->over)
		give_turn();
}

static void *run(void *arg)
{
	struct turner *t = arg;

	await_turn(t);
	self = t;
	t->turns->body(t->turns->arg, t->i);
	t->over = true;
	if (!other()->over)
		begin_turn(other());
	return NULL;
}

void crash_turns_run(struct crash_turns *t, void (*body)(void *arg, unsigned int i),
	void (*switched)(void *arg, unsigned int i), void *arg)
{
	pthread_t thread[CRASH_TURNS];

	t->body = body;
	t->switched = switched;
	t->arg = arg;
	for (unsigned int i = 0; i < CRASH_TURNS; i++)
		if (pthread_create(&thread[i], NULL, run, &t->of[i]))
			abort();
	begin_turn(&t->of[t->first]);
	for (unsigned int i = 0; i < CRASH_TURNS; i++)
		pthread_join(thread[i], NULL);
}

/* ---- locks ---------------------------------------------------------------------------------- */

/* The lock is taken. Who has just let go of what the other wants has given it the turn: if it wants
 * something still, neither will ever go on. */
static void wait_for(const void *lock)
{
	if (other()->over || other()->wants) {
		fputs("crash: a lock is never let go\n", stderr);
		abort();
	}
	self->wants = lock;
	give_turn();
	self->wants = NULL;
}

static void let_go(const void *lock)
{
	if (self && other()->wants == lock)
		give_turn();
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
	int err;

	if (!self)
		return __real_pthread_mutex_lock(lock);
	while ((err = pthread_mutex_trylock(lock)) == EBUSY)
		wait_for(lock);
	return err;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
	int err = __real_pthread_mutex_unlock(lock);

	let_go(lock);
	return err;
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	int err;

	if (!self)
		return __real_pthread_rwlock_rdlock(lock);
	while ((err = pthread_rwlock_tryrdlock(lock)) == EBUSY)
		wait_for(lock);
	return err;
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	int err;

	if (!self)
		return __real_pthread_rwlock_wrlock(lock);
	while ((err = pthread_rwlock_trywrlock(lock)) == EBUSY)
		wait_for(lock);
	return err;
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	int err = __real_pthread_rwlock_unlock(lock);

	let_go(lock);
	return err;
}

/* Who waits for the other by looking again. */
int __wrap_sched_yield(void)
{
	if (!self || other()->over)
		return __real_sched_yield();
	give_turn();
	return 0;
}
