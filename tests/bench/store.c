/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ddfs_bench_store IMAGE MSEC ROUNDS: the door's copies, by size, beside every way that libpmem2
 * has, where lines are flushed and where they need not be.
 *
 * The image must be MEMORY_BYTES long, in memory. Each copy goes behind the one before, so that it
 * finds nothing in the cache, and is followed by a fence. All ways are measured by turns, each for
 * MSEC milliseconds a turn; a line of JSON for each kind of platform and size has the nanoseconds
 * that each took at best in each round.
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/device/door.h"

#define MEMORY_BYTES (UINT64_C(256) << 20)
#define FIRST_BYTES  (UINT64_C(2) << 20) /* what lies before is left alone */
#define SLICES	     32 /* of a turn; the fastest counts: it is shorter than what the scheduler gives */

static const size_t sizes[] = { 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536, 262144,
	1 << 20, 4 << 20, 16 << 20 };
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static uint8_t *source;

/* One way to copy, and the fence. */
struct way {
	const char *name;
	void (*copy)(struct ddfs_door *door, uint64_t off, size_t len);
};

static void copy_own(struct ddfs_door *door, uint64_t off, size_t len)
{
	door->media.ops->copy(&door->media, off, source, len);
	door->media.ops->drain(&door->media);
}

/* libpmem2's functions for the platform that the door has been told it is. */
static void copy_with(struct ddfs_door *door, uint64_t off, size_t len, unsigned int flags)
{
	const struct ddfs_map_functions *f = ddfs_door_policy(door) == DDFS_POLICY_MEMORY_CONTROLLER
						     ? &door->flushed
						     : &door->elided;

	f->memcpy(door->writable + off, source, len, flags);
}

static void copy_default(struct ddfs_door *door, uint64_t off, size_t len)
{
	copy_with(door, off, len, 0);
}

static void copy_temporal(struct ddfs_door *door, uint64_t off, size_t len)
{
	copy_with(door, off, len, PMEM2_F_MEM_TEMPORAL);
}

static void copy_nontemporal(struct ddfs_door *door, uint64_t off, size_t len)
{
	copy_with(door, off, len, PMEM2_F_MEM_NONTEMPORAL);
}

static const struct way ways[] = {
	{ "own", copy_own },
	{ "default", copy_default },
	{ "temporal", copy_temporal },
	{ "nontemporal", copy_nontemporal },
};
#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

static uint64_t now_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Nanoseconds a copy, over at least so many nanoseconds. *off goes on from call to call. */
static double copies(
	struct ddfs_door *door, const struct way *way, size_t len, uint64_t nsec, uint64_t *off)
{
	uint64_t start = now_nsec(), nr = 0, batch = len < 65536 ? 65536 / len : 1, now;

	do {
		for (uint64_t i = 0; i < batch; i++) {
			if (*off + len > MEMORY_BYTES)
				*off = FIRST_BYTES;
			way->copy(door, *off, len);
			*off += len;
		}
		nr += batch;
		now = now_nsec();
	} while (now - start < nsec);
	return (double)(now - start) / (double)nr;
}

/* As long before it counts: what the way before has left dirty in the cache is written back while
 * this one stores, and costs it a tenth. */
static double slice(
	struct ddfs_door *door, const struct way *way, size_t len, uint64_t nsec, uint64_t *off)
{
	copies(door, way, len, nsec, off);
	return copies(door, way, len, nsec, off);
}

/* Of the ways by turns: the fastest slice of each. */
static void measure(struct ddfs_door *door, size_t len, uint64_t msec, double best[NR_WAYS])
{
	uint64_t off = FIRST_BYTES;

	for (size_t w = 0; w < NR_WAYS; w++)
		best[w] = 1e18;
	/* Each comes after each other one. */
	for (unsigned int s = 0; s < SLICES; s++)
		for (size_t i = 0; i < NR_WAYS; i++) {
			size_t w = (s % 2 ? NR_WAYS - i : i + s / 2) % NR_WAYS;
			double t = slice(door, &ways[w], len, msec * 1000000 / SLICES, &off);

			best[w] = t < best[w] ? t : best[w];
		}
}

/* The two kinds of platform, by turns too. */
static const struct mode {
	const char *name;
	enum ddfs_policy policy;
} modes[] = {
	{ "flushed", DDFS_POLICY_MEMORY_CONTROLLER },
	{ "elided", DDFS_POLICY_CPU_CACHE },
};
#define NR_MODES (sizeof(modes) / sizeof(modes[0]))

static void print_line(const struct mode *mode, size_t len, double (*rounds)[NR_MODES][NR_WAYS],
	uint64_t nr_rounds)
{
	size_t m = (size_t)(mode - modes);

	printf("{\"mode\": \"%s\", \"bytes\": %zu, \"rounds\": [", mode->name, len);
	for (uint64_t i = 0; i < nr_rounds; i++) {
		printf("%s{", i ? ", " : "");
		for (size_t w = 0; w < NR_WAYS; w++)
			printf("%s\"%s\": %.2f", w ? ", " : "", ways[w].name, rounds[i][m][w]);
		printf("}");
	}
	printf("]}\n");
	fflush(stdout);
}

/* Nothing of it need survive, so that the policy is changed without the flush of a real switch. */
static void run_size(struct ddfs_door *door, size_t len, uint64_t msec, uint64_t nr_rounds)
{
	double(*rounds)[NR_MODES][NR_WAYS] = calloc(nr_rounds, sizeof(*rounds));

	if (!rounds)
		err(1, "memory");
	for (uint64_t i = 0; i < nr_rounds; i++)
		for (size_t m = 0; m < NR_MODES; m++) {
			atomic_store(&door->policy, modes[m].policy);
			measure(door, len, msec, rounds[i][m]);
		}
	for (size_t m = 0; m < NR_MODES; m++)
		print_line(&modes[m], len, rounds, nr_rounds);
	free(rounds);
}

static void run(const char *image, uint64_t msec, uint64_t nr_rounds)
{
	const struct ddfs_device_options opt = { .persistence = DDFS_PERSISTENCE_CPU_CACHE };
	struct ddfs_device *dev;
	struct ddfs_door *door;
	int ret = ddfs_device_open(image, &opt, &dev);

	if (ret)
		errx(1, "%s: %s", image, strerror(-ret));
	door = (struct ddfs_door *)ddfs_device_media(dev);
	if (door->media.size < MEMORY_BYTES)
		errx(1, "%s: too small", image);
	memset(door->writable + FIRST_BYTES, 1, MEMORY_BYTES - FIRST_BYTES);
	for (size_t i = 0; i < NR_SIZES; i++)
		run_size(door, sizes[i], msec, nr_rounds);
	ddfs_device_close(dev);
}

int main(int argc, char **argv)
{
	uint64_t msec, rounds;

	if (argc != 4)
		errx(1, "usage: ddfs_bench_store IMAGE MSEC ROUNDS");
	msec = strtoull(argv[2], NULL, 10);
	rounds = strtoull(argv[3], NULL, 10);
	source = aligned_alloc(4096, sizes[NR_SIZES - 1]);
	if (!source)
		err(1, "memory");
	memset(source, 7, sizes[NR_SIZES - 1]);
	run(argv[1], msec, rounds);
	free(source);
	return 0;
}
