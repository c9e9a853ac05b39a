/* SPDX-License-Identifier: BSD-3-Clause */
/* Bad blocks that no file has, and the table that remembers all of them. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/extent.h"
#include "tests/unit/bad_stage.h"
#include "tests/unit/suite.h"

#define SIZE (32 * MIB)

/* ---- space ---------------------------------------------------------------------------------- */

/* Fill the filesystem, and look that none of the file's blocks is known to be bad. Returns how many
 * it has. */
static uint64_t fill(struct bad_stage *s)
{
	struct ddfs_inode *ip = tree_make_get(s->m.root, "ballast", S_IFREG | 0644);
	uint64_t nr = 0, block;

	while (tree_fill(ip, nr * BLK, BLK, 'z') == (ssize_t)BLK) {
		block = bad_stage_block(ip, nr);
		ck_assert_uint_eq(ddfs_bad_find(s->m.fs, (struct ddfs_range){ block, 1 }).len, 0);
		nr++;
	}
	ddfs_inode_put(ip);
	ck_image(&s->m.ram.media);
	ck_assert_int_eq(tree_unlink(s->m.root, "ballast"), 0);
	return nr;
}

/* What a removed file had stays out of use, or is cleared, over mounts and crashes; and is not
 * counted as free. */
START_TEST(retired)
{
	struct bad_stage s;
	struct ddfs_inode *ip;
	uint64_t free_before, room, lost = _i ? 0 : 3;

	bad_stage_init(&s, SIZE, BLK);
	s.can_clear = _i;
	free_before = bad_stage_free(&s);
	room = fill(&s);
	ip = bad_stage_file(&s, "file", 100, 'a');
	for (uint64_t b = 10; b < 13; b++) {
		bad_stage_poison(&s, ip, b);
		bad_stage_value(ip, b);
	}
	ddfs_inode_put(ip);
	ck_assert_int_eq(tree_unlink(s.m.root, "file"), 0);
	for (int round = 0; round < 4; round++) {
		ck_assert_uint_eq(ddfs_bad_count(s.m.fs), lost);
		ck_assert_uint_eq(bad_stage_free(&s), free_before - lost);
		ck_assert_uint_eq(fill(&s), room - lost);
		if (round & 1)
			bad_stage_crash(&s);
		else
			bad_stage_remount(&s);
	}
	bad_stage_fini(&s);
}
END_TEST

/* Noted while free, by whoever told of it: it is not given out, not even before the tick. */
START_TEST(noted_while_free)
{
	struct ddfs_range got;
	struct bad_stage s;
	uint64_t free_before;

	bad_stage_init(&s, SIZE, BLK);
	free_before = bad_stage_free(&s);
	ck_assert_int_eq(ddfs_alloc_get(s.m.fs, 0, 1, 1, 0, &got), 0);
	ddfs_alloc_put(s.m.fs, got);
	ddfs_bad_note(s.m.fs, (struct ddfs_range){ got.start, 5 });
	if (_i)
		ddfs_fs_writeback(s.m.fs);
	fill(&s);
	ck_assert_uint_eq(bad_stage_free(&s), free_before - 5);
	bad_stage_fini(&s);
}
END_TEST

/* A mount that becomes read-only saves counts that are those of the bitmaps. */
START_TEST(readonly_and_back)
{
	struct bad_stage s;
	uint64_t free_before;

	bad_stage_init(&s, SIZE, BLK);
	free_before = bad_stage_free(&s);
	ddfs_bad_note(s.m.fs, (struct ddfs_range){ s.m.fs->data_block + 100, 5 });
	ddfs_fs_writeback(s.m.fs);
	s.opt.readonly = true;
	ck_assert_int_eq(ddfs_fs_remount(s.m.fs, &s.opt), 0);
	ck_image(&s.m.ram.media);
	s.opt.readonly = false;
	ck_assert_int_eq(ddfs_fs_remount(s.m.fs, &s.opt), 0);
	ck_assert_uint_eq(bad_stage_free(&s), free_before - 5);
	fill(&s);
	s.opt.readonly = true;
	bad_stage_remount(&s);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 5);
	s.opt.readonly = false;
	bad_stage_fini(&s);
}
END_TEST

