/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a process is dying and when it is gone, with real processes. One that is slow to die is one
 * of which a thread is stopped in its exit by a tracer (PTRACE_O_TRACEEXIT).
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layout/holder.h"
#include "tests/unit/child.h"
#include "tests/unit/holder_check.h"
#include "tests/unit/suite.h"

#define NR_THREADS 4
#define GATE_BYTES 4096

/* Its first thread's, as /proc/PID/stat says it. */
static void until_state(const struct child *c, char state)
{
	char path[64], line[256] = "", want[8];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)c->pid);
	snprintf(want, sizeof(want), ") %c ", state);
	while (!strstr(line, want)) {
		FILE *file = fopen(path, "r");

		if (!file || !fgets(line, sizeof(line), file))
			ck_abort_msg("%s cannot be read", path);
		fclose(file);
	}
}

/* ---- dying and gone -------------------------------------------------------------------------- */

/* Gone before its parent has taken note. */
START_TEST(killed_by_us)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct child c;
	int status;

	child_start(&c);
	child_thread(&c, CHILD_THREAD);
	h = holder_get(hs, c.pid);
	check_lives(hs, h, false);
	ck_assert_int_eq(ddfs_holder_kill(h), 0);
	check_goes(hs, h);
	ck_assert_int_eq(waitpid(c.pid, &status, 0), c.pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ddfs_holders_delete(hs);
}
END_TEST

START_TEST(not_ourselves)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h = holder_get(hs, own_tid());

	ck_assert_int_eq(ddfs_holder_pid(h), getpid());
	ck_assert_int_eq(ddfs_holder_kill(h), -EPERM);
	check_lives(hs, h, false);
	ddfs_holder_put(h);
	ddfs_holders_delete(hs);
}
END_TEST

/* The first thread exits alone: the process, and all that it has open, lives on. */
START_TEST(leader_exits)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct pollfd up;
	struct child c;
	pid_t tid;

	child_start(&c);
	tid = child_thread(&c, CHILD_THREAD);
	h = holder_get(hs, c.pid);
	child_order(&c, CHILD_LEADER_EXIT);
	until_state(&c, 'Z');
	check_lives(hs, h, false);
	up = (struct pollfd){ .fd = c.up };
	ck_assert_int_eq(poll(&up, 1, 0), 0);

	/* It can still pin. */
	ck_assert_ptr_eq(holder_get(hs, tid), h);
	ddfs_holder_put(h);
	ddfs_holder_put(h);
	ddfs_holders_delete(hs);

	/* And be new to us. */
	hs = holders_new();
	h = holder_get(hs, tid);
	ck_assert_int_eq(ddfs_holder_pid(h), c.pid);
	check_lives(hs, h, false);
	ck_assert_int_eq(ddfs_holder_kill(h), 0);
	check_goes(hs, h);
	child_reap(&c);
	ddfs_holders_delete(hs);
}
END_TEST

/* Another program in the same process, started by a thread that takes the first one's place. */
START_TEST(exec_by_thread)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct child c;

	child_start(&c);
	h = holder_get(hs, child_thread(&c, CHILD_THREAD));
	child_order(&c, CHILD_EXEC);
	while (!child_runs(&c, "sleep"))
		sched_yield();
	check_lives(hs, h, false);
	ck_assert_ptr_eq(holder_get(hs, c.pid), h);
	ddfs_holder_put(h);
	kill(c.pid, SIGKILL);
	check_goes(hs, h);
	child_reap(&c);
	ddfs_holders_delete(hs);
}
END_TEST

/* ---- slow to die ----------------------------------------------------------------------------- */

static void trace_exit(pid_t tid)
{
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, tid, NULL, (void *)PTRACE_O_TRACEEXIT), 0);
}

static void until_stopped_in_exit(pid_t tid)
{
	int status;

	ck_assert_int_eq(waitpid(tid, &status, __WALL), tid);
	ck_assert(WIFSTOPPED(status));
	if (WSTOPSIG(status) == SIGTERM) {
		ck_assert_int_eq(ptrace(PTRACE_CONT, tid, NULL, (void *)SIGTERM), 0);
		ck_assert_int_eq(waitpid(tid, &status, __WALL), tid);
	}
	ck_assert_int_eq(status >> 8, SIGTRAP | (PTRACE_EVENT_EXIT << 8));
}

static void let_exit(pid_t tid)
{
	ck_assert_int_eq(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
}

/* What it had open is closed. */
static void until_closed(struct child *c)
{
	char byte;

	ck_assert_int_eq(read(c->up, &byte, 1), 0);
}

/* The ways a process of several threads ends: SIGKILL, another signal, exit. */
static void end_quickly(struct child *c, int way)
{
	switch (way) {
	case 0:
		kill(c->pid, SIGKILL);
		break;
	case 1:
		kill(c->pid, SIGTERM);
		break;
	default:
		child_order(c, CHILD_EXIT);
	}
}

START_TEST(slow_alone)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct child c;

	child_start(&c);
	h = holder_get(hs, c.pid);
	trace_exit(c.pid);
	check_lives(hs, h, false);
	kill(c.pid, SIGKILL);
	until_stopped_in_exit(c.pid);
	check_lives(hs, h, true);
	let_exit(c.pid);
	check_goes(hs, h);
	child_reap(&c);
	ddfs_holders_delete(hs);
}
END_TEST

