/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/loop.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "src/daemon/session.h"

/*
 * Of a request buffer: 1 MiB of data behind the two headers of a WRITE. The buffer starts so that
 * the data of a WRITE begins on a page: the kernel then copies page to page.
 */
#define BUF_PAGE  4096
#define BUF_HEAD  (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define BUF_BYTES (FUSE_REQUEST_BYTES + 2 * BUF_PAGE)
/* What libfuse reads at once. */
#define FUSE_REQUEST_BYTES ((1u << 20) + BUF_PAGE)

#define WAKE_SIGNAL	SIGUSR2
#define WAKE_EVERY_NSEC (5 * 1000 * 1000)

struct worker {
	struct ddfs_loop *loop;
	pthread_t thread;
	bool started;
	struct fuse_buf buf;
	atomic_bool ended;
	/* Written by this worker alone, read by anybody. */
	atomic_uint_fast64_t requests[DDFS_LOOP_OPCODES];
};

struct ddfs_loop {
	struct fuse_session *fuse;
	atomic_bool stop;
	int event_fd;
	unsigned int nr_workers;
	struct worker *workers;
};

static void worker_count(struct worker *w)
{
	const struct fuse_in_header *in = w->buf.mem;
	atomic_uint_fast64_t *n = &w->requests[in->opcode % DDFS_LOOP_OPCODES];

	atomic_store_explicit(
		n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void worker_run(struct worker *w)
{
	struct ddfs_loop *loop = w->loop;
	int ret;

	while (!atomic_load_explicit(&loop->stop, memory_order_relaxed)) {
		ret = fuse_session_receive_buf(loop->fuse, &w->buf);
		if (ret == -EINTR || ret == -EAGAIN)
			continue;
		if (ret <= 0)
			return;
		worker_count(w);
		fuse_session_process_buf(loop->fuse, &w->buf);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	worker_run(w);
	atomic_store(&w->ended, true);
	eventfd_write(w->loop->event_fd, 1);
	return NULL;
}

/* cpu -1: wherever the scheduler likes. */
static int worker_create(struct worker *w, int cpu)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int err = pthread_attr_init(&attr);

	if (err)
		return err;
	CPU_ZERO(&set);
	if (cpu >= 0) {
		CPU_SET(cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	err = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	return err;
}

/* Huge pages gained nothing here. */
static int worker_start(struct worker *w, struct ddfs_loop *loop, int cpu)
{
	char *mem =
		mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (mem == MAP_FAILED)
		return -errno;
	w->loop = loop;
	w->buf.mem = mem + BUF_PAGE - BUF_HEAD;
	err = worker_create(w, cpu);
	if (err)
		munmap(mem, BUF_BYTES);
	w->started = !err;
	return -err;
}

static void worker_wake(int sig)
{
	(void)sig; /* being delivered is all it has to do: read(2) returns EINTR */
}

/*
 * A worker may be about to enter read(2) when the signal comes, and would sleep there for good:
 * so it is sent again until the worker has ended.
 */
static void worker_join(struct worker *w)
{
	const struct timespec pause = { .tv_nsec = WAKE_EVERY_NSEC };

	if (!w->started)
		return;
	while (!atomic_load(&w->ended)) {
		pthread_kill(w->thread, WAKE_SIGNAL);
		nanosleep(&pause, NULL);
	}
	pthread_join(w->thread, NULL);
	munmap((char *)w->buf.mem + BUF_HEAD - BUF_PAGE, BUF_BYTES);
}

/* The CPU behind cpu that is in the set. */
static int next_cpu(const cpu_set_t *set, int cpu)
{
	do
		cpu++;
	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, set));
	return cpu;
}

/*
 * One worker for each CPU stays on its CPU. With two CPUs and one client the scheduler's own choice
 * made 45,000 to 78,000 4 KiB reads a second, depending on where it had put the workers last;
 * pinned they made 97,000 each time, and two clients did not get in each other's way.
 */
static int loop_start_workers(struct ddfs_loop *loop, const cpu_set_t *cpus)
{
	struct sigaction wake = { .sa_handler = worker_wake };
	int ret = 0, cpu = -1;

	sigaction(WAKE_SIGNAL, &wake, NULL);
	for (unsigned int i = 0; i < loop->nr_workers && !ret; i++) {
		if (cpus)
			cpu = next_cpu(cpus, cpu);
		ret = worker_start(&loop->workers[i], loop, cpu);
	}
	return ret;
}

static int loop_init(struct ddfs_loop *loop, unsigned int nr_workers)
{
	loop->event_fd = eventfd(0, EFD_CLOEXEC);
	if (loop->event_fd < 0)
		return -errno;
	loop->workers = calloc(nr_workers, sizeof(*loop->workers));
	if (!loop->workers)
		return -ENOMEM;
	loop->nr_workers = nr_workers;
	return 0;
}

int ddfs_loop_start(struct ddfs_session *s, unsigned int nr_threads, struct ddfs_loop **out)
{
	struct ddfs_loop *loop;
	cpu_set_t cpus;
	int ret;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return -errno;
	loop = calloc(1, sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	loop->fuse = ddfs_session_fuse(s);
	ret = loop_init(loop, nr_threads ? nr_threads : (unsigned int)CPU_COUNT(&cpus));
	*out = loop;
	if (!ret)
		ret = loop_start_workers(loop, nr_threads ? NULL : &cpus);
	if (ret) {
		ddfs_loop_stop(loop);
		*out = NULL;
	}
	return ret;
}

int ddfs_loop_fd(const struct ddfs_loop *loop)
{
	return loop->event_fd;
}

void ddfs_loop_stop(struct ddfs_loop *loop)
{
	atomic_store(&loop->stop, true);
	for (unsigned int i = 0; i < loop->nr_workers; i++)
		worker_join(&loop->workers[i]);
	if (loop->event_fd >= 0)
		close(loop->event_fd);
	free(loop->workers);
	free(loop);
}

unsigned int ddfs_loop_threads(const struct ddfs_loop *loop)
{
	return loop->nr_workers;
}

void ddfs_loop_requests(const struct ddfs_loop *loop, uint64_t out[DDFS_LOOP_OPCODES])
{
	for (unsigned int i = 0; i < loop->nr_workers; i++)
		for (unsigned int op = 0; op < DDFS_LOOP_OPCODES; op++)
			out[op] += atomic_load_explicit(
				&loop->workers[i].requests[op], memory_order_relaxed);
}
