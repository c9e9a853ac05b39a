/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "src/client/error.h"
#include "src/client/lease.h"
#include "src/client/process.h"
#include "src/client/recall.h"

#define WAKE_ID 0 /* no lease's */

/* Protected by the process's lock. */
static struct {
	LIST_HEAD(, ddfs_lease) leases; /* that have a callback */
	uint64_t last_id;  /* none is used twice: an event is never taken for another's */
	uint64_t calling;  /* whose callback runs now; 0: nobody's */
	uint64_t nr_forks; /* by which a thread knows that it is its own fork's copy */
	bool is_running;   /* the thread, whose the descriptors are */
	pthread_t thread;
	int epoll_fd;
	int wake_fd;
} recall;

/* ---- the thread ----------------------------------------------------------------------------- */

static void call(uint64_t id)
{
	void (*fn)(struct ddfs_lease * lease, void *arg);
	struct ddfs_lease *lease;
	void *arg;

	LIST_FOREACH(lease, &recall.leases, callback.of_thread)
		if (lease->callback.id == id)
			break;
	if (!lease)
		return;
	fn = lease->callback.fn;
	arg = lease->callback.arg;
	recall.calling = id;
	ddfs_client_process_unlock();
	fn(lease, arg);
	ddfs_client_process_lock();
	recall.calling = 0;
	ddfs_client_process_wake();
}

static void wait_event(int epoll_fd)
{
	struct epoll_event event;
	int nr;

	ddfs_client_process_unlock();
	nr = epoll_wait(epoll_fd, &event, 1, -1);
	ddfs_client_process_lock();
	/* not EPOLLERR alone: the daemon's end is no recall */
	if (nr == 1 && event.data.u64 != WAKE_ID && (event.events & EPOLLPRI))
		call(event.data.u64);
}

static void close_descriptors(void)
{
	close(recall.epoll_fd);
	close(recall.wake_fd);
	recall.is_running = false;
}

static void *run(void *unused)
{
	uint64_t nr_forks;
	int epoll_fd;

	(void)unused;
	ddfs_client_process_lock();
	nr_forks = recall.nr_forks;
	epoll_fd = recall.epoll_fd;
	while (recall.nr_forks == nr_forks && !LIST_EMPTY(&recall.leases))
		wait_event(epoll_fd);
	if (recall.nr_forks == nr_forks)
		close_descriptors();
	ddfs_client_process_unlock();
	return NULL;
}

/* Signals are the program's own threads' matter, but for those that its callback itself raises. */
static int create_thread(void)
{
	static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	sigset_t all, before;
	size_t i;
	int ret;

	sigfillset(&all);
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = -pthread_create(&recall.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return ret;
	pthread_setname_np(recall.thread, "ddfs-recall");
	pthread_detach(recall.thread);
	return 0;
}

static int watch(int fd, uint32_t events, uint64_t id)
{
	/* edges: a recall is told once, not as long as it lasts */
	struct epoll_event event = { .events = events | EPOLLET, .data.u64 = id };

	return epoll_ctl(recall.epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int start(void)
{
	int ret;

	if (recall.is_running)
		return 0;
	recall.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	recall.wake_fd = eventfd(0, EFD_CLOEXEC);
	ret = recall.epoll_fd < 0 || recall.wake_fd < 0 ? -errno : 0;
	if (!ret)
		ret = watch(recall.wake_fd, EPOLLIN, WAKE_ID);
	if (!ret)
		ret = create_thread();
	if (ret)
		close_descriptors();
	else
		recall.is_running = true;
	return ret;
}

/* It may have nothing left to do. */
static void wake(void)
{
	if (recall.is_running && LIST_EMPTY(&recall.leases))
		eventfd_write(recall.wake_fd, 1);
}

/* ---- callbacks ------------------------------------------------------------------------------ */

static int set(struct ddfs_lease *lease, void (*fn)(struct ddfs_lease *lease, void *arg), void *arg)
{
	struct ddfs_client_callback *c = &lease->callback;
	bool is_new = !c->fn;
	int ret = 0;

	if (!c->id)
		c->id = ++recall.last_id;
	c->fn = fn;
	c->arg = arg;
	if (!is_new)
		return 0;
	LIST_INSERT_HEAD(&recall.leases, lease, callback.of_thread);
	ret = start();
	if (!ret)
		ret = watch(lease->fd, EPOLLPRI, c->id);
	if (ret) {
		LIST_REMOVE(lease, callback.of_thread);
		c->fn = NULL;
		wake();
	}
	return ret;
}

static void clear(struct ddfs_lease *lease)
{
	struct ddfs_client_callback *c = &lease->callback;

	if (c->fn) {
		LIST_REMOVE(lease, callback.of_thread);
		c->fn = NULL;
		epoll_ctl(recall.epoll_fd, EPOLL_CTL_DEL, lease->fd, NULL);
		wake();
	}
	while (c->id && recall.calling == c->id && !pthread_equal(recall.thread, pthread_self()))
		ddfs_client_process_wait();
}

int ddfs_lease_on_recall(
	struct ddfs_lease *lease, void (*fn)(struct ddfs_lease *lease, void *arg), void *arg)
{
	int ret = ddfs_client_lease_check(lease);

	if (ret)
		return ret;
	ddfs_client_process_lock();
	if (fn)
		ret = set(lease, fn, arg);
	else
		clear(lease);
	ddfs_client_process_unlock();
	if (ret)
		return ddfs_client_error(ret, "no thread to call back from: %s", strerror(-ret));
	return 0;
}

void ddfs_client_recall_orphan(void)
{
	if (recall.is_running)
		close_descriptors();
	LIST_INIT(&recall.leases);
	recall.calling = 0;
	recall.nr_forks++;
}
