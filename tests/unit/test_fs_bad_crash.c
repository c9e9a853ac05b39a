/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A power cut before every store and every fence while bad blocks are healed, moved, given up and
 * recorded, with what was stored since the last fence there, gone, or there in part. What a bad
 * block held is lost: whatever happens, a file gives EIO for it or what was written since, and
 * nothing else.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/bad_stage.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#define SIZE	  (16 * MIB)
#define NR_BLOCKS (SIZE / BLK)
#define FILE_NR	  512u
#define BAD	  4u
#define PENDING	  65536u
/* Stores, of which not every one is cut at; a sanitizer takes many times longer for each. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MANY 50u
#else
#define MANY 200u
#endif

/* Loop index: bit 0, the device can clear; bit 1, units of 2 MiB. */
#define NR_DEVICES 4

struct cutter {
	struct bad_stage live, after;
	uint8_t *durable;
	struct {
		uint64_t off;
		size_t len;
	} pending[PENDING]; /* stored since the last fence */
	size_t nr_pending;
	struct rng rng;
	uint64_t nr_stores, nr_cuts;
	bool is_over;			/* the call has returned */
	void (*look)(struct cutter *k); /* at after, mounted */
	uint64_t block;			/* the bad one */
};

enum { CUT_NONE, CUT_ALL, CUT_SOME, NR_CUT_KINDS };

static void leave(struct cutter *k, int kind)
{
	uint8_t *to = k->after.m.ram.writable;
	const uint8_t *from = k->live.m.ram.writable;

	memcpy(to, k->durable, SIZE);
	for (size_t i = 0; kind != CUT_NONE && i < k->nr_pending; i++) {
		uint64_t off = k->pending[i].off & ~UINT64_C(7);
		uint64_t end = k->pending[i].off + k->pending[i].len;

		for (; off < end; off += 8)
			if (kind == CUT_ALL || rng_below(&k->rng, 2))
				memcpy(to + off, from + off, 8);
	}
}

/* What is poisoned stays so, whatever was not durable. */
static void leave_poison(struct cutter *k)
{
	for (uint64_t b = 0; b < NR_BLOCKS; b++) {
		if (k->live.poisoned[b] && !k->after.poisoned[b])
			bad_stage_poison_block(&k->after, b);
		else if (!k->live.poisoned[b] && k->after.poisoned[b])
			ram_heal(&k->after.m.ram, b * BLK);
		k->after.poisoned[b] = k->live.poisoned[b];
	}
	k->after.can_clear = k->live.can_clear;
}

static void cut(struct cutter *k)
{
	for (int kind = 0; kind < NR_CUT_KINDS; kind++) {
		leave(k, kind);
		leave_poison(k);
		mounted_open(&k->after.m, &k->after.opt);
		ck_image(&k->after.m.ram.media);
		k->look(k);
		mounted_close(&k->after.m);
		k->nr_cuts++;
	}
}

static void heard_store(void *arg, uint64_t off, size_t len)
{
	struct cutter *k = arg;

	/* Of a unit that moves some will do. */
	if (k->nr_stores++ < MANY || k->nr_stores % 97 == 0)
		cut(k);
	ck_assert_uint_lt(k->nr_pending, PENDING);
	k->pending[k->nr_pending].off = off;
	k->pending[k->nr_pending++].len = len;
}

static void heard_drain(void *arg)
{
	struct cutter *k = arg;

	cut(k);
	memcpy(k->durable, k->live.m.ram.writable, SIZE);
	k->nr_pending = 0;
}

static struct cutter *cutter_new(int device, void (*look)(struct cutter *k))
{
	struct cutter *k = calloc(1, sizeof(*k));
	uint64_t align = device & 2 ? 2 * MIB : BLK;

	bad_stage_init(&k->live, SIZE, align);
	bad_stage_init(&k->after, SIZE, align);
	mounted_close(&k->after.m);
	k->live.can_clear = device & 1;
	k->durable = malloc(SIZE);
	k->look = look;
	rng_seed(&k->rng, (uint64_t)device + 1);
	return k;
}

/* From here on the power may go. */
static void cutter_arm(struct cutter *k, struct ram_ear *ear)
{
	memcpy(k->durable, k->live.m.ram.writable, SIZE);
	*ear = (struct ram_ear){ heard_store, heard_drain, k };
	k->live.m.ram.ear = ear;
}

/* The call has returned: what it says is durable. */
static void cutter_finish(struct cutter *k)
{
	k->live.m.ram.ear = NULL;
	k->is_over = true;
	cut(k);
	ck_assert_uint_gt(k->nr_cuts, 3 * NR_CUT_KINDS);
}

static void cutter_delete(struct cutter *k)
{
	bad_stage_fini(&k->live);
	mounted_open(&k->after.m, &k->after.opt);
	bad_stage_fini(&k->after);
	free(k->durable);
	free(k);
}

static struct ddfs_inode *make_file(struct cutter *k, bool known)
{
	struct ddfs_inode *ip = bad_stage_file(&k->live, "file", FILE_NR, 'a');

	k->block = bad_stage_poison(&k->live, ip, BAD);
	if (!known)
		return ip;
	ck_assert_int_eq(bad_stage_value(ip, BAD), -EIO);
	ck_assert_int_eq(ddfs_bad_save(k->live.m.fs), 0);
	return ip;
}

/* ---- overwritten ---------------------------------------------------------------------------- */