/* The files of all threads but the one that is slow are closed: the process is not gone. */
START_TEST(slow_thread)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct child c;
	pid_t slow;

	child_start(&c);
	slow = child_thread(&c, CHILD_THREAD_APART);
	for (int i = 0; i < NR_THREADS; i++)
		child_thread(&c, CHILD_THREAD);
	h = holder_get(hs, c.pid);
	trace_exit(slow);
	check_lives(hs, h, false);
	end_quickly(&c, _i);
	until_stopped_in_exit(slow);
	until_closed(&c);
	check_lives(hs, h, true);
	let_exit(slow);
	check_goes(hs, h);
	child_reap(&c);
	ddfs_holders_delete(hs);
}
END_TEST

/* The first thread is the one that is slow. */
START_TEST(slow_leader)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct child c;

	child_start(&c);
	child_thread(&c, CHILD_RENAME);
	child_thread(&c, CHILD_THREAD);
	h = holder_get(hs, c.pid);
	trace_exit(c.pid);
	end_quickly(&c, _i);
	until_stopped_in_exit(c.pid);
	check_lives(hs, h, true);
	let_exit(c.pid);
	check_goes(hs, h);
	child_reap(&c);
	ddfs_holders_delete(hs);
}
END_TEST

/* A thread dies slowly, for another of them execs: the process is not dying. */
START_TEST(slow_exec)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct child c;
	pid_t slow;

	child_start(&c);
	slow = child_thread(&c, CHILD_THREAD);
	h = holder_get(hs, c.pid);
	trace_exit(slow);
	child_order(&c, CHILD_EXEC);
	until_stopped_in_exit(slow);
	check_lives(hs, h, false);
	let_exit(slow);
	while (!child_runs(&c, "sleep"))
		sched_yield();
	check_lives(hs, h, false);
	child_end(&c);
	check_goes(hs, h);
	ddfs_holders_delete(hs);
}
END_TEST

/* ---- killed where nothing wakes it ----------------------------------------------------------- */

/* Memory whose first use waits for us. */
struct gate {
	int uffd;
	char *page;
	int fd; /* the pipe that is read from into it */
	pthread_t thread;
};

static bool gate_init(struct gate *g)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	g->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (g->uffd < 0) {
		fprintf(stderr, "not tried: userfaultfd: %s\n", strerror(errno));
		return false;
	}
	ck_assert_int_eq(ioctl(g->uffd, UFFDIO_API, &api), 0);
	g->page =
		mmap(NULL, GATE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(g->page, MAP_FAILED);
	reg.range.start = (uintptr_t)g->page;
	reg.range.len = GATE_BYTES;
	ck_assert_int_eq(ioctl(g->uffd, UFFDIO_REGISTER, &reg), 0);
	return true;
}

static void *gate_read(void *arg)
{
	struct gate *g = arg;

	if (read(g->fd, g->page, 1) != 1)
		ck_abort_msg("a pipe that has a byte cannot be read");
	return NULL;
}

/* From now on who uses the pipe, which has something to read, waits for its lock. */
static void gate_close(struct gate *g, int fd)
{
	struct uffd_msg msg;

	g->fd = fd;
	ck_assert_int_eq(pthread_create(&g->thread, NULL, gate_read, g), 0);
	ck_assert_int_eq(read(g->uffd, &msg, sizeof(msg)), sizeof(msg));
	ck_assert_int_eq(msg.event, UFFD_EVENT_PAGEFAULT);
}

static void gate_open(struct gate *g)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)g->page, GATE_BYTES } };

	ck_assert_int_eq(ioctl(g->uffd, UFFDIO_ZEROPAGE, &zero), 0);
	pthread_join(g->thread, NULL);
	munmap(g->page, GATE_BYTES);
	close(g->uffd);
}

/* SIGKILL is pending, and stays so as long as the thread waits for a lock in the kernel. */
START_TEST(killed_uninterruptible)
{
	struct ddfs_holders *hs = holders_new();
	struct ddfs_holder *h;
	struct child c;
	struct gate g;

	if (!gate_init(&g)) {
		ddfs_holders_delete(hs);
		return;
	}
	child_start(&c);
	child_thread(&c, CHILD_THREAD);
	h = holder_get(hs, c.pid);
	child_order(&c, CHILD_RENAME);
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = c.up, .events = POLLIN }, 1, -1), 1);
	gate_close(&g, c.up);
	child_order(&c, CHILD_RENAME);
	until_state(&c, 'D');
	check_lives(hs, h, false);
	ck_assert_int_eq(ddfs_holder_kill(h), 0);
	check_lives(hs, h, true);
	gate_open(&g);
	check_goes(hs, h);
	child_reap(&c);
	ddfs_holders_delete(hs);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "killed by us", killed_by_us, 0 },
		{ "not ourselves", not_ourselves, 0 },
		{ "leader exits", leader_exits, 0 },
		{ "exec by a thread", exec_by_thread, 0 },
		{ "slow alone", slow_alone, 0 },
		{ "slow thread", slow_thread, 3 },
		{ "slow leader", slow_leader, 3 },
		{ "slow exec", slow_exec, 0 },
		{ "killed uninterruptible", killed_uninterruptible, 0 },
	};

	return suite_run("layout_dying", cases, sizeof(cases) / sizeof(cases[0]));
}
