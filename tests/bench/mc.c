/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ddfs_bench_mc IMAGE MSEC ROUNDS: what it costs to survive a machine check when there is none.
 *
 * Copies beside memcpy, and probes beside a plain loop that loads a word of each line, from memory
 * that is in the cache and from memory that is not; a guard beside the look-up that it is around.
 * The image must be in memory, and at least 256 MiB long; it is formatted. All are measured by
 * turns, each for MSEC milliseconds a turn; a line of JSON for each kind and size has the
 * nanoseconds that each took at best in each round.
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/guard.h"
#include "fs/mkfs.h"
#include "src/device/device.h"
#include "src/device/mc.h"
#include "tests/bench/samples.h"

#define LINE_BYTES  64
#define MOST_BYTES  (UINT64_C(1) << 20)
#define LEAST_BYTES (UINT64_C(4) << 10)
#define SLICES	    16 /* of a turn; the fastest counts */

/* What a call works on; each way has it to itself for a while. */
struct work {
	const uint8_t *memory;
	uint64_t memory_bytes; /* of which ranges are taken by turns: all in the cache if few */
	uint64_t off;
	uint64_t len;
	uint8_t *dst;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
};

struct way {
	const char *name;
	void (*once)(struct work *w);
};

static uint64_t nr_lost; /* keeps what is measured from being optimised away */

static const uint8_t *next_range(struct work *w)
{
	w->off = w->off + 2 * w->len > w->memory_bytes ? 0 : w->off + w->len;
	return w->memory + w->off;
}

static void copy_own(struct work *w)
{
	nr_lost += ddfs_copy_mc(w->dst, next_range(w), w->len);
}

static void copy_plain(struct work *w)
{
	memcpy(w->dst, next_range(w), w->len);
	__asm__ volatile("" : : "r"(w->dst) : "memory");
}

static void probe_own(struct work *w)
{
	nr_lost += ddfs_probe_mc(next_range(w), w->len);
}

static void probe_plain(struct work *w)
{
	const volatile uint8_t *at = next_range(w);

	for (uint64_t i = 0; i < w->len; i += LINE_BYTES)
		(void)at[i];
}

static const char name[] = "some-name";

static void look_up(struct work *w)
{
	struct ddfs_entry e;

	if (ddfs_lookup(w->root, name, strlen(name), &e))
		errx(1, "look-up");
}

static int nothing(void)
{
	__asm__ volatile("" : : : "memory");
	return 0;
}

static void guard(struct work *w)
{
	nr_lost += (uint64_t)DDFS_GUARDED(w->fs, nothing());
}

/* Nanoseconds of a call, over at least so many. */
static double slice(struct work *w, const struct way *way, uint64_t batch, uint64_t nsec)
{
	uint64_t start = now_nsec(), nr = 0, now;

	do {
		for (uint64_t i = 0; i < batch; i++)
			way->once(w);
		nr += batch;
		now = now_nsec();
	} while (now - start < nsec);
	return (double)(now - start) / (double)nr;
}

/* Of two ways by turns: the fastest slice of each. */
static void measure(struct work *w, const struct way ways[2], uint64_t msec, double best[2])
{
	uint64_t batch = w->len < MOST_BYTES ? MOST_BYTES / w->len : 1;

	best[0] = best[1] = 1e18;
	for (unsigned int s = 0; s < 2 * SLICES; s++) {
		unsigned int i = (s + s / 2) % 2; /* each comes after each */
		double t = slice(w, &ways[i], batch, msec * 1000000 / SLICES);

		best[i] = t < best[i] ? t : best[i];
	}
}

struct plan {
	uint64_t msec, rounds;
};

static void print_line(struct work *w, const char *what, const struct way ways[2], struct plan p)
{
	double best[2];

	printf("{\"what\": \"%s\", \"bytes\": %llu, \"rounds\": [", what,
		(unsigned long long)w->len);
	for (uint64_t i = 0; i < p.rounds; i++) {
		measure(w, ways, p.msec, best);
		printf("%s{\"%s\": %.2f, \"%s\": %.2f}", i ? ", " : "", ways[0].name, best[0],
			ways[1].name, best[1]);
	}
	printf("]}\n");
	fflush(stdout);
}

static void copies_and_probes(struct work *w, bool cold, struct plan p)
{
	static const struct way copies[] = { { "own", copy_own }, { "memcpy", copy_plain } };
	static const struct way probes[] = { { "own", probe_own }, { "loads", probe_plain } };
	uint64_t all = w->memory_bytes;

	for (w->len = LEAST_BYTES; w->len <= MOST_BYTES; w->len *= 2) {
		w->memory_bytes = cold ? all : w->len;
		print_line(w, cold ? "copy cold" : "copy hot", copies, p);
		if (w->len == LEAST_BYTES || w->len == MOST_BYTES)
			print_line(w, cold ? "probe cold" : "probe hot", probes, p);
	}
	w->memory_bytes = all;
}

static void make_filesystem(struct work *w, struct ddfs_media *m)
{
	const struct ddfs_fs_options options = { .atime = DDFS_ATIME_RELATIME };
	const struct ddfs_mkfs mkfs = { .label = "bench" };
	struct ddfs_geometry g;
	struct ddfs_entry e;

	if (ddfs_geometry_init(m->size, m->align_bytes, false, &g) || ddfs_mkfs(m, &mkfs, &g) ||
		ddfs_fs_open(m, &options, &w->fs) ||
		ddfs_inode_get(w->fs, DDFS_ID_ROOT, &w->root) ||
		ddfs_create(w->root, name, strlen(name),
			&(struct ddfs_new){ .mode = S_IFREG | 0644 }, &e, NULL))
		errx(1, "no filesystem");
}

static void guards(struct work *w, struct ddfs_media *m, struct plan p)
{
	static const struct way ways[] = { { "guard", guard }, { "look-up", look_up } };

	make_filesystem(w, m);
	w->len = 1024;
	print_line(w, "guard", ways, p);
	ddfs_inode_put(w->root);
	ddfs_fs_close(w->fs);
}

int main(int argc, char **argv)
{
	const struct ddfs_device_options opt = { .persistence = DDFS_PERSISTENCE_AUTO };
	struct ddfs_device *dev;
	struct ddfs_media *m;
	struct work w = { .off = 0 };
	struct plan p;

	if (argc != 4)
		errx(1, "usage: ddfs_bench_mc IMAGE MSEC ROUNDS");
	p.msec = strtoull(argv[2], NULL, 10);
	p.rounds = strtoull(argv[3], NULL, 10);
	w.dst = aligned_alloc(4096, MOST_BYTES);
	if (!w.dst || ddfs_device_open(argv[1], &opt, &dev))
		errx(1, "%s: can't be opened", argv[1]);
	m = ddfs_device_media(dev);
	m->ops->set(m, 0, 7, m->size);
	memset(w.dst, 1, MOST_BYTES);
	w.memory = m->base;
	w.memory_bytes = m->size;
	copies_and_probes(&w, false, p);
	copies_and_probes(&w, true, p);
	guards(&w, m, p);
	ddfs_device_close(dev);
	free(w.dst);
	return nr_lost != 0;
}
