/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * src/device/mc.h, the signal: what becomes of SIGBUS that is none of ours, as it would without
 * us. Built a second time with mc_plain.c.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/device/mc.h"
#include "tests/unit/suite.h"

#define PAGE	   4096
#define SURVIVED   0
#define UNEXPECTED 99

#ifndef __has_feature
#define __has_feature(x) 0
#endif
/* ThreadSanitizer takes any SIGBUS for a fault and calls the handler at once, even while the thread
 * has one of its locks. */
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define CAN_BE_SENT_ANY_TIME 0
#else
#define CAN_BE_SENT_ANY_TIME 1
#endif

static uint8_t *good, *bad; /* a page each, one behind the other */
static uint8_t buf[2 * PAGE];

/* ---- the ways to get one -------------------------------------------------------------------- */

static void setup(void)
{
	int fd = memfd_create("eof", MFD_CLOEXEC);

	good = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bad = good + PAGE;
	if (good == MAP_FAILED || mmap(bad, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
					  fd, 0) == MAP_FAILED)
		abort();
	close(fd);
	memset(good, 7, PAGE);
}

static int touch_bad(void)
{
	return *(volatile uint8_t *)bad;
}

static bool copy_survives(void)
{
	return ddfs_copy_mc(buf, good + 10, PAGE) == 10 && ddfs_probe_mc(good, PAGE + 1) == 1;
}

/* ---- other people's handlers ---------------------------------------------------------------- */

static sigjmp_buf out;
static atomic_int nr_called;
static siginfo_t seen;
static sigset_t seen_mask;

static void see(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	nr_called++;
	seen = *info;
	pthread_sigmask(SIG_SETMASK, NULL, &seen_mask);
}

static void jump(int sig, siginfo_t *info, void *context)
{
	see(sig, info, context);
	siglongjmp(out, 1);
}

/* Puts memory where there was none, and has the instruction try again. */
static void repair(int sig)
{
	(void)sig;
	nr_called++;
	mmap(bad, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	errno = EXDEV;
}

static void install(void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction act = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };

	sigaddset(&act.sa_mask, SIGUSR1);
	ck_assert_int_eq(sigaction(SIGBUS, &act, NULL), 0);
}

static void install_plain(void (*fn)(int))
{
	struct sigaction act = { .sa_handler = fn };

	ck_assert_int_eq(sigaction(SIGBUS, &act, NULL), 0);
}

/* ---- in children ---------------------------------------------------------------------------- */

/* The exit status, or minus the signal. Who hangs dies by another one. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		alarm(20);
		_exit(fn());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int init_and_touch(void)
{
	if (ddfs_mc_init() || !copy_survives())
		return UNEXPECTED;
	touch_bad();
	return SURVIVED;
}

static int init_and_send(void)
{
	if (ddfs_mc_init())
		return UNEXPECTED;
	kill(getpid(), SIGBUS);
	return copy_survives() ? SURVIVED : UNEXPECTED;
}

/* To memory that can't be written: the copy's source is none of the reason. */
static int init_and_copy_to_bad(void)
{
	if (ddfs_mc_init())
		return UNEXPECTED;
	ddfs_copy_mc(bad - 16, buf, 64);
	return SURVIVED;
}

START_TEST(test_default)
{
	install_plain(SIG_DFL);
	ck_assert_int_eq(in_child(init_and_touch), -SIGBUS);
	ck_assert_int_eq(in_child(init_and_send), -SIGBUS);
	ck_assert_int_eq(in_child(init_and_copy_to_bad), -SIGBUS);
}
END_TEST

/* A fault that is ignored would be for ever: the kernel kills, and so do we. */
START_TEST(test_ignored)
{
	install_plain(SIG_IGN);
	ck_assert_int_eq(in_child(init_and_touch), -SIGBUS);
	ck_assert_int_eq(in_child(init_and_copy_to_bad), -SIGBUS);
	ck_assert_int_eq(in_child(init_and_send), SURVIVED);
}
END_TEST

