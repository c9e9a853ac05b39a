/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing a file with direct I/O. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

#define MIB (UINT64_C(1) << 20)
/* No operation is over sooner than that. */
#define NSEC_MIN 1000

struct job {
	const char *path;
	bool is_write, is_random;
	size_t bytes;
	uint64_t nsec; /* how long it is to run */
	pthread_barrier_t *start;
	uint64_t seed;
	pthread_t thread;
	struct samples samples;
};

static void *buffer_new(size_t bytes)
{
	void *buf;

	if (posix_memalign(&buf, 4096, bytes))
		errx(1, "no memory");
	memset(buf, 0x5a, bytes);
	return buf;
}

static int open_direct(const char *path, bool is_write, uint64_t *size)
{
	int fd = open(path, (is_write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", path);
	*size = (uint64_t)st.st_size;
	return fd;
}

static void one(int fd, bool is_write, void *buf, size_t bytes, uint64_t off)
{
	ssize_t n =
		is_write ? pwrite(fd, buf, bytes, (off_t)off) : pread(fd, buf, bytes, (off_t)off);

	if (n != (ssize_t)bytes)
		errx(1, "%s of %zu bytes at %llu: %s", is_write ? "write" : "read", bytes,
			(unsigned long long)off, n < 0 ? strerror(errno) : "short");
}

static void *job_run(void *arg)
{
	struct job *j = arg;
	uint64_t size, blocks, block = 0, now, then, end;
	int fd = open_direct(j->path, j->is_write, &size);
	void *buf = buffer_new(j->bytes);

	blocks = size / j->bytes;
	pthread_barrier_wait(j->start);
	now = now_nsec();
	end = now + j->nsec;
	while (now < end) {
		block = (j->is_random ? random_next(&j->seed) : block + 1) % blocks;
		one(fd, j->is_write, buf, j->bytes, block * j->bytes);
		then = now;
		now = now_nsec();
		samples_add(&j->samples, now - then);
	}
	free(buf);
	close(fd);
	return NULL;
}

static void jobs_run(struct job *jobs, uint64_t nr)
{
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, (unsigned int)nr);
	for (uint64_t i = 0; i < nr; i++) {
		jobs[i].start = &start;
		samples_init(&jobs[i].samples, jobs[i].nsec / NSEC_MIN);
		if (pthread_create(&jobs[i].thread, NULL, job_run, &jobs[i]))
			errx(1, "cannot start a thread");
	}
	for (uint64_t i = 0; i < nr; i++)
		pthread_join(jobs[i].thread, NULL);
	pthread_barrier_destroy(&start);
}

void workload_data(char **argv)
{
	uint64_t nr = number(argv[4]), nsec = number(argv[5]) * 1000000;
	struct job *jobs = calloc(nr, sizeof(*jobs));
	struct samples all;

	if (!jobs)
		errx(1, "no memory");
	for (uint64_t i = 0; i < nr; i++)
		jobs[i] = (struct job){
			.path = argv[0],
			.is_write = !strcmp(argv[1], "write"),
			.is_random = !strcmp(argv[2], "random"),
			.bytes = number(argv[3]),
			.nsec = nsec,
			.seed = 88172645463325252 + i * 1000003,
		};
	jobs_run(jobs, nr);
	samples_init(&all, nr * nsec / NSEC_MIN);
	for (uint64_t i = 0; i < nr; i++) {
		samples_join(&all, &jobs[i].samples);
		samples_fini(&jobs[i].samples);
	}
	samples_print(&all, argv[1], nsec);
	samples_fini(&all);
	free(jobs);
}

void workload_fill(char **argv)
{
	uint64_t mib = number(argv[1]);
	int fd = open(argv[0], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	void *buf = buffer_new(MIB);

	if (fd < 0)
		err(1, "%s", argv[0]);
	for (uint64_t i = 0; i < mib; i++)
		one(fd, true, buf, MIB, i * MIB);
	if (fsync(fd) < 0)
		err(1, "%s", argv[0]);
	close(fd);
	free(buf);
}

/* ---- extents -------------------------------------------------------------------------------- */

/* Blocks 0, 2, 4 ... so that no two of them make one extent; or all, in one go. */
static void extents_make(const char *path, uint64_t nr, bool many)
{
	size_t bytes = many ? 4096 : MIB;
	uint64_t size = nr * 8192, step = many ? 8192 : MIB;
	void *buf = buffer_new(bytes);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || (!many && fallocate(fd, 0, 0, (off_t)size) < 0))
		err(1, "%s", path);
	for (uint64_t off = 0; off + bytes <= size; off += step)
		one(fd, true, buf, bytes, off);
	if (ftruncate(fd, (off_t)size) < 0)
		err(1, "%s", path);
	free(buf);
	close(fd);
}

static void extents_read(const char *path, const char *name, uint64_t nr, uint64_t msec)
{
	uint64_t size, seed = 88172645463325252, start, now, then, end;
	int fd = open_direct(path, false, &size);
	void *buf = buffer_new(4096);
	struct samples s;

	samples_init(&s, msec * 1000000 / NSEC_MIN);
	now = start = now_nsec();
	end = start + msec * 1000000;
	while (now < end) {
		one(fd, false, buf, 4096, random_next(&seed) % nr * 8192);
		then = now;
		now = now_nsec();
		samples_add(&s, now - then);
	}
	samples_print(&s, name, now - start);
	samples_fini(&s);
	free(buf);
	close(fd);
}

void workload_extents(char **argv)
{
	uint64_t nr = number(argv[2]), msec = number(argv[3]), rounds = number(argv[4]);

	extents_make(argv[0], nr, false);
	extents_make(argv[1], nr, true);
	for (uint64_t i = 0; i < rounds; i++) {
		extents_read(argv[i & 1], i & 1 ? "many" : "one", nr, msec);
		extents_read(argv[~i & 1], i & 1 ? "one" : "many", nr, msec);
	}
}
