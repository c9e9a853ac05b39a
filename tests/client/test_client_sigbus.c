/* SPDX-License-Identifier: BSD-3-Clause */
/* SIGBUS of memory that is lost: who is told what, and what becomes of the process. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "tests/client/client.h"
#include "tests/client/lose.h"

#define RW   (DDFS_MAP_READ | DDFS_MAP_WRITE)
#define DIED (256 + SIGBUS)

/* What the handlers leave. */
static struct {
	sigjmp_buf env;
	struct ddfs_poison poison; /* the last that was told; its path is below */
	char path[256];
	uintptr_t stack; /* that on_poison ran on */
	int answer;	 /* of on_poison; -1: it jumps */
} hit;
static atomic_int nr_told, nr_earlier;
static atomic_int *told_in_child; /* nr_told of processes that end; shared memory or NULL */

static int on_poison(const struct ddfs_poison *p, void *arg)
{
	hit.poison = *p;
	snprintf(hit.path, sizeof(hit.path), "%s", p->path);
	hit.stack = (uintptr_t)&arg;
	atomic_fetch_add(&nr_told, 1);
	if (told_in_child)
		atomic_fetch_add(told_in_child, 1);
	CHECK(arg == &hit);
	if (hit.answer < 0)
		siglongjmp(hit.env, 1);
	if (hit.answer)
		lose_nothing((void *)((uintptr_t)p->addr & -(uintptr_t)4096), 4096);
	return hit.answer;
}

static char *map_file(const char *name, uint64_t size, struct ddfs_mapping **m)
{
	CHECK_OK(ddfs_mapping_new(client_file(name, 1, size), 0, 0, RW, m));
	return ddfs_mapping_address(*m);
}

/* Whether the byte can be read. */
static bool reads(const char *p)
{
	if (sigsetjmp(hit.env, 1))
		return false;
	*(const volatile char *)p;
	return true;
}

/* Lost, and found out: on a device by losing it, else by a load. */
static bool lose_and_read(char *page)
{
	if (sigsetjmp(hit.env, 1))
		return false;
	lose_page(page);
	*(const volatile char *)page;
	return true;
}

/* On a device of large pages all of one may be meant. */
static void check_told(const struct ddfs_mapping *m, uint64_t off, const char *name)
{
	CHECK(hit.poison.mapping == m);
	CHECK_SAME(hit.poison.file_off % 4096, 0);
	CHECK(hit.poison.file_off <= off && off < hit.poison.file_off + hit.poison.len);
	if (!client_is_device())
		CHECK_SAME(hit.poison.len, 4096);
	CHECK_SAME(hit.poison.is_notice, 0);
	CHECK(strcmp(strrchr(hit.path, '/'), name) == 0);
}

static void test_jump(void)
{
	struct ddfs_mapping *m, *other;
	char *p = map_file("f", 1 * MIB, &m), *q = map_file("g", 1 * MIB, &other);

	hit.answer = -1;
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK(!lose_and_read(p + 40960));
	check_told(m, 40960, "/f");
	CHECK(!lose_and_read(q + 8192));
	check_told(other, 8192, "/g");
	CHECK_SAME(atomic_load(&nr_told), 2);
	CHECK(client_is_pattern(p, 1, 0, 40960));
	CHECK(client_is_pattern(p + 45056, 1, 45056, 1 * MIB - 45056));
	if (!client_is_device()) { /* it is lost for good */
		CHECK(!reads(p + 40960 + 4095) && !reads(p + 40960));
		CHECK_SAME(atomic_load(&nr_told), 4);
		check_told(m, 40960, "/f");
	}
	ddfs_mapping_delete(m);
	ddfs_mapping_delete(other);
}

static void test_again(void)
{
	struct ddfs_mapping *m;
	char *p = map_file("f", 64 * KIB, &m);

	hit.answer = 1;
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	lose_page(p + 4096);
	CHECK(client_is_pattern(p, 1, 0, 64 * KIB));
	CHECK_SAME(atomic_load(&nr_told), 1);
	check_told(m, 4096, "/f");
	ddfs_mapping_delete(m);
}

static void test_grown(void)
{
	struct ddfs_mapping *m;

	hit.answer = -1;
	map_file("f", 64 * KIB, &m);
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK_OK(ddfs_mapping_grow(m, 20 * client_piece()));
	CHECK(!lose_and_read((char *)ddfs_mapping_address(m) + 10 * client_piece()));
	check_told(m, 10 * client_piece(), "/f");
	ddfs_mapping_delete(m);
}