static int twice(void)
{
	if (ddfs_mc_init())
		return UNEXPECTED;
	kill(getpid(), SIGBUS);
	if (nr_called != 1)
		return UNEXPECTED;
	kill(getpid(), SIGBUS);
	return SURVIVED;
}

START_TEST(test_once)
{
	install(see, SA_RESETHAND);
	ck_assert_int_eq(in_child(twice), -SIGBUS);
}
END_TEST

/* What was there before it was installed comes after it is gone. */
static int init_fini_touch(void)
{
	if (ddfs_mc_init() || ddfs_mc_init() || !copy_survives())
		return UNEXPECTED;
	ddfs_mc_fini();
	if (!copy_survives())
		return UNEXPECTED;
	ddfs_mc_fini();
	copy_survives();
	return SURVIVED;
}

START_TEST(test_fini)
{
	struct sigaction now;

	install_plain(SIG_DFL);
	ck_assert_int_eq(in_child(init_fini_touch), -SIGBUS);
	install(see, SA_NODEFER);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(ddfs_mc_init(), 0);
		ck_assert(copy_survives());
		ddfs_mc_fini();
	}
	ck_assert_int_eq(sigaction(SIGBUS, NULL, &now), 0);
	ck_assert(now.sa_sigaction == see);
	ck_assert(sigismember(&now.sa_mask, SIGUSR1) == 1);
	ck_assert(now.sa_flags & SA_NODEFER);
}
END_TEST

/* ---- before ours ---------------------------------------------------------------------------- */

START_TEST(test_handler_before)
{
	sigset_t mask;

	install(jump, 0);
	ck_assert_int_eq(ddfs_mc_init(), 0);
	for (int i = 1; i < 4; i++) {
		if (sigsetjmp(out, 1) == 0) {
			touch_bad();
			ck_abort_msg("read what can't be");
		}
		ck_assert_int_eq(nr_called, i);
		ck_assert_ptr_eq(seen.si_addr, bad);
		ck_assert_int_eq(seen.si_code, BUS_ADRERR);
		/* Blocked as it had asked, and not any more. */
		ck_assert(sigismember(&seen_mask, SIGBUS) == 1);
		ck_assert(sigismember(&seen_mask, SIGUSR1) == 1);
		pthread_sigmask(SIG_SETMASK, NULL, &mask);
		ck_assert(sigismember(&mask, SIGUSR1) == 0);
		ck_assert(copy_survives());
		ck_assert_int_eq(nr_called, i);
	}
	ddfs_mc_fini();
}
END_TEST

START_TEST(test_handler_that_nests)
{
	install(jump, SA_NODEFER);
	ck_assert_int_eq(ddfs_mc_init(), 0);
	if (sigsetjmp(out, 1) == 0)
		touch_bad();
	ck_assert_int_eq(nr_called, 1);
	ck_assert(sigismember(&seen_mask, SIGBUS) == 0);
	ddfs_mc_fini();
}
END_TEST

START_TEST(test_plain_handler_before)
{
	sigset_t mask;

	install_plain(repair);
	ck_assert_int_eq(ddfs_mc_init(), 0);
	errno = 0;
	ck_assert_int_eq(touch_bad(), 0);
	ck_assert_int_eq(nr_called, 1);
	ck_assert_int_eq(errno, 0);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ck_assert(sigismember(&mask, SIGBUS) == 0);
	ddfs_mc_fini();
}
END_TEST

START_TEST(test_sent_before)
{
	union sigval value = { .sival_int = 4711 };

	install(see, 0);
	ck_assert_int_eq(ddfs_mc_init(), 0);
	ck_assert_int_eq(sigqueue(getpid(), SIGBUS, value), 0);
	ck_assert_int_eq(nr_called, 1);
	ck_assert_int_eq(seen.si_code, SI_QUEUE);
	ck_assert_int_eq(seen.si_value.sival_int, 4711);
	ck_assert_int_eq(seen.si_pid, getpid());
	ddfs_mc_fini();
}
END_TEST