/* ---- what the device says ------------------------------------------------------------------- */

/* Its list is read at each mount: what is in it can't be read, whatever it holds, what is free of
 * it is not used; what is in no data area is no harm. */
START_TEST(reported)
{
	struct bad_stage s;
	struct ddfs_inode *ip;
	uint64_t block;

	bad_stage_init(&s, SIZE, BLK);
	ip = bad_stage_file(&s, "file", 10, 'a');
	block = bad_stage_block(ip, 4);
	ddfs_inode_put(ip);
	bad_stage_tell(&s, block, 1);
	bad_stage_tell(&s, s.m.fs->end_block - 40, 10);
	bad_stage_tell(&s, SIZE / BLK - 1, 100);
	bad_stage_remount(&s);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 12);
	ip = tree_get(s.m.root, "file");
	ck_assert_int_eq(bad_stage_value(ip, 4), -EIO);
	ck_assert_int_eq(bad_stage_value(ip, 5), 'a');
	fill(&s);
	/* The list is lost: the table knows. */
	s.nr_told = 0;
	ddfs_inode_put(ip);
	bad_stage_remount(&s);
	ip = tree_get(s.m.root, "file");
	ck_assert_int_eq(bad_stage_value(ip, 4), -EIO);
	ddfs_inode_put(ip);
	bad_stage_fini(&s);
}
END_TEST

/* What was cleared and is told again is bad again. */
START_TEST(comes_back)
{
	struct bad_stage s;
	struct ddfs_inode *ip;
	uint64_t block;

	bad_stage_init(&s, SIZE, BLK);
	s.can_clear = true;
	ip = bad_stage_file(&s, "file", 10, 'a');
	block = bad_stage_poison(&s, ip, 4);
	ck_assert_int_eq(bad_stage_value(ip, 4), -EIO);
	ck_assert_int_eq(tree_fill(ip, 4 * BLK, BLK, 'b'), BLK);
	ddfs_inode_put(ip);
	bad_stage_remount(&s);
	ip = tree_get(s.m.root, "file");
	ck_assert_int_eq(bad_stage_value(ip, 4), 'b');
	ddfs_inode_put(ip);
	bad_stage_tell(&s, block, 1);
	bad_stage_remount(&s);
	ip = tree_get(s.m.root, "file");
	ck_assert_int_eq(bad_stage_value(ip, 4), -EIO);
	ck_assert_int_eq(tree_fill(ip, 4 * BLK, BLK, 'c'), BLK);
	ck_assert_int_eq(bad_stage_value(ip, 4), 'c');
	ddfs_inode_put(ip);
	s.nr_told = 0;
	bad_stage_fini(&s);
}
END_TEST

/* The kernel tells of a unit: what of it the device's list has, or can't be read, is bad. */
START_TEST(notice)
{
	uint64_t unit = 2 * MIB;
	struct bad_stage s;

	bad_stage_init(&s, SIZE, BLK);
	bad_stage_tell(&s, 8 * MIB / BLK + 3, 2);
	bad_stage_tell(&s, 12 * MIB / BLK, 1);
	bad_stage_poison_block(&s, 8 * MIB / BLK + 77);
	ddfs_bad_notice(s.m.fs, 8 * MIB, unit);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 3);
	ddfs_bad_notice(s.m.fs, 9 * MIB, BLK);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 4);
	/* What its list learns of later, for a while. */
	bad_stage_tell(&s, 9 * MIB / BLK + 9, 1);
	ddfs_fs_writeback(s.m.fs);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 5);
	for (int i = 0; i < 10; i++)
		ddfs_fs_writeback(s.m.fs);
	bad_stage_tell(&s, 9 * MIB / BLK + 20, 1);
	ddfs_fs_writeback(s.m.fs);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 5);
	fill(&s);
	bad_stage_fini(&s);
}
END_TEST

/* ---- the table ------------------------------------------------------------------------------ */