/* A thread that has a stack for its signals is told there. */
static void test_stack(void)
{
	stack_t stack = { .ss_size = 64 * KIB };
	struct ddfs_mapping *m;
	char *p = map_file("f", 64 * KIB, &m);

	stack.ss_sp = malloc(stack.ss_size);
	CHECK(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0);
	hit.answer = 1;
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	lose_page(p);
	CHECK(reads(p));
	CHECK(hit.stack - (uintptr_t)stack.ss_sp < stack.ss_size);
	check_told(m, 0, "/f");
	ddfs_mapping_delete(m);
}

static void lose_in_child(void *arg)
{
	struct ddfs_mapping *m;
	int fd = open("f", O_RDWR);

	(void)arg;
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &m));
	lose_page((char *)ddfs_mapping_address(m) + 8192);
}

/* Another process meets it first. */
static void test_notice(void)
{
	struct ddfs_mapping *m;

	if (!client_is_device())
		client_skip("of a device alone");
	map_file("f", 64 * KIB, &m);
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, 64 * KIB));
	hit.answer = 1;
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
	CHECK_SAME(client_wait(client_fork(lose_in_child, NULL)), 0);
	WAIT_UNTIL(atomic_load(&nr_told) == 1);
	CHECK(hit.poison.mapping == m && hit.poison.is_notice);
	CHECK(hit.poison.file_off <= 8192 && 8192 < hit.poison.file_off + hit.poison.len);
	ddfs_mapping_delete(m);
}

/* ---- as it was before ----------------------------------------------------------------------- */

static void on_info(int number, siginfo_t *info, void *context)
{
	CHECK(number == SIGBUS && context != NULL);
	hit.poison.addr = info->si_addr;
	atomic_fetch_add(&nr_earlier, 1);
	if (info->si_code > 0)
		siglongjmp(hit.env, 2);
}

static void on_number(int number)
{
	CHECK_SAME(number, SIGBUS);
	atomic_fetch_add(&nr_earlier, 1);
	siglongjmp(hit.env, 2);
}

static void stand(void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	if (flags & SA_SIGINFO)
		action.sa_sigaction = on_info;
	CHECK(sigaction(SIGBUS, &action, NULL) == 0);
}

/* Faults of other memory, signals of processes, and those that fn does not want. */
static void test_earlier(void)
{
	char *elsewhere = lose_elsewhere(), *p;
	struct ddfs_mapping *m;

	p = map_file("f", 64 * KIB, &m);
	stand(NULL, SA_SIGINFO);
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK(!reads(elsewhere + 5));
	CHECK(hit.poison.addr == elsewhere + 5);
	CHECK_SAME(atomic_load(&nr_earlier), 1);
	CHECK(raise(SIGBUS) == 0);
	CHECK_SAME(atomic_load(&nr_earlier), 2);
	CHECK_SAME(atomic_load(&nr_told), 0);
	CHECK(!lose_and_read(p + 4096));
	CHECK_SAME(atomic_load(&nr_told), 1);
	CHECK_SAME(atomic_load(&nr_earlier), 3);
	ddfs_mapping_delete(m);
}

static void test_earlier_simple(void)
{
	char *elsewhere = lose_elsewhere();

	stand(on_number, SA_RESTART);
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK(!reads(elsewhere));
	CHECK_OK(ddfs_poison_on_hit(on_poison, NULL));
	CHECK(!reads(elsewhere));
	CHECK_SAME(atomic_load(&nr_earlier), 2);
	CHECK_SAME(atomic_load(&nr_told), 0);
}

/* Whatever a process says of the address. */
static void test_sent(void)
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = SI_TKILL };
	struct ddfs_mapping *m;

	info.si_addr = map_file("f", 64 * KIB, &m);
	stand(NULL, SA_SIGINFO);
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info) == 0);
	CHECK_SAME(atomic_load(&nr_told), 0);
	CHECK_SAME(atomic_load(&nr_earlier), 1);
	CHECK(hit.poison.addr == info.si_addr);
	ddfs_mapping_delete(m);
}

static void test_taken_back(void)
{
	struct sigaction now;
	struct ddfs_mapping *m;
	char *p = map_file("f", 64 * KIB, &m);

	stand(on_number, SA_RESTART);
	CHECK_OK(ddfs_poison_on_hit(NULL, NULL));
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK_OK(ddfs_poison_on_hit(NULL, NULL));
	CHECK(sigaction(SIGBUS, NULL, &now) == 0);
	CHECK(now.sa_handler == on_number && now.sa_flags & SA_RESTART);
	CHECK(!lose_and_read(p + 4096));
	CHECK_SAME(atomic_load(&nr_told), 0);
	CHECK_SAME(atomic_load(&nr_earlier), 1);
	/* One that came later stays, and so do we behind it. */
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	stand(NULL, SA_SIGINFO);
	CHECK_OK(ddfs_poison_on_hit(NULL, NULL));
	CHECK(sigaction(SIGBUS, NULL, &now) == 0);
	CHECK(now.sa_sigaction == on_info);
	ddfs_mapping_delete(m);
}