/* Faults of a copy's destination are its, not ours. */
START_TEST(test_destination)
{
	install(jump, 0);
	ck_assert_int_eq(ddfs_mc_init(), 0);
	if (sigsetjmp(out, 1) == 0) {
		ddfs_copy_mc(bad - 16, buf, 64);
		ck_abort_msg("wrote what can't be");
	}
	ck_assert_int_eq(nr_called, 1);
	ck_assert_ptr_eq(seen.si_addr, bad);
	ddfs_mc_fini();
}
END_TEST

/* ---- after ours ----------------------------------------------------------------------------- */

static struct sigaction below;

static void chain(int sig, siginfo_t *info, void *context)
{
	see(sig, info, context);
	below.sa_sigaction(sig, info, context);
}

START_TEST(test_handler_after)
{
	const struct sigaction theirs = { .sa_sigaction = chain, .sa_flags = SA_SIGINFO };
	struct sigaction now;

	install_plain(SIG_DFL);
	ck_assert_int_eq(ddfs_mc_init(), 0);
	ck_assert_int_eq(sigaction(SIGBUS, &theirs, &below), 0);
	for (int i = 1; i < 4; i++) {
		ck_assert(copy_survives());
		ck_assert_int_ge(nr_called, 2 * i);
		/* Theirs stays, and below it ours. */
		ddfs_mc_fini();
		ck_assert_int_eq(sigaction(SIGBUS, NULL, &now), 0);
		ck_assert(now.sa_sigaction == chain);
		ck_assert_int_eq(ddfs_mc_init(), 0);
	}
	ck_assert_int_eq(in_child(init_and_touch), -SIGBUS);
	ck_assert_int_eq(sigaction(SIGBUS, &below, NULL), 0);
	ddfs_mc_fini();
	ck_assert_int_eq(sigaction(SIGBUS, NULL, &now), 0);
	ck_assert(now.sa_handler == SIG_DFL);
}
END_TEST

/* ---- signals from elsewhere in the midst of copies ------------------------------------------ */

static atomic_bool stop;

static void *sender_main(void *arg)
{
	while (!stop && CAN_BE_SENT_ANY_TIME) {
		pthread_kill(*(pthread_t *)arg, SIGBUS);
		usleep(20); /* else nothing but the handler ever runs */
	}
	return NULL;
}

START_TEST(test_sent_meanwhile)
{
	pthread_t self = pthread_self(), sender;

	install(see, 0);
	ck_assert_int_eq(ddfs_mc_init(), 0);
	ck_assert_int_eq(pthread_create(&sender, NULL, sender_main, &self), 0);
	while (nr_called < (CAN_BE_SENT_ANY_TIME ? 2000 : 0)) {
		if (!copy_survives())
			ck_abort_msg("signal %d", nr_called);
		/* What most of them come to. */
		for (int i = 0; i < 2000; i++)
			if (ddfs_probe_mc(good, PAGE))
				ck_abort_msg("signal %d", nr_called);
		for (int i = 0; i < 200; i++)
			if (ddfs_copy_mc(buf, good, PAGE) || ddfs_copy_mc(buf + 1, good, PAGE))
				ck_abort_msg("signal %d", nr_called);
	}
	stop = true;
	pthread_join(sender, NULL);
	ddfs_mc_fini();
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "default", test_default, 0 },
		{ "ignored", test_ignored, 0 },
		{ "once", test_once, 0 },
		{ "fini", test_fini, 0 },
		{ "handler before", test_handler_before, 0 },
		{ "handler that nests", test_handler_that_nests, 0 },
		{ "plain handler before", test_plain_handler_before, 0 },
		{ "sent before", test_sent_before, 0 },
		{ "destination", test_destination, 0 },
		{ "handler after", test_handler_after, 0 },
		{ "sent meanwhile", test_sent_meanwhile, 0 },
	};

	setup();
	return suite_run("device_mc_signal", cases, sizeof(cases) / sizeof(cases[0]));
}