/* Runs grow, join, split and go; each mount knows exactly what the one before it did. */
START_TEST(table_follows)
{
	static const struct {
		uint64_t start, len;
		bool bad;
	} steps[] = { { 100, 1, true }, { 102, 1, true }, { 101, 1, true }, { 90, 30, true },
		{ 95, 1, false }, { 90, 1, false }, { 119, 1, false }, { 97, 20, false },
		{ 0, 300, false }, { 50, 2, true } };
	struct bad_stage s;
	bool want[300] = { 0 };
	uint64_t base;

	bad_stage_init(&s, SIZE, BLK);
	base = s.m.fs->data_block + 1000;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct ddfs_range r = { base + steps[i].start, steps[i].len };

		if (steps[i].bad)
			ddfs_bad_note(s.m.fs, r);
		else
			ddfs_bad_drop(s.m.fs, r);
		memset(want + steps[i].start, steps[i].bad, steps[i].len);
		ck_assert_int_eq(ddfs_bad_save(s.m.fs), 0);
		bad_stage_crash(&s);
		for (uint64_t b = 0; b < 300; b++)
			ck_assert_uint_eq(
				ddfs_bad_find(s.m.fs, (struct ddfs_range){ base + b, 1 }).len,
				want[b]);
	}
	bad_stage_fini(&s);
}
END_TEST

/* There is room for 2048 runs: that is told, the mount goes on knowing all of them, and the next
 * one as many as there is room for. */
START_TEST(table_full)
{
	uint64_t nr = DDFS_BAD_BYTES / sizeof(struct ddfs_bad_record);
	struct bad_stage s;
	uint64_t base;

	bad_stage_init(&s, SIZE, BLK);
	base = s.m.fs->data_block + 1000;
	for (uint64_t i = 0; i < nr; i++)
		ddfs_bad_note(s.m.fs, (struct ddfs_range){ base + 2 * i, 1 });
	ck_assert_int_eq(ddfs_bad_save(s.m.fs), 0);
	ck_assert(!bad_stage_said(&s, "full"));
	ddfs_bad_note(s.m.fs, (struct ddfs_range){ base + 2 * nr, 1 });
	ck_assert_int_eq(ddfs_bad_save(s.m.fs), 0);
	ck_assert(bad_stage_said(&s, "full"));
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), nr + 1);
	fill(&s);
	bad_stage_remount(&s);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), nr);
	/* Joined they need one record. */
	ddfs_bad_note(s.m.fs, (struct ddfs_range){ base, 2 * nr + 1 });
	ck_assert_int_eq(ddfs_bad_save(s.m.fs), 0);
	bad_stage_remount(&s);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 2 * nr + 1);
	bad_stage_fini(&s);
}
END_TEST

/* The table itself is bad: what it said there is lost, or (_i) the block is cleared; the mount goes
 * on, and other blocks of the table are used. */
START_TEST(table_bad)
{
	struct bad_stage s;
	uint64_t first, base;

	bad_stage_init(&s, SIZE, BLK);
	s.can_clear = _i;
	first = ddfs_le64(s.m.fs->super.bad_off) / BLK;
	base = s.m.fs->data_block + 1000;
	ddfs_bad_note(s.m.fs, (struct ddfs_range){ base, 1 });
	ck_assert_int_eq(ddfs_bad_save(s.m.fs), 0);
	bad_stage_poison_block(&s, first);
	bad_stage_crash(&s);
	ck_assert(bad_stage_said(&s, "table of bad blocks can't be read"));
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), !_i);
	s.can_clear = false;
	ddfs_bad_note(s.m.fs, (struct ddfs_range){ base + 7, 1 });
	ck_assert_int_eq(ddfs_bad_save(s.m.fs), 0);
	ram_heal(&s.m.ram, first * BLK);
	s.poisoned[first] = false;
	bad_stage_remount(&s);
	ck_assert_uint_eq(ddfs_bad_find(s.m.fs, (struct ddfs_range){ base + 7, 1 }).len, 1);
	bad_stage_fini(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "retired", retired, 2 },
		{ "noted while free", noted_while_free, 2 },
		{ "read-only and back", readonly_and_back, 0 },
		{ "reported", reported, 0 },
		{ "comes back", comes_back, 0 },
		{ "notice", notice, 0 },
		{ "table follows", table_follows, 0 },
		{ "table full", table_full, 0 },
		{ "table bad", table_bad, 2 },
	};

	return suite_run("fs_bad_space", cases, sizeof(cases) / sizeof(cases[0]));
}
