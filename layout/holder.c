/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processes that hold pins, each found by any of its threads.
 *
 * A holder stays listed, pins or not, until its process is gone and it was collected: so there is
 * one for each living process, and to pin again is cheap. What is known of a thread is only a hint:
 * the number may be another thread's by now, which two system calls tell.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layout/holder.h"
#include "layout/proc.h"

#define NR_BUCKETS 256u
#define NR_HINTS   1024u

struct ddfs_holder {
	pid_t pid; /* fixed, like pidfd and comm */
	int pidfd;
	char comm[DDFS_PROC_COMM_BYTES];
	_Atomic unsigned int refs; /* one is the list's */
	unsigned int nr_recalled;  /* the layouts' */
	LIST_ENTRY(ddfs_holder) link;
};

LIST_HEAD(holder_list, ddfs_holder);

/* The thread belonged to the holder when it last pinned. */
struct hint {
	pid_t tid;
	struct ddfs_holder *holder; /* listed; NULL: no hint */
};

struct ddfs_holders {
	int epoll; /* fixed; the pidfd of each that is listed, reported once */
	pthread_mutex_t lock;
	/* protected by lock */
	struct holder_list
		buckets[NR_BUCKETS]; /* by pid; several may have one, at most one lives */
	struct hint hints[NR_HINTS]; /* by tid; the last to come has the place */
};

/* ---- one holder ----------------------------------------------------------------------------- */

static void holder_delete(struct ddfs_holder *h)
{
	close(h->pidfd);
	free(h);
}

void ddfs_holder_get(struct ddfs_holder *h)
{
	atomic_fetch_add(&h->refs, 1);
}

void ddfs_holder_put(struct ddfs_holder *h)
{
	if (atomic_fetch_sub(&h->refs, 1) == 1)
		holder_delete(h);
}

unsigned int *ddfs_holder_nr_recalled(struct ddfs_holder *h)
{
	return &h->nr_recalled;
}

pid_t ddfs_holder_pid(const struct ddfs_holder *h)
{
	return h->pid;
}

const char *ddfs_holder_comm(const struct ddfs_holder *h)
{
	return h->comm;
}

bool ddfs_holder_is_gone(const struct ddfs_holder *h)
{
	struct pollfd p = { .fd = h->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

bool ddfs_holder_is_dying(const struct ddfs_holder *h)
{
	bool dying = ddfs_proc_is_dying(h->pid);

	/* While it is not gone its number is its own: then what /proc said was of it. */
	return ddfs_holder_is_gone(h) || dying;
}

int ddfs_holder_kill(struct ddfs_holder *h)
{
	if (ddfs_holder_is_gone(h))
		return -ESRCH;
	if (h->pid == getpid())
		return -EPERM;
	return syscall(SYS_pidfd_send_signal, h->pidfd, SIGKILL, NULL, 0) ? -errno : 0;
}

/* The thread is one of the living process. Asked in this order: as the process was still there
 * at the second question, the number of the first was its own. */
static bool holder_has_thread(const struct ddfs_holder *h, pid_t tid)
{
	/* A process's number is its first thread's. */
	bool exists = tid == h->pid || !syscall(SYS_tgkill, h->pid, tid, 0) || errno == EPERM;

	return exists && !ddfs_holder_is_gone(h);
}

/* With one reference. -ESRCH as ddfs_holders_get. */
static int holder_new(pid_t tid, struct ddfs_holder **out)
{
	struct ddfs_holder *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	err = ddfs_proc_tgid(tid, &h->pid);
	if (err)
		goto free_holder;
	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	if (h->pidfd < 0) {
		err = errno == EINVAL ? -ESRCH : -errno;
		goto free_holder;
	}
	atomic_init(&h->refs, 1);
	ddfs_proc_comm(h->pid, h->comm);
	/* What was read above may have been of others that had these numbers before. */
	if (!holder_has_thread(h, tid)) {
		holder_delete(h);
		return -ESRCH;
	}
	*out = h;
	return 0;

free_holder:
	free(h);
	return err;
}

/* ---- all of them ---------------------------------------------------------------------------- */

int ddfs_holders_new(struct ddfs_holders **out)
{
	struct ddfs_holders *hs = calloc(1, sizeof(*hs));
	int err;

	if (!hs)
		return -ENOMEM;
	hs->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (hs->epoll < 0) {
		err = -errno;
		goto free_holders;
	}
	err = -pthread_mutex_init(&hs->lock, NULL);
	if (err)
		goto close_epoll;
	for (unsigned int i = 0; i < NR_BUCKETS; i++)
		LIST_INIT(&hs->buckets[i]);
	*out = hs;
	return 0;

close_epoll:
	close(hs->epoll);
free_holders:
	free(hs);
	return err;
}

void ddfs_holders_delete(struct ddfs_holders *hs)
{
	for (unsigned int i = 0; i < NR_BUCKETS; i++) {
		while (!LIST_EMPTY(&hs->buckets[i])) {
			struct ddfs_holder *h = LIST_FIRST(&hs->buckets[i]);

			LIST_REMOVE(h, link);
			assert(atomic_load(&h->refs) == 1);
			holder_delete(h);
		}
	}
	pthread_mutex_destroy(&hs->lock);
	close(hs->epoll);
	free(hs);
}

static struct hint *hint_of(struct ddfs_holders *hs, pid_t tid)
{
	return &hs->hints[(unsigned int)tid % NR_HINTS];
}

/* The holder that the thread had when it last pinned, with a reference, if it is still the one. */
static struct ddfs_holder *find_by_hint(struct ddfs_holders *hs, pid_t tid)
{
	struct ddfs_holder *h = NULL;
	struct hint *hint;

	pthread_mutex_lock(&hs->lock);
	hint = hint_of(hs, tid);
	if (hint->tid == tid)
		h = hint->holder;
	if (h)
		ddfs_holder_get(h);
	pthread_mutex_unlock(&hs->lock);
	if (!h || holder_has_thread(h, tid))
		return h;
	ddfs_holder_put(h);
	return NULL;
}

/* The listed holder of the living process pid. hs->lock is held. */
static struct ddfs_holder *find_by_pid(struct ddfs_holders *hs, pid_t pid)
{
	struct ddfs_holder *h;

	LIST_FOREACH(h, &hs->buckets[(unsigned int)pid % NR_BUCKETS], link) {
		if (h->pid == pid && !ddfs_holder_is_gone(h))
			return h;
	}
	return NULL;
}

/* With a second reference, the list's. hs->lock is held. */
static int holder_list(struct ddfs_holders *hs, struct ddfs_holder *h)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.ptr = h };

	if (epoll_ctl(hs->epoll, EPOLL_CTL_ADD, h->pidfd, &event))
		return -errno;
	ddfs_holder_get(h);
	LIST_INSERT_HEAD(&hs->buckets[(unsigned int)h->pid % NR_BUCKETS], h, link);
	return 0;
}

