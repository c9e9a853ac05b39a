/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large and aligned requests get as few extents as what is free allows: beside a map of the free
 * blocks of its own, the test counts how many it takes at least.
 */
#include <stdlib.h>

#include "fs/extent.h"
#include "tests/unit/rng.h"
#include "tests/unit/space.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

static int compare_lengths(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Lengths, in blocks, of the aligned runs that are free, the longest first; returns how many. */
static size_t free_runs(const struct space *s, uint64_t align, uint64_t *out)
{
	size_t n = 0;

	for (uint64_t i = 0; i < s->fs->nr_blocks; i++) {
		uint64_t from = i;

		while (i < s->fs->nr_blocks && s->is_free[i])
			i++;
		from = (from + align - 1) / align * align;
		if (from < i / align * align)
			out[n++] = i / align * align - from;
	}
	qsort(out, n, sizeof(*out), compare_lengths);
	return n;
}

static unsigned int least_extents(const uint64_t *runs, size_t nr, uint64_t want)
{
	unsigned int n = 0;
	uint64_t sum = 0;

	while (n < nr && sum < want)
		sum += runs[n++];
	ck_assert_uint_ge(sum, want);
	return n;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Free random runs of the lengths that the kind says, until the end of the filesystem. */
static void scatter(struct space *s, struct rng *rng, unsigned int kind)
{
	static const uint64_t most[][2] = { { 1, 1 }, { 7, 9 }, { 600, 300 }, { 2000, 700 },
		{ 9000, 2000 }, { 40000, 5000 } };
	uint64_t at = 0;

	while (at < s->fs->nr_blocks) {
		uint64_t len = 1 + rng_below(rng, most[kind][0]);

		at += 1 + rng_below(rng, most[kind][1]);
		/* Whole chunks, or some blocks more or less. */
		if (kind > 2 && rng_below(rng, 3)) {
			at = (at + CHUNK - 1) / CHUNK * CHUNK - rng_below(rng, 3);
			len = (len + CHUNK - 1) / CHUNK * CHUNK + rng_below(rng, 3);
		}
		space_put_all(s, at, least(at + len, s->fs->nr_blocks));
		at += len;
	}
}

/* Groups of 16 MiB, and alignments of less than a chunk, of one, of a group, and of two. */
START_TEST(few)
{
	static const uint64_t aligns[] = { 1, 8, CHUNK, 4 * CHUNK, 8 * CHUNK, 16 * CHUNK };
	struct space s;
	struct rng rng;
	uint64_t *runs, align = aligns[_i % 6];
	size_t nr;

	space_begin(&s, 256 * MIB, 4096);
	ck_assert_uint_eq(s.fs->alloc.groups[0].nr_chunks, 8);
	runs = malloc(s.fs->nr_blocks * sizeof(*runs));
	rng_seed(&rng, env_number("DDFS_SEED", 1) * 1000 + (uint64_t)_i);
	scatter(&s, &rng, (unsigned int)_i / 6 % 6);
	for (unsigned int i = 0; i < 30; i++) {
		uint64_t total = 0, want;

		nr = free_runs(&s, align, runs);
		for (size_t r = 0; r < nr; r++)
			total += runs[r] / align;
		if (!total)
			break;
		want = (1 + rng_below(&rng, total) / (1 + rng_below(&rng, 8))) * align;
		ck_assert_uint_eq(
			space_count_extents(&s, want, align), least_extents(runs, nr, want));
	}
	ck_groups(s.fs);
	/* To the last one. */
	nr = free_runs(&s, align, runs);
	for (size_t r = 0; r < nr; r++)
		ck_assert_uint_eq(space_get(&s, 0, UINT32_MAX / align * align, align).len, runs[r]);
	ck_assert_uint_eq(space_get(&s, 0, align, align).len, 0);
	free(runs);
	space_end(&s);
}
END_TEST

/* One file, larger than a group, in one piece. */
START_TEST(across_groups)
{
	const uint64_t unit[] = { 4096, 2 * MIB };
	struct ddfs_inode *ip;
	struct ddfs_map map;
	struct mounted m;

	mounted_begin(&m, 256 * MIB, unit[_i], NULL);
	ip = tree_make_get(m.root, "large", S_IFREG | 0644);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_DAX), 0);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, 200 * MIB, NULL), 0);
	ck_assert_int_eq(ddfs_extent_lookup(m.fs, NULL, ddfs_inode_view(ip, NULL), 0, &map), 0);
	ck_assert_uint_eq(map.len, 200 * MIB >> 12);
	ck_assert_uint_eq(map.pblk % CHUNK, 0);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

/* A file of gigabytes begins where the pagemap counts a gigabyte as one. */
START_TEST(gigabytes)
{
	struct ddfs_inode *ip;
	struct ddfs_map map;
	struct mounted m;

	mounted_begin(&m, 4 * GIB, 4096, NULL);
	ip = tree_make_get(m.root, "large", S_IFREG | 0644);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, GIB + 4096, NULL), 0);
	ck_assert_int_eq(ddfs_extent_lookup(m.fs, NULL, ddfs_inode_view(ip, NULL), 0, &map), 0);
	ck_assert_uint_eq(map.len, (GIB >> 12) + 1);
	ck_assert_uint_eq(map.pblk % (GIB >> 12), 0);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

/* A file becomes a DAX one when part of its first unit has blocks: its other units are whole, and
 * lie where a mapping can use them. */
START_TEST(congruent)
{
	struct ddfs_inode *ip;
	struct mounted m;

	mounted_begin(&m, 256 * MIB, 2 * MIB, NULL);
	ip = tree_make_get(m.root, "converted", S_IFREG | 0644);
	ck_assert_int_eq(tree_fill(ip, 0, 5000, 'x'), 5000);
	ck_assert_int_eq(tree_fill(ip, 40 * MIB + 4096, 5000, 'x'), 5000);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_DAX), 0);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, 50 * MIB, NULL), 0);
	for (uint32_t at = 0; at < 50 * MIB >> 12;) {
		struct ddfs_map map;
		uint32_t unit;

		ck_assert_int_eq(
			ddfs_extent_lookup(m.fs, NULL, ddfs_inode_view(ip, NULL), at, &map), 0);
		ck_assert_int_ne(map.kind, DDFS_MAP_HOLE);
		unit = at / CHUNK;
		if (unit != 0 && unit != 20)
			ck_assert_uint_eq(map.pblk % CHUNK, at % CHUNK);
		at += map.len;
	}
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "few", few, 72 },
		{ "across groups", across_groups, 2 },
		{ "gigabytes", gigabytes, 0 },
		{ "congruent", congruent, 0 },
	};

	return suite_run("fs_alloc_run", cases, sizeof(cases) / sizeof(cases[0]));
}
