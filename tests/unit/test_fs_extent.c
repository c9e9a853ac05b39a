/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file in a hundred thousand pieces: every call that changes its map, against an array that says
 * what each block must hold.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/mounted.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define BLOCK	  UINT64_C(4096)
#define NR_BLOCKS 200000u /* every second one is mapped */
#define NR_SLOTS  (NR_BLOCKS + 1000u)
#define NR_LOOKUP 2000u
#define PUNCH	  (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* What a block is; anything else is the number that it begins with. */
enum { HOLE, UNWRITTEN, FIRST_STAMP };

struct big {
	struct mounted m;
	struct ddfs_inode *ip;
	struct rng rng;
	uint32_t size; /* blocks */
	uint32_t stamp;
	uint32_t at[NR_SLOTS];
};

/* ---- comparing ------------------------------------------------------------------------------ */

/* What read(2) shows of every block in [first, last). */
static void ck_read(struct big *b, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i < last; i++) {
		uint32_t want = b->at[i] < FIRST_STAMP ? 0 : b->at[i], got[2];

		ck_assert_int_eq(ddfs_pread(b->ip, got, sizeof(got), i * BLOCK), sizeof(got));
		ck_assert_msg(got[0] == want && !got[1], "block %u: %u, not %u", i, got[0], want);
	}
}

static bool has_data(const struct big *b, uint32_t i)
{
	return b->at[i] >= FIRST_STAMP;
}

/* SEEK_DATA and SEEK_HOLE from the start to the end, through every change between them. */
static void ck_seek(struct big *b)
{
	uint32_t i = 0;

	while (i < b->size) {
		bool data = has_data(b, i);
		uint32_t end = i;
		int64_t got;

		while (end < b->size && has_data(b, end) == data)
			end++;
		got = ddfs_seek(b->ip, i * BLOCK, data ? SEEK_HOLE : SEEK_DATA);
		if (!data && end == b->size)
			ck_assert_int_eq(got, -ENXIO);
		else
			ck_assert_int_eq(got, (int64_t)(end * BLOCK));
		got = ddfs_seek(b->ip, i * BLOCK + 5, data ? SEEK_DATA : SEEK_HOLE);
		ck_assert_int_eq(got, (int64_t)(i * BLOCK + 5));
		i = end;
	}
}

static uint64_t mapped(const struct big *b)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < NR_SLOTS; i++)
		nr += b->at[i] != HOLE;
	return nr;
}

static void ck_all(struct big *b)
{
	struct ddfs_attr a;

	ddfs_getattr(b->ip, &a);
	ck_assert_uint_eq(a.size, b->size * BLOCK);
	/* The map itself counts too: a node for a hundred extents at the most. */
	ck_assert_uint_ge(a.sectors / 8, mapped(b));
	ck_assert_uint_le(a.sectors / 8, mapped(b) + mapped(b) / 50 + 10);
	for (uint32_t i = 0; i < NR_LOOKUP && b->size; i++) {
		uint32_t n = (uint32_t)rng_below(&b->rng, b->size);

		ck_read(b, n, n + 1);
	}
	ck_seek(b);
	ck_image(&b->m.ram.media);
}

/* ---- changing ------------------------------------------------------------------------------- */

static void map_block(struct big *b, uint32_t i)
{
	ck_assert_int_eq(ddfs_fallocate(b->ip, 0, i * BLOCK, BLOCK, NULL), 0);
	if (b->at[i] == HOLE)
		b->at[i] = UNWRITTEN;
	if (b->size <= i)
		b->size = i + 1;
}

static void write_block(struct big *b, uint32_t i)
{
	uint32_t stamp = FIRST_STAMP + b->stamp++;

	ck_assert_int_eq(
		ddfs_write(b->ip, i * BLOCK, &stamp, sizeof(stamp), 0), (ssize_t)sizeof(stamp));
	b->at[i] = stamp;
	if (b->size <= i)
		b->size = i + 1;
}

