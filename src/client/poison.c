/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults of mapped memory, told as what they are of a file. */
#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "src/client/error.h"
#include "src/client/place.h"
#include "src/client/process.h"
#include "src/client/readers.h"

#define PAGE_BYTES ((uintptr_t)4096)

/* Whom to tell. Never changed. */
struct hook {
	struct ddfs_client_retired retired; /* first */
	int (*fn)(const struct ddfs_poison *poison, void *arg);
	void *arg;
};

/* What stood before us. */
struct earlier {
	struct ddfs_client_retired retired; /* first */
	struct sigaction action;	    /* never changed */
	atomic_bool is_spent;		    /* SA_RESETHAND, and it has been called */
};

/* A signal's action is the process's. Changed with its lock held, read as readers.h says. */
static _Atomic(struct hook *) hook;
static _Atomic(struct earlier *) earlier; /* stays when we go: we may be in the middle of a call */
static bool is_installed;		  /* protected by the process's lock */

/* ---- looking up ----------------------------------------------------------------------------- */

/* The aligned span of that many bytes, a power of two, around addr, as far as it is the place's. */
static void describe(const struct ddfs_client_place *place, const void *addr, uintptr_t bytes,
	struct ddfs_poison *out)
{
	uintptr_t first = (uintptr_t)addr & -bytes, last = first + (bytes - 1);

	if (first < place->base)
		first = place->base;
	if (last - place->base >= place->len)
		last = place->base + (place->len - 1);
	*out = (struct ddfs_poison){
		.addr = addr,
		.mapping = place->mapping,
		.file_off = place->file_off + (first - place->base),
		.len = last - first + 1,
		.path = place->path,
	};
}

int ddfs_poison_find(const void *addr, struct ddfs_poison *out)
{
	const struct ddfs_client_place *place;

	ddfs_client_readers_enter();
	place = ddfs_client_place_find(addr);
	if (place)
		describe(place, addr, PAGE_BYTES, out);
	ddfs_client_readers_leave();
	return place ? 0 : -ENOENT;
}

/* ---- the handler ---------------------------------------------------------------------------- */

/* Of memory that was touched, or is known to be lost; not sent by a process, nor about a bus. */
static bool is_of_memory(const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code != BUS_ADRALN;
}

static uintptr_t span_of(const siginfo_t *info)
{
	bool has_span = info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO;
	unsigned int shift = has_span ? (unsigned int)info->si_addr_lsb : 0;

	return shift > 12 && shift < 48 ? (uintptr_t)1 << shift : PAGE_BYTES;
}

/* The name is copied to our stack: fn may jump out of the handler, so it runs outside of what
 * readers are counted for, and another thread may delete the mapping of a notice. */
static bool tell(const siginfo_t *info)
{
	const struct ddfs_client_place *place = NULL;
	struct hook to = { .fn = NULL }, *found;
	struct ddfs_poison poison;
	size_t size;

	ddfs_client_readers_enter();
	found = atomic_load(&hook);
	if (found)
		place = ddfs_client_place_find(info->si_addr);
	if (place) {
		to = *found;
		describe(place, info->si_addr, span_of(info), &poison);
		size = strlen(place->path) + 1;
		poison.path = memcpy(alloca(size), place->path, size);
		poison.is_notice = info->si_code == BUS_MCEERR_AO;
	}
	ddfs_client_readers_leave();
	return place && to.fn(&poison, to.arg);
}

/* What the kernel does without a handler, with the same to be found in the core file. Not left to
 * the access's failing again: memory that was lost and is given back by now may be read. */
static void act_by_default(siginfo_t *info)
{
	signal(SIGBUS, SIG_DFL);
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, info))
		raise(SIGBUS);
}

static void pass_on(int number, siginfo_t *info, void *context)
{
	struct sigaction to = { .sa_handler = SIG_DFL };
	struct earlier *found;

	ddfs_client_readers_enter();
	found = atomic_load(&earlier);
	if (found &&
		!(found->action.sa_flags & SA_RESETHAND && atomic_exchange(&found->is_spent, true)))
		to = found->action;
	ddfs_client_readers_leave();
	if (to.sa_flags & SA_SIGINFO)
		to.sa_sigaction(number, info, context);
	else if (to.sa_handler == SIG_DFL)
		act_by_default(info);
	else if (to.sa_handler != SIG_IGN)
		to.sa_handler(number);
	else if (is_of_memory(info) && info->si_code != BUS_MCEERR_AO)
		act_by_default(info); /* such a one cannot be ignored */
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	int error = errno;

	if (!is_of_memory(info) || !tell(info))
		pass_on(number, info, context);
	errno = error;
}

/* ---- standing there ------------------------------------------------------------------------- */

static bool is_ours(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_sigbus;
}

/* The earlier one is known before it can be needed. */
static int install(void)
{
	struct earlier *e, *before;
	struct sigaction ours;

	if (is_installed)
		return 0;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	sigaction(SIGBUS, NULL, &e->action);
	before = atomic_exchange(&earlier, e);
	if (before)
		ddfs_client_readers_retire(&before->retired);
	ours = e->action;
	ours.sa_sigaction = on_sigbus;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (e->action.sa_flags & (SA_NODEFER | SA_RESTART));
	sigaction(SIGBUS, &ours, NULL);
	is_installed = true;
	return 0;
}

/* Who has come to stand before us calls us, maybe; then we stay, and pass all on. */
static void uninstall(void)
{
	struct sigaction now;

	if (!is_installed)
		return;
	sigaction(SIGBUS, NULL, &now);
	if (!is_ours(&now))
		return;
	sigaction(SIGBUS, &atomic_load(&earlier)->action, NULL);
	is_installed = false;
}

static int set(struct hook *wanted)
{
	struct hook *before;
	int ret = wanted ? install() : 0;

	if (ret)
		return ret;
	before = atomic_exchange(&hook, wanted);
	if (!wanted)
		uninstall();
	if (before)
		ddfs_client_readers_retire(&before->retired);
	return 0;
}

int ddfs_poison_on_hit(int (*fn)(const struct ddfs_poison *poison, void *arg), void *arg)
{
	struct hook *wanted = NULL;
	int ret = ddfs_client_process_init();

	if (ret)
		return ret;
	if (fn) {
		wanted = malloc(sizeof(*wanted));
		if (!wanted)
			return ddfs_client_error(-ENOMEM, "no memory for a signal handler");
		*wanted = (struct hook){ .fn = fn, .arg = arg };
	}
	ddfs_client_process_lock();
	ret = set(wanted);
	ddfs_client_process_unlock();
	if (ret) {
		free(wanted);
		return ddfs_client_error(ret, "no memory for a signal handler");
	}
	return 0;
}
