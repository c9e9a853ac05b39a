/* SPDX-License-Identifier: BSD-3-Clause */
/* What pins cost: their own time, memory of the daemon, and the waiters that they make wait. */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/devdaxfs_ioctl.h"
#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

/* No operation is over sooner than that. */
#define NSEC_MIN 1000
/* Of a thread that makes one system call. */
#define STACK_BYTES (64u << 10)

/* ---- one at a time -------------------------------------------------------------------------- */

static uint64_t pin(int fd, uint64_t off, uint64_t len)
{
	struct ddfs_ioc_pin p = { .off = off, .len = len, .mode = DDFS_IOC_PIN_READ };

	if (ioctl(fd, DDFS_IOC_PIN, &p) < 0)
		err(1, "DDFS_IOC_PIN of %llu bytes at %llu", (unsigned long long)len,
			(unsigned long long)off);
	return p.id;
}

static void unpin(int fd, uint64_t id)
{
	if (ioctl(fd, DDFS_IOC_UNPIN, &id) < 0)
		err(1, "DDFS_IOC_UNPIN");
}

static void pin_and_unpin(int fd, uint64_t off, uint64_t len)
{
	unpin(fd, pin(fd, off, len));
}

static void empty_twice(int fd, uint64_t off, uint64_t len)
{
	(void)off;
	(void)len;
	if (ioctl(fd, BENCH_IOC_EMPTY) < 0 || ioctl(fd, BENCH_IOC_EMPTY) < 0)
		err(1, "BENCH_IOC_EMPTY");
}

static int file_open(const char *path, int flags, uint64_t *size)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (end < 0)
		err(1, "%s", path);
	*size = (uint64_t)end;
	return fd;
}

static void repeat(const char *name, const char *path, uint64_t bytes, uint64_t msec,
	void (*one)(int fd, uint64_t off, uint64_t len))
{
	uint64_t size, seed = 88172645463325252, start, now, then, end;
	int fd = file_open(path, O_RDONLY, &size);
	struct samples s;

	if (size < bytes)
		errx(1, "%s is too small", path);
	samples_init(&s, msec * 1000000 / NSEC_MIN);
	now = start = now_nsec();
	end = start + msec * 1000000;
	while (now < end) {
		one(fd, random_next(&seed) % (size / bytes) * bytes, bytes);
		then = now;
		now = now_nsec();
		samples_add(&s, now - then);
	}
	samples_print(&s, name, now - start);
	samples_fini(&s);
	close(fd);
}

void workload_pin(char **argv)
{
	repeat("pin", argv[0], number(argv[1]), number(argv[2]), pin_and_unpin);
}

void workload_ioctl(char **argv)
{
	repeat("ioctl", argv[0], 4096, number(argv[1]), empty_twice);
}

/* ---- many, held ----------------------------------------------------------------------------- */

/* Until whoever started us has seen that we are ready, and closes our input. */
static void hold(void)
{
	char byte;

	printf("{\"op\": \"ready\"}\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

void workload_hold(char **argv)
{
	uint64_t nr = number(argv[1]), step = number(argv[2]), size;
	int fd = file_open(argv[0], O_RDONLY, &size);

	for (uint64_t i = 0; i < nr; i++)
		pin(fd, i * step, 4096);
	hold();
	close(fd);
}

/* ---- many that wait ------------------------------------------------------------------------- */

struct waiter {
	int fd;
	uint64_t pin;
	pthread_t thread;
};

static void *wait_for_pin(void *arg)
{
	struct waiter *w = arg;

	if (ftruncate(w->fd, 0) < 0)
		err(1, "ftruncate");
	return NULL;
}

static void waiter_start(struct waiter *w, const char *dir, uint64_t i, const pthread_attr_t *attr)
{
	char path[4096];
	uint64_t size;

	snprintf(path, sizeof(path), "%s/w%llu", dir, (unsigned long long)i);
	w->fd = file_open(path, O_RDWR | O_CREAT, &size);
	if (pwrite(w->fd, path, 1, 0) != 1)
		err(1, "%s", path);
	w->pin = pin(w->fd, 0, 1);
	if (pthread_create(&w->thread, attr, wait_for_pin, w))
		errx(1, "cannot start thread %llu", (unsigned long long)i);
}

static void wait_for_breaks(const char *root, uint64_t nr)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ddfs_ioc_pin_stats s;

	do {
		usleep(1000);
		if (fd < 0 || ioctl(fd, DDFS_IOC_PIN_STATS, &s) < 0)
			err(1, "%s", root);
	} while (s.nr_breaks < nr);
	close(fd);
}

void workload_park(char **argv)
{
	uint64_t nr = number(argv[1]);
	struct waiter *waiters = calloc(nr, sizeof(*waiters));
	struct rlimit files = { nr + 64, nr + 64 };
	pthread_attr_t attr;

	if (!waiters || setrlimit(RLIMIT_NOFILE, &files) < 0)
		err(1, "%llu waiters", (unsigned long long)nr);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (uint64_t i = 0; i < nr; i++)
		waiter_start(&waiters[i], argv[0], i, &attr);
	wait_for_breaks(argv[0], nr);
	hold();
	for (uint64_t i = 0; i < nr; i++)
		unpin(waiters[i].fd, waiters[i].pin);
	for (uint64_t i = 0; i < nr; i++) {
		pthread_join(waiters[i].thread, NULL);
		close(waiters[i].fd);
	}
	free(waiters);
}