static void look_overwritten(struct cutter *k)
{
	struct ddfs_inode *ip = tree_get(k->after.m.root, "file");
	int value = bad_stage_value(ip, BAD);

	ck_assert_msg(value == 'b' || (!k->is_over && value == -EIO), "reads %d", value);
	for (unsigned int b = 0; b < FILE_NR; b += 37)
		ck_assert_int_eq(bad_stage_value(ip, b), 'a');
	if (k->after.poisoned[k->block])
		ck_assert_uint_eq(
			ddfs_bad_find(k->after.m.fs, (struct ddfs_range){ k->block, 1 }).len, 1);
	/* It is not stuck. */
	ck_assert_int_eq(tree_fill(ip, BAD * BLK, BLK, 'c'), BLK);
	ck_assert_int_eq(bad_stage_value(ip, BAD), 'c');
	ddfs_inode_put(ip);
}

/* _i & 4: nobody has recorded it yet. */
START_TEST(overwritten)
{
	struct cutter *k = cutter_new(_i, look_overwritten);
	struct ddfs_inode *ip = make_file(k, !(_i & 4));
	struct ram_ear ear;

	if (_i & 4)
		ck_assert_int_eq(bad_stage_value(ip, BAD), -EIO);
	cutter_arm(k, &ear);
	ck_assert_int_eq(tree_fill(ip, BAD * BLK, BLK, 'b'), BLK);
	cutter_finish(k);
	ddfs_inode_put(ip);
	cutter_delete(k);
}
END_TEST

/* ---- written for the first time ------------------------------------------------------------- */

static void look_written(struct cutter *k)
{
	struct ddfs_inode *ip = tree_get(k->after.m.root, "file");
	int value = bad_stage_value(ip, BAD);

	ck_assert_msg(value == 'b' || (!k->is_over && value == 0), "reads %d", value);
	ck_assert_int_eq(bad_stage_value(ip, BAD + 1), 0);
	ddfs_inode_put(ip);
}

START_TEST(written)
{
	struct cutter *k = cutter_new(_i, look_written);
	struct ddfs_inode *ip = tree_make_get(k->live.m.root, "file", S_IFREG | 0644);
	struct ram_ear ear;

	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, FILE_NR * BLK, NULL), 0);
	k->block = bad_stage_poison(&k->live, ip, BAD);
	ddfs_bad_note(k->live.m.fs, (struct ddfs_range){ k->block, 1 });
	cutter_arm(k, &ear);
	ck_assert_int_eq(tree_fill(ip, BAD * BLK, BLK, 'b'), BLK);
	cutter_finish(k);
	ddfs_inode_put(ip);
	cutter_delete(k);
}
END_TEST

/* ---- given up ------------------------------------------------------------------------------- */

/* Nothing that is written then comes to lie on what can't be read. */
static void look_removed(struct cutter *k)
{
	struct ddfs_entry e;
	struct ddfs_inode *ip;
	uint64_t nr = 0;

	if (ddfs_lookup(k->after.m.root, "file", 4, &e) == 0)
		ck_assert_int_eq(tree_unlink(k->after.m.root, "file"), 0);
	ip = tree_make_get(k->after.m.root, "new", S_IFREG | 0644);
	while (tree_fill(ip, nr * BLK, BLK, 'n') == (ssize_t)BLK)
		nr++;
	for (uint64_t b = 0; b < nr; b++)
		ck_assert_int_eq(bad_stage_value(ip, b), 'n');
	ddfs_inode_put(ip);
}

START_TEST(removed)
{
	struct cutter *k = cutter_new(_i, look_removed);
	struct ddfs_inode *ip = make_file(k, true);
	struct ram_ear ear;

	ddfs_inode_put(ip);
	cutter_arm(k, &ear);
	ck_assert_int_eq(tree_unlink(k->live.m.root, "file"), 0);
	cutter_finish(k);
	cutter_delete(k);
}
END_TEST

/* ---- recorded ------------------------------------------------------------------------------- */

static bool is_known(const struct cutter *k, uint64_t block)
{
	return ddfs_bad_find(k->after.m.fs, (struct ddfs_range){ block, 1 }).len;
}

/* A run that is split, grows and joins another: what was bad all the time is always known. */
static void look_recorded(struct cutter *k)
{
	for (uint64_t n = 0; n < 20; n++)
		if (n != 5 && n != 10)
			ck_assert(is_known(k, k->block + n));
	if (k->is_over)
		ck_assert(!is_known(k, k->block + 5) && is_known(k, k->block + 10));
}

START_TEST(recorded)
{
	struct cutter *k = cutter_new(0, look_recorded);
	struct ddfs_fs *fs = k->live.m.fs;
	struct ram_ear ear;

	k->block = fs->data_block + 1000;
	ddfs_bad_note(fs, (struct ddfs_range){ k->block, 10 });
	ddfs_bad_note(fs, (struct ddfs_range){ k->block + 11, 9 });
	ck_assert_int_eq(ddfs_bad_save(fs), 0);
	cutter_arm(k, &ear);
	ddfs_bad_drop(fs, (struct ddfs_range){ k->block + 5, 1 });
	ddfs_bad_note(fs, (struct ddfs_range){ k->block + 10, 1 });
	ck_assert_int_eq(ddfs_bad_save(fs), 0);
	cutter_finish(k);
	cutter_delete(k);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "overwritten", overwritten, 2 * NR_DEVICES },
		{ "written", written, NR_DEVICES },
		{ "removed", removed, NR_DEVICES },
		{ "recorded", recorded, 0 },
	};

	return suite_run("fs_bad_crash", cases, sizeof(cases) / sizeof(cases[0]));
}
