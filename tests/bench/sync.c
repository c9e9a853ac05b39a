/* SPDX-License-Identifier: BSD-3-Clause */
/* Appending and syncing, as a log of a database does. */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

#define BLOCK_BYTES 4096
#define FILE_BYTES  (32 << 20) /* then it begins anew */
#define NSEC_MIN    1000       /* no append and sync is faster */

struct appender {
	pthread_t thread;
	int fd;
	uint64_t end; /* nanoseconds */
	struct samples samples;
};

static void *append(void *arg)
{
	struct appender *a = arg;
	static const char block[BLOCK_BYTES];
	uint64_t start = now_nsec(), now = start;

	for (off_t off = 0; now < a->end; off += BLOCK_BYTES) {
		if (off == FILE_BYTES) {
			off = 0;
			if (ftruncate(a->fd, 0) < 0)
				err(1, "ftruncate");
		}
		start = now_nsec();
		if (pwrite(a->fd, block, BLOCK_BYTES, off) != BLOCK_BYTES || fsync(a->fd) < 0)
			err(1, "append");
		now = now_nsec();
		samples_add(&a->samples, now - start);
	}
	return NULL;
}

static void appender_start(struct appender *a, const char *path, uint64_t i, uint64_t nsec)
{
	char *name;

	if (asprintf(&name, "%s.%llu", path, (unsigned long long)i) < 0)
		err(1, "memory");
	a->fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (a->fd < 0)
		err(1, "%s", name);
	free(name);
	samples_init(&a->samples, nsec / NSEC_MIN);
	a->end = now_nsec() + nsec;
	if (pthread_create(&a->thread, NULL, append, a))
		errx(1, "no thread");
}

void workload_sync(char **argv)
{
	uint64_t nr = number(argv[1]), nsec = number(argv[2]) * 1000000, start = now_nsec();
	struct appender *a = calloc(nr, sizeof(*a));
	struct samples all;

	if (!a)
		err(1, "memory");
	samples_init(&all, nr * nsec / NSEC_MIN);
	for (uint64_t i = 0; i < nr; i++)
		appender_start(&a[i], argv[0], i, nsec);
	for (uint64_t i = 0; i < nr; i++) {
		pthread_join(a[i].thread, NULL);
		close(a[i].fd);
		samples_join(&all, &a[i].samples);
		samples_fini(&a[i].samples);
	}
	samples_print(&all, "sync", now_nsec() - start);
	samples_fini(&all);
	free(a);
}
