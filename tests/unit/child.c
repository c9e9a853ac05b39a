/* SPDX-License-Identifier: BSD-3-Clause */
#include <check.h>
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/child.h"

pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void tell(int fd, pid_t tid)
{
	if (write(fd, &tid, sizeof(tid)) != sizeof(tid))
		_exit(2);
}

static void tell_tid(int fd)
{
	tell(fd, own_tid());
}

static void *thread_pause(void *arg)
{
	if (arg)
		tell_tid(*(int *)arg);
	for (;;)
		pause();
	return NULL;
}

/* A thread that takes no part in the files of the process. */
struct apart {
	int fd; /* that it has to close */
	pid_t tid;
	sem_t closed;
};

static void *thread_pause_apart(void *arg)
{
	struct apart *apart = arg;

	if (unshare(CLONE_FILES))
		_exit(2);
	syscall(SYS_close, apart->fd); /* the thread sanitizer takes close for everybody's */
	apart->tid = own_tid();
	sem_post(&apart->closed);
	return thread_pause(NULL);
}

/* It is told of by another: it can't, once it has closed what it would tell by. */
static void start_apart(int up)
{
	struct apart apart = { .fd = up };
	pthread_t thread;

	sem_init(&apart.closed, 0, 0);
	if (pthread_create(&thread, NULL, thread_pause_apart, &apart))
		_exit(2);
	while (sem_wait(&apart.closed))
		;
	tell(up, apart.tid);
}

static void *thread_exec(void *arg)
{
	(void)arg;
	execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	_exit(2);
}

static void child_obey(int up, int down)
{
	pthread_t thread;
	char order;

	while (read(down, &order, 1) == 1) {
		switch (order) {
		case CHILD_THREAD:
			if (pthread_create(&thread, NULL, thread_pause, &up))
				_exit(2);
			break;
		case CHILD_THREAD_APART:
			start_apart(up);
			break;
		case CHILD_EXEC:
			if (pthread_create(&thread, NULL, thread_exec, NULL))
				_exit(2);
			pause();
			break;
		case CHILD_LEADER_EXIT:
			syscall(SYS_exit, 0);
			break;
		case CHILD_RENAME:
			prctl(PR_SET_NAME, CHILD_NAME);
			tell_tid(up);
			break;
		default:
			syscall(SYS_exit_group, 0);
		}
	}
	_exit(0);
}

/* Who has been waited for may have its number for a moment more. */
pid_t fork_as(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1
	};
	pid_t got;

	if (!pid)
		return fork();
	for (int n = 0; n < 10000; n++) {
		got = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (got >= 0 || errno != EEXIST)
			break;
		sched_yield();
	}
	return got;
}

void child_start_as(struct child *c, pid_t pid)
{
	int up[2], down[2];

	ck_assert_int_eq(pipe(up), 0);
	ck_assert_int_eq(pipe(down), 0);
	c->pid = fork_as(pid);
	ck_assert_int_ge(c->pid, 0);
	if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, SIG_DFL); /* not as Check does for its own */
		close(up[0]);
		close(down[1]);
		child_obey(up[1], down[0]);
	}
	close(up[1]);
	close(down[0]);
	c->up = up[0];
	c->down = down[1];
}

void child_start(struct child *c)
{
	child_start_as(c, 0);
}

void child_order(struct child *c, char order)
{
	ck_assert_int_eq(write(c->down, &order, 1), 1);
}

static pid_t child_tid(struct child *c)
{
	pid_t tid;

	ck_assert_int_eq(read(c->up, &tid, sizeof(tid)), sizeof(tid));
	return tid;
}

pid_t child_thread(struct child *c, char order)
{
	child_order(c, order);
	return child_tid(c);
}

void child_reap(struct child *c)
{
	ck_assert_int_eq(waitpid(c->pid, NULL, __WALL), c->pid);
	close(c->up);
	close(c->down);
}

void child_end(struct child *c)
{
	kill(c->pid, SIGKILL);
	child_reap(c);
}

bool child_runs(const struct child *c, const char *program)
{
	char path[64], line[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)c->pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, program) == 0;
}