/* The numbers below nr in random order. */
static uint32_t *shuffled(struct rng *r, uint32_t nr)
{
	uint32_t *order = malloc(nr * sizeof(*order));

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t j = (uint32_t)rng_below(r, i + 1u);

		order[i] = order[j];
		order[j] = i;
	}
	return order;
}

static void punch(struct big *b, uint32_t first, uint32_t nr)
{
	ck_assert_int_eq(ddfs_fallocate(b->ip, PUNCH, first * BLOCK, nr * BLOCK, NULL), 0);
	memset(b->at + first, 0, nr * sizeof(*b->at));
}

static void truncate_to(struct big *b, uint32_t size)
{
	struct ddfs_attr a = { .size = size * BLOCK };

	ck_assert_int_eq(ddfs_setattr(b->ip, &a, DDFS_SET_SIZE, NULL, NULL), 0);
	if (size < b->size)
		memset(b->at + size, 0, (NR_SLOTS - size) * sizeof(*b->at));
	b->size = size;
}

static void collapse(struct big *b, uint32_t first, uint32_t nr)
{
	ck_assert_int_eq(
		ddfs_fallocate(b->ip, FALLOC_FL_COLLAPSE_RANGE, first * BLOCK, nr * BLOCK, NULL),
		0);
	memmove(b->at + first, b->at + first + nr, (NR_SLOTS - first - nr) * sizeof(*b->at));
	memset(b->at + NR_SLOTS - nr, 0, nr * sizeof(*b->at));
	b->size -= nr;
}

static void insert(struct big *b, uint32_t first, uint32_t nr)
{
	ck_assert_int_eq(
		ddfs_fallocate(b->ip, FALLOC_FL_INSERT_RANGE, first * BLOCK, nr * BLOCK, NULL), 0);
	memmove(b->at + first + nr, b->at + first, (NR_SLOTS - first - nr) * sizeof(*b->at));
	memset(b->at + first, 0, nr * sizeof(*b->at));
	b->size += nr;
}

static void zero(struct big *b, uint32_t first, uint32_t nr)
{
	ck_assert_int_eq(
		ddfs_fallocate(b->ip, FALLOC_FL_ZERO_RANGE, first * BLOCK, nr * BLOCK, NULL), 0);
	for (uint32_t i = first; i < first + nr; i++)
		b->at[i] = UNWRITTEN;
	if (b->size < first + nr)
		b->size = first + nr;
}

/* ---- the file ------------------------------------------------------------------------------- */

enum order { RANDOM, UPWARDS, DOWNWARDS };

static struct big *big_new(enum order order)
{
	struct big *b = calloc(1, sizeof(*b));
	uint32_t *shuffle;

	rng_seed(&b->rng, 7);
	mounted_begin(&b->m, UINT64_C(1) << 30, 4096, NULL);
	b->ip = tree_make_get(b->m.root, "big", S_IFREG | 0644);
	shuffle = shuffled(&b->rng, NR_BLOCKS / 2);
	for (uint32_t i = 0; i < NR_BLOCKS / 2; i++) {
		uint32_t n = order == RANDOM	? shuffle[i]
			     : order == UPWARDS ? i
						: NR_BLOCKS / 2 - 1 - i;

		map_block(b, 2 * n + 1);
	}
	free(shuffle);
	ck_all(b);
	return b;
}

/* Removed, all is as free as it was. */
static void big_delete(struct big *b)
{
	struct image_summary s;
	struct ddfs_statfs st;

	ck_all(b);
	ck_assert_int_eq(tree_unlink(b->m.root, "big"), 0);
	ddfs_inode_put(b->ip);
	image_check(b->m.ram.media.base, b->m.ram.media.size, 0, &s);
	ddfs_fs_statfs(b->m.fs, &st);
	ck_assert_uint_eq(st.nr_free, s.nr_free);
	ck_assert_uint_eq(s.nr_orphans, 0);
	mounted_end(&b->m);
	free(b);
}

START_TEST(convert)
{
	struct big *b = big_new(RANDOM);
	uint32_t *order = shuffled(&b->rng, NR_BLOCKS / 2);

	for (uint32_t i = 0; i < 15000; i++)
		write_block(b, 2 * order[i] + 1);
	ck_all(b);
	/* Those between: runs of three, and holes in what is unwritten. */
	for (uint32_t i = 0; i < 5000; i++)
		write_block(b, 2 * order[i]);
	ck_all(b);
	free(order);
	big_delete(b);
}
END_TEST

