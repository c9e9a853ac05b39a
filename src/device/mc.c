/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/device/mc.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/guard_raise.h"
#include "src/device/mc_signal.h"

/*
 * What a process has one of, its reaction to SIGBUS, is kept in variables that it has one of.
 *
 * before is what stood there when ours was installed. It stays as it is from then on, for a handler
 * installed after ours may call ours for ever.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects users and installing */
static unsigned int users;
static bool installed;
static struct sigaction before;
static atomic_bool before_spent; /* it asked to be called once (SA_RESETHAND), and was */

/* ---- faults of others ----------------------------------------------------------------------- */

/* As if nobody had caught it: what faulted faults again, what was sent is sent again. */
static void pass_to_kernel(int sig, siginfo_t *info)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };

	sigaction(sig, &dfl, NULL);
	if (info->si_code <= 0)
		syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), sig, info);
}

/* What the kernel does before it calls a handler. The mask of before comes back with our return. */
static void block_signals(int sig, const ucontext_t *context)
{
	sigset_t mask;

	sigorset(&mask, &context->uc_sigmask, &before.sa_mask);
	if (!(before.sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	bool dfl = !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL;
	bool ign = !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_IGN;

	/* A fault can't be ignored: the kernel too takes the default then. */
	if (ign && info->si_code <= 0)
		return;
	if (before.sa_flags & SA_RESETHAND && atomic_exchange(&before_spent, true))
		dfl = true;
	if (dfl || ign) {
		pass_to_kernel(sig, info);
		return;
	}
	block_signals(sig, context);
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else
		before.sa_handler(sig);
}

/* ---- ours ----------------------------------------------------------------------------------- */

static bool is_notice(const siginfo_t *info)
{
	return info->si_code == BUS_MCEERR_AO;
}

/* Of an instruction of this thread; not sent by a process, which may be any code below. */
static bool is_fault(const siginfo_t *info)
{
	return info->si_code > 0;
}

static bool raise_in_guard(const siginfo_t *info, const ucontext_t *context)
{
	return ddfs_guard_raise(ddfs_mc_base_of(info->si_addr), ddfs_mc_is_store(info, context));
}

/* A jump leaves the signal mask as it is, and comes back to where SIGBUS is not blocked. */
static bool recover(const siginfo_t *info, ucontext_t *context)
{
	pthread_sigmask(SIG_SETMASK, &context->uc_sigmask, NULL);
	return ddfs_mc_recover(info, context) || raise_in_guard(info, context);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	if (is_notice(info))
		ddfs_mc_note(ddfs_mc_base_of(info->si_addr));
	else if (!is_fault(info) || !recover(info, context))
		pass_on(sig, info, context);
	errno = saved;
}

/* ---- installing ----------------------------------------------------------------------------- */

static bool is_ours(const struct sigaction *act)
{
	return act->sa_flags & SA_SIGINFO && act->sa_sigaction == on_sigbus;
}

static int install(void)
{
	struct sigaction ours = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};

	/* First: a signal may come as soon as ours stands. */
	if (sigaction(SIGBUS, NULL, &before))
		return -errno;
	atomic_store(&before_spent, false);
	if (sigaction(SIGBUS, &ours, NULL))
		return -errno;
	installed = true;
	return 0;
}

/* Unless another one stands there now, which may call ours. */
static void uninstall(void)
{
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) || !is_ours(&now))
		return;
	sigaction(SIGBUS, &before, NULL);
	installed = false;
}

int ddfs_mc_init(void)
{
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (!installed)
		ret = install();
	if (!ret)
		users++;
	pthread_mutex_unlock(&lock);
	return ret;
}

void ddfs_mc_fini(void)
{
	pthread_mutex_lock(&lock);
	if (--users == 0)
		uninstall();
	pthread_mutex_unlock(&lock);
}
