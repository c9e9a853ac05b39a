/* SPDX-License-Identifier: BSD-3-Clause */
/* src/device/mc.h, the notices: poison that the kernel tells of before anybody reads it. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/device/mc.h"
#include "tests/unit/suite.h"

#define PAGE 4096

static uint8_t good[PAGE], buf[2 * PAGE];

/* As the kernel does; any code may be sent to oneself. */
static void send_notice(uintptr_t addr)
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = BUS_MCEERR_AO };

	info.si_addr = (void *)addr; /* NOLINT(performance-no-int-to-ptr) */
	ck_assert_int_eq(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info), 0);
}

START_TEST(test_notices)
{
	uintptr_t addr;

	ck_assert_int_eq(ddfs_mc_init(), 0);
	ck_assert(!ddfs_mc_take_notice(&addr));
	send_notice(0x1000);
	send_notice(0x1000);
	ck_assert(ddfs_mc_take_notice(&addr));
	ck_assert_uint_eq(addr, 0x1000);
	ck_assert(!ddfs_mc_take_notice(&addr));
	/* More than it keeps: the first ones stay. */
	for (uintptr_t i = 1; i <= 1000; i++)
		send_notice(i * PAGE);
	for (uintptr_t i = 1; i <= 64; i++) {
		ck_assert(ddfs_mc_take_notice(&addr));
		ck_assert_uint_eq(addr, i * PAGE);
	}
	ck_assert(!ddfs_mc_take_notice(&addr));
	ddfs_mc_fini();
}
END_TEST

static atomic_bool stop;
static atomic_size_t nr_taken;

static void *taker_main(void *arg)
{
	uintptr_t addr;

	while (!stop || ddfs_mc_take_notice(&addr))
		nr_taken += ddfs_mc_take_notice(&addr);
	return arg;
}

START_TEST(test_notices_taken_meanwhile)
{
	pthread_t takers[2];

	ck_assert_int_eq(ddfs_mc_init(), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&takers[i], NULL, taker_main, NULL), 0);
	for (uintptr_t i = 1; i <= 20000; i++)
		send_notice(i * PAGE);
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(takers[i], NULL);
	ck_assert_uint_gt(nr_taken, 0);
	ck_assert_uint_le(nr_taken, 20000);
	ddfs_mc_fini();
}
END_TEST

START_TEST(test_notices_of_views)
{
	uintptr_t addr;

	ck_assert_int_eq(ddfs_mc_init(), 0);
	ddfs_mc_add_view(buf, good, PAGE);
	send_notice((uintptr_t)buf + 5);
	ck_assert(ddfs_mc_take_notice(&addr));
	ck_assert_uint_eq(addr, (uintptr_t)good + 5);
	send_notice((uintptr_t)buf + PAGE);
	ck_assert(ddfs_mc_take_notice(&addr));
	ck_assert_uint_eq(addr, (uintptr_t)buf + PAGE);
	ddfs_mc_remove_view(buf);
	send_notice((uintptr_t)buf + 5);
	ck_assert(ddfs_mc_take_notice(&addr));
	ck_assert_uint_eq(addr, (uintptr_t)buf + 5);
	/* Too many are no harm. */
	for (int i = 0; i < 40; i++)
		ddfs_mc_add_view(buf + i, good, 1);
	for (int i = 0; i < 40; i++)
		ddfs_mc_remove_view(buf + i);
	ddfs_mc_fini();
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "notices", test_notices, 0 },
		{ "notices taken meanwhile", test_notices_taken_meanwhile, 0 },
		{ "notices of views", test_notices_of_views, 0 },
	};

	return suite_run("device_mc_notice", cases, sizeof(cases) / sizeof(cases[0]));
}
