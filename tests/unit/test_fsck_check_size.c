/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A large filesystem: how long a check takes, and that it needs no more memory than 2 bits a block
 * and 16 bytes an inode. DDFS_FSCK_FILES sets how many files (100,000).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fsck/fsck.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define SIZE	      (UINT64_C(64) << 30)
#define FILES_A_DIR   20000u
#define SLACK_BYTES   (1u << 20) /* stacks, the C library, the passes' own */
#define SECONDS_A_MIO 20.0	 /* for a million files, on a slow machine */

/* Of this process, but for the device's own memory, in bytes. */
static uint64_t own_memory(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[128];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fill(struct ram *r, uint64_t nr)
{
	struct ddfs_fs *fs = ram_mount(r, NULL);
	struct ddfs_inode *root = ram_root(fs), *dir = NULL;
	char name[32];

	for (uint64_t i = 0; i < nr; i++) {
		if (i % FILES_A_DIR == 0) {
			if (dir)
				ddfs_inode_put(dir);
			snprintf(name, sizeof(name), "d%llu", (unsigned long long)i);
			dir = tree_make_get(root, name, S_IFDIR | 0755);
		}
		snprintf(name, sizeof(name), "file-%llu", (unsigned long long)i);
		ck_assert_int_eq(tree_make(dir, name, S_IFREG | 0644), 0);
	}
	ddfs_inode_put(dir);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
}

struct watch {
	uint64_t most;
	unsigned int passes; /* a bit for each that was told of */
};

static void look(void *arg, unsigned int pass, uint64_t done, uint64_t total)
{
	uint64_t m = own_memory();
	struct watch *w = arg;

	ck_assert_uint_le(done, total);
	w->passes |= 1u << pass;
	if (m > w->most)
		w->most = m;
}

static void measure(struct ram *r, unsigned int nr_threads, uint64_t nr)
{
	struct watch w = { .most = 0 };
	struct ddfs_fsck_options opt = { .mode = DDFS_FSCK_NO, .nr_threads = nr_threads };
	uint64_t before = own_memory(), bound;
	struct ddfs_fsck_result res;
	double began = now(), took;

	ck_assert_int_eq(ddfs_fsck(&r->media, &opt, &res), 0);
	took = now() - began;
	opt.progress = look;
	opt.arg = &w;
	ck_assert_int_eq(ddfs_fsck(&r->media, &opt, &res), 0);
	ck_assert_uint_eq(res.nr_left, 0);
	ck_assert_uint_eq(res.nr_files, nr);
	ck_assert_uint_eq(w.passes, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5);
	bound = res.nr_blocks / 4 + res.nr_slots * 16;
	printf("# %u threads: %llu files in %.2f s, %llu KiB; 2 bits a block and 16 bytes an inode "
	       "are %llu KiB\n",
		nr_threads, (unsigned long long)nr, took,
		(unsigned long long)(w.most - before) >> 10, (unsigned long long)bound >> 10);
	/* where in the table the inodes lie is half a byte more for each */
	ck_assert_uint_le(w.most - before, bound + res.nr_slots / 2 + SLACK_BYTES);
	ck_assert_msg(took < 1 + SECONDS_A_MIO * (double)nr / 1e6, "%.1f s", took);
}

START_TEST(large)
{
	uint64_t nr = env_number("DDFS_FSCK_FILES", 100000);
	struct ram r;

	ram_mkfs(&r, SIZE, 4096);
	fill(&r, nr);
	measure(&r, 1, nr);
	measure(&r, 0, nr);
	ram_fini(&r);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = { { "64 GiB", large, 0 } };

	return suite_run("fsck_check_size", cases, 1);
}