/* h, or the one that is listed for the same process; the other is put. */
static int holder_share(struct ddfs_holders *hs, pid_t tid, struct ddfs_holder **h)
{
	struct ddfs_holder *listed, *unused = NULL;
	int err = 0;

	pthread_mutex_lock(&hs->lock);
	listed = find_by_pid(hs, (*h)->pid);
	if (listed) {
		ddfs_holder_get(listed);
		unused = *h;
		*h = listed;
	} else {
		/* One that is gone may be listed already. */
		err = ddfs_holder_is_gone(*h) ? -ESRCH : holder_list(hs, *h);
		if (err)
			unused = *h;
	}
	if (!err)
		*hint_of(hs, tid) = (struct hint){ .tid = tid, .holder = *h };
	pthread_mutex_unlock(&hs->lock);
	if (unused)
		ddfs_holder_put(unused);
	return err;
}

int ddfs_holders_get(struct ddfs_holders *hs, pid_t tid, struct ddfs_holder **out)
{
	struct ddfs_holder *h;
	int err;

	if (tid <= 0)
		return -ESRCH;
	h = find_by_hint(hs, tid);
	if (!h) {
		err = holder_new(tid, &h);
		if (err)
			return err;
		err = holder_share(hs, tid, &h);
		if (err)
			return err;
	}
	*out = h;
	return 0;
}

int ddfs_holders_fd(const struct ddfs_holders *hs)
{
	return hs->epoll;
}

static void forget_hints(struct ddfs_holders *hs, const struct ddfs_holder *h)
{
	for (unsigned int i = 0; i < NR_HINTS; i++) {
		if (hs->hints[i].holder == h)
			hs->hints[i].holder = NULL;
	}
}

struct ddfs_holder *ddfs_holders_collect(struct ddfs_holders *hs)
{
	struct epoll_event event;
	struct ddfs_holder *h;

	if (epoll_wait(hs->epoll, &event, 1, 0) != 1)
		return NULL;
	h = event.data.ptr;
	pthread_mutex_lock(&hs->lock);
	LIST_REMOVE(h, link);
	forget_hints(hs, h);
	pthread_mutex_unlock(&hs->lock);
	return h; /* the list's reference is the caller's now */
}