/* ---- the process's end ---------------------------------------------------------------------- */

static char *dead_page;

static void touch(void *arg)
{
	(void)arg;
	*(const volatile char *)dead_page;
	_exit(17);
}

static void touch_lost(void *arg)
{
	struct ddfs_mapping *m;
	char *p = map_file("f", 64 * KIB, &m);

	(void)arg;
	lose_page(p);
	*(const volatile char *)p;
	_exit(17);
}

static void send(void *arg)
{
	(void)arg;
	kill(getpid(), SIGBUS);
	_exit(0);
}

static void test_default(void)
{
	dead_page = lose_elsewhere();
	stand(SIG_DFL, 0);
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK_SAME(client_wait(client_fork(touch, NULL)), DIED);
	CHECK_SAME(client_wait(client_fork(send, NULL)), DIED);
}

/* fn is told once, and the process ends as without it. */
static void test_unwanted(void)
{
	int status;

	told_in_child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(told_in_child != MAP_FAILED);
	stand(SIG_DFL, 0);
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	status = client_wait(client_fork(touch_lost, NULL));
	if (status == 77)
		client_skip("no poison here");
	CHECK_SAME(status, DIED);
	CHECK_SAME(atomic_load(told_in_child), 1);
}

/* A fault cannot be ignored; what somebody sends can. */
static void test_ignored(void)
{
	dead_page = lose_elsewhere();
	stand(SIG_IGN, 0);
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK_SAME(client_wait(client_fork(send, NULL)), 0);
	CHECK_SAME(client_wait(client_fork(touch, NULL)), DIED);
}

static void touch_twice(void *arg)
{
	(void)arg;
	if (reads(dead_page) || atomic_load(&nr_earlier) != 1)
		_exit(18);
	*(const volatile char *)dead_page;
	_exit(17);
}

static void test_once(void)
{
	dead_page = lose_elsewhere();
	stand(on_number, (int)SA_RESETHAND);
	CHECK_OK(ddfs_poison_on_hit(on_poison, &hit));
	CHECK_SAME(client_wait(client_fork(touch_twice, NULL)), DIED);
}

/* ---- threads -------------------------------------------------------------------------------- */

static _Thread_local sigjmp_buf thread_env;
static _Thread_local uint64_t thread_off;

static int on_poison_of_thread(const struct ddfs_poison *p, void *arg)
{
	(void)arg;
	thread_off = p->file_off;
	siglongjmp(thread_env, 1);
}

static void *touch_often(void *arg)
{
	const uint64_t off = (uint64_t)(uintptr_t)arg;
	int i;

	for (i = 0; i < 300; i++) {
		thread_off = 0;
		if (sigsetjmp(thread_env, 1) == 0) {
			*(const volatile char *)(dead_page + off);
			CHECK(!"it could be read");
		}
		CHECK_SAME(thread_off, off);
	}
	return NULL;
}

/* Each is told of its own, while others map and unmap, and fn is set anew. */
static void test_threads(void)
{
	struct ddfs_mapping *m, *other;
	pthread_t thread[3];
	uintptr_t i;
	int fd, round;

	if (client_is_device())
		client_skip("what a device lost reads again");
	dead_page = map_file("f", 1 * MIB, &m);
	fd = client_file("g", 1, 64 * KIB);
	for (i = 0; i < 3; i++)
		lose_page(dead_page + (i + 1) * 8192);
	CHECK_OK(ddfs_poison_on_hit(on_poison_of_thread, NULL));
	for (i = 0; i < 3; i++)
		CHECK(pthread_create(&thread[i], NULL, touch_often, (void *)((i + 1) * 8192)) == 0);
	for (round = 0; round < 100; round++) {
		CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &other));
		CHECK_OK(ddfs_poison_on_hit(on_poison_of_thread, NULL));
		ddfs_mapping_delete(other);
	}
	for (i = 0; i < 3; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	ddfs_mapping_delete(m);
}

static const struct client_test tests[] = {
	CLIENT_TEST(jump),
	CLIENT_TEST(again),
	CLIENT_TEST(grown),
	CLIENT_TEST(stack),
	CLIENT_TEST(notice),
	CLIENT_TEST(earlier),
	CLIENT_TEST(earlier_simple),
	CLIENT_TEST(sent),
	CLIENT_TEST(taken_back),
	CLIENT_TEST(default),
	CLIENT_TEST(unwanted),
	CLIENT_TEST(ignored),
	CLIENT_TEST(once),
	CLIENT_TEST(threads),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return client_main("client_sigbus", tests, argc, argv);
}
