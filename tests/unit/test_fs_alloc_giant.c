/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocation units of DAX inodes that are many chunks large: they stay whole, and join. */
#include <stdlib.h>
#include <string.h>

#include "fs/extent.h"
#include "tests/unit/rng.h"
#include "tests/unit/space.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define GIANT (GIB >> 12)

/* Of each unit whether it is whole; returns how many are. */
static unsigned int find_giants(const struct space *s, uint64_t unit, bool *is_whole)
{
	unsigned int n = 0;

	for (uint64_t i = 0; i < s->fs->nr_blocks / unit; i++) {
		is_whole[i] = !memchr(s->is_free + i * unit, false, unit);
		n += is_whole[i];
	}
	return n;
}

/* Free blocks in units that were not whole. */
static uint64_t nr_in_broken(const struct space *s, uint64_t unit, const bool *was_whole)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < s->fs->nr_blocks; i++)
		n += s->is_free[i] && !was_whole[i / unit];
	return n;
}

/* All is free but the first and the last unit, which fixed structures have broken, and of smaller
 * ones some blocks of every third. */
static void giants_begin(struct space *s, uint64_t unit)
{
	struct rng rng;

	rng_seed(&rng, env_number("DDFS_SEED", 1));
	space_begin(s, unit == GIANT ? 8 * GIB : 512 * MIB, unit << 12);
	space_put_all(s, 0, s->fs->nr_blocks);
	for (uint64_t at = 3 * unit; unit < GIANT && at < s->fs->nr_blocks; at += 3 * unit)
		space_get(s, at + rng_below(&rng, unit), 1 + rng_below(&rng, CHUNK), 1);
}

/* What needs no whole unit fills those that are broken already before it breaks another, and then
 * that one. */
START_TEST(giants_stay)
{
	/* Unit, blocks wanted, and how much in a thousand is left of units that have no room. */
	static const uint64_t sizes[][3] = { { GIANT, 16, 1 }, { GIANT, 37, 65 },
		{ GIANT, CHUNK, 5 }, { GIANT, 3 * CHUNK + 5, 260 }, { 4 * CHUNK, 16, 20 },
		{ 4 * CHUNK, 37, 100 }, { 4 * CHUNK, CHUNK, 400 } };
	uint64_t unit = sizes[_i][0], want = sizes[_i][1], broken;
	bool was_whole[128], is_whole[128];
	struct ddfs_range r;
	struct space s;
	unsigned int nr;

	giants_begin(&s, unit);
	nr = find_giants(&s, unit, was_whole);
	broken = nr_in_broken(&s, unit, was_whole);
	do {
		r = space_get(&s, 0, want, 1);
		ck_assert_uint_eq(r.len, want);
	} while (!was_whole[r.start / unit]);
	ck_assert_uint_eq(find_giants(&s, unit, is_whole), nr - 1);
	ck_assert_uint_le(nr_in_broken(&s, unit, was_whole), broken * sizes[_i][2] / 1000);
	while (s.is_free[r.start / unit * unit + unit - want])
		ck_assert_uint_eq(space_get(&s, 0, want, 1).start / unit, r.start / unit);
	for (unsigned int i = 1; i < nr; i++)
		ck_assert_uint_eq(space_get(&s, 0, unit, unit).len, unit);
	ck_assert_uint_eq(space_get(&s, 0, unit, unit).len, 0);
	space_end(&s);
}
END_TEST

/* A unit has more chunks than a transaction may change. */
START_TEST(giant_written)
{
	struct ddfs_inode *ip;
	struct ddfs_map map;
	uint8_t byte = 1;
	struct mounted m;

	mounted_begin(&m, 4 * GIB, GIB, NULL);
	ip = tree_make_get(m.root, "dax", S_IFREG | 0644);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_DAX), 0);
	ck_assert_int_eq(tree_fill(ip, 5 * MIB, 5000, 'x'), 5000);
	ck_assert_int_eq(ddfs_extent_lookup(m.fs, NULL, ddfs_inode_view(ip, NULL), 0, &map), 0);
	ck_assert_int_eq(map.kind, DDFS_MAP_UNWRITTEN);
	ck_assert_uint_eq(map.pblk % GIANT, 0);
	ck_assert_int_eq(ddfs_pread(ip, &byte, 1, 5 * MIB - 1), 1);
	ck_assert_int_eq(byte, 0);
	ck_assert_int_eq(ddfs_pread(ip, &byte, 1, 5 * MIB + 4999), 1);
	ck_assert_int_eq(byte, 'x');
	ck_assert_int_eq(ddfs_pread(ip, &byte, 1, 5 * MIB + 5000), 0);
	ddfs_inode_put(ip);
	mounted_end(&m);
}
END_TEST

/* Neighbours are one extent; with one taken out of the middle they are two. */
START_TEST(giants_join)
{
	bool is_whole[8];
	struct space s;

	giants_begin(&s, GIANT);
	ck_assert_uint_eq(find_giants(&s, GIANT, is_whole), 6);
	ck_assert_uint_eq(space_count_extents(&s, 6 * GIANT, GIANT), 1);
	space_put(&s, GIANT, 2 * GIANT);
	space_put(&s, 4 * GIANT, 3 * GIANT);
	ck_assert_uint_eq(space_count_extents(&s, 3 * GIANT, GIANT), 1);
	ck_assert(!s.is_free[4 * GIANT] && s.is_free[GIANT]);
	space_put(&s, 4 * GIANT, 3 * GIANT);
	ck_assert_uint_eq(space_count_extents(&s, 5 * GIANT, GIANT), 2);
	space_end(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "giants stay", giants_stay, 7 },
		{ "giants join", giants_join, 0 },
		{ "giant written", giant_written, 0 },
	};

	return suite_run("fs_alloc_giant", cases, sizeof(cases) / sizeof(cases[0]));
}