START_TEST(punched)
{
	struct big *b = big_new(RANDOM);

	for (uint32_t i = 0; i < 2000; i++)
		write_block(b, (uint32_t)rng_below(&b->rng, NR_BLOCKS));
	for (uint32_t i = 0; i < 300; i++)
		punch(b, (uint32_t)rng_below(&b->rng, NR_BLOCKS - 64),
			1 + (uint32_t)rng_below(&b->rng, 64));
	ck_all(b);
	for (uint32_t nr = 1; nr < 3000; nr *= 3)
		punch(b, (uint32_t)rng_below(&b->rng, NR_BLOCKS - nr), nr);
	ck_all(b);
	punch(b, 50001, 60000);
	ck_all(b);
	for (uint32_t i = 60000; i < 61000; i += 3)
		write_block(b, i);
	ck_all(b);
	punch(b, 1, NR_BLOCKS - 2);
	ck_all(b);
	punch(b, 0, NR_BLOCKS);
	big_delete(b);
}
END_TEST

START_TEST(truncated)
{
	static const uint32_t sizes[] = { 199999, 199990, 150000, 170000, 60001, 60000, 500, 7, 3,
		NR_BLOCKS };
	struct big *b = big_new(UPWARDS);

	for (uint32_t i = 0; i < 2000; i++)
		write_block(b, (uint32_t)rng_below(&b->rng, NR_BLOCKS));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		truncate_to(b, sizes[i]);
		ck_all(b);
	}
	for (uint32_t i = 0; i < NR_BLOCKS; i += 1999)
		write_block(b, i);
	big_delete(b);
}
END_TEST

START_TEST(moved)
{
	struct big *b = big_new(DOWNWARDS);

	for (uint32_t i = 0; i < 2000; i++)
		write_block(b, (uint32_t)rng_below(&b->rng, NR_BLOCKS));
	/* One long extent, so that something is cut in two. */
	punch(b, 100000, 600);
	zero(b, 100000, 600);
	write_block(b, 100300);
	insert(b, 100200, 3);
	ck_all(b);
	insert(b, 0, 400);
	ck_all(b);
	collapse(b, 100501, 200);
	ck_all(b);
	collapse(b, 1, 90000);
	ck_all(b);
	insert(b, b->size - 1, 1);
	collapse(b, 0, 1);
	ck_all(b);
	zero(b, 10, 5000);
	zero(b, b->size - 10, 20);
	ck_all(b);
	zero(b, 0, 50000);
	big_delete(b);
}
END_TEST

/* All at once, small steps, in a smaller part of the file; then what a remount finds. */
START_TEST(mixed)
{
	struct big *b = big_new(RANDOM);

	truncate_to(b, 30000);
	for (uint32_t i = 0; i < 6000; i++) {
		uint32_t n = (uint32_t)rng_below(&b->rng, 29000);
		uint32_t nr = 1 + (uint32_t)rng_below(&b->rng, i % 100 ? 6 : 900);

		switch (rng_below(&b->rng, 4)) {
		case 0:
			punch(b, n, nr);
			break;
		case 1:
			zero(b, n, nr);
			break;
		case 2:
			map_block(b, n);
			break;
		case 3:
			write_block(b, n);
			break;
		}
		if (i % 1000 == 0)
			ck_all(b);
	}
	ck_all(b);
	ddfs_inode_put(b->ip);
	mounted_again(&b->m, NULL);
	b->ip = tree_get(b->m.root, "big");
	ck_read(b, 0, b->size);
	big_delete(b);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "convert", convert, 0 },
		{ "punched", punched, 0 },
		{ "truncated", truncated, 0 },
		{ "moved", moved, 0 },
		{ "mixed", mixed, 0 },
	};

	return suite_run("fs_extent", cases, sizeof(cases) / sizeof(cases[0]));
}
