/* SPDX-License-Identifier: BSD-3-Clause */
/* The same memory through a mapping of libdevdaxfs and through one of the device, by turns. */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

#define COPY_BYTES (UINT64_C(1) << 20)
#define LINE_BYTES 64
/* Accesses in one sample: a single one takes less than to read the clock. */
#define BATCH 1000
/* Most samples of one measurement. */
#define SAMPLES_MAX (UINT64_C(1) << 16)

struct view {
	const char *name;
	char *at;
	size_t len;
};

static void copy_from(const struct view *v, char *buf, uint64_t *seed)
{
	memcpy(buf, v->at + random_next(seed) % (v->len / COPY_BYTES) * COPY_BYTES, COPY_BYTES);
}

static void copy_to(const struct view *v, char *buf, uint64_t *seed)
{
	memcpy(v->at + random_next(seed) % (v->len / COPY_BYTES) * COPY_BYTES, buf, COPY_BYTES);
}

static char *random_line(const struct view *v, uint64_t *seed)
{
	return v->at + random_next(seed) % (v->len / LINE_BYTES) * LINE_BYTES;
}

static void load_lines(const struct view *v, char *buf, uint64_t *seed)
{
	for (int i = 0; i < BATCH; i++)
		memcpy(buf + i * LINE_BYTES, random_line(v, seed), LINE_BYTES);
}

static void store_lines(const struct view *v, char *buf, uint64_t *seed)
{
	for (int i = 0; i < BATCH; i++)
		memcpy(random_line(v, seed), buf + i * LINE_BYTES, LINE_BYTES);
}

static const struct {
	const char *name;
	void (*run)(const struct view *v, char *buf, uint64_t *seed);
} accesses[] = {
	{ "copy from", copy_from },
	{ "copy to", copy_to },
	{ "load", load_lines },
	{ "store", store_lines },
};
#define NR_ACCESSES (sizeof(accesses) / sizeof(accesses[0]))

static void measure(const struct view *v, size_t access, char *buf, uint64_t msec, uint64_t seed)
{
	uint64_t start = now_nsec(), now = start, then, end = start + msec * 1000000;
	struct samples s;
	char name[64];

	samples_init(&s, SAMPLES_MAX);
	while (now < end) {
		accesses[access].run(v, buf, &seed);
		/* What was copied is used. */
		__asm__ volatile("" : : "r"(buf) : "memory");
		then = now;
		now = now_nsec();
		samples_add(&s, now - then);
	}
	snprintf(name, sizeof(name), "%s %s", v->name, accesses[access].name);
	samples_print(&s, name, now - start);
	samples_fini(&s);
}

static struct ddfs_mapping *map_by_library(const char *path)
{
	struct ddfs_mapping *m;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	if (ddfs_mapping_new(fd, 0, 0, DDFS_MAP_READ | DDFS_MAP_WRITE, &m))
		errx(1, "%s: %s", path, ddfs_errormsg());
	close(fd);
	return m;
}

/* Where the file lies, of the device itself. */
static struct view map_plainly(const char *device, const struct ddfs_mapping *m)
{
	struct view v = { "plain", NULL, ddfs_mapping_len(m) };
	const struct ddfs_extent_range *e;
	int fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", device);
	if (ddfs_lease_extents(ddfs_mapping_lease(m), &e) != 1)
		errx(1, "the file is not in one piece");
	v.at = mmap(NULL, v.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)e->device_off);
	if (v.at == MAP_FAILED)
		err(1, "mmap of %s", device);
	close(fd);
	return v;
}

void workload_map(char **argv)
{
	uint64_t msec = number(argv[2]), rounds = number(argv[3]);
	struct ddfs_mapping *m = map_by_library(argv[1]);
	struct view plain = map_plainly(argv[0], m);
	struct view library = { "library", ddfs_mapping_address(m), plain.len };
	char *buf = malloc(COPY_BYTES);

	if (!buf)
		errx(1, "no memory");
	/* Both have all their pages. */
	memset(library.at, 1, library.len);
	memset(plain.at, 2, plain.len);
	if (library.at[library.len - 1] != 2)
		errx(1, "%s does not hold what %s has", argv[0], argv[1]);
	for (uint64_t i = 0; i < rounds * NR_ACCESSES; i++) {
		bool other = i / NR_ACCESSES & 1;

		measure(other ? &plain : &library, i % NR_ACCESSES, buf, msec, i + 1);
		measure(other ? &library : &plain, i % NR_ACCESSES, buf, msec, i + 1);
	}
	free(buf);
	munmap(plain.at, plain.len);
	ddfs_mapping_delete(m);
}
