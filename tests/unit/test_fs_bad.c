/* SPDX-License-Identifier: BSD-3-Clause */
/* Bad blocks in files: what reads give, and what heals them. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "fs/extent.h"
#include "tests/unit/bad_stage.h"
#include "tests/unit/suite.h"

#define SIZE (32 * MIB)

/* Loop index: bit 0, the device can clear; bit 1, units of 2 MiB. */
#define NR_DEVICES 4

static void begin(struct bad_stage *s, int device)
{
	bad_stage_init(s, SIZE, device & 2 ? 2 * MIB : BLK);
	s->can_clear = device & 1;
}

/* ---- reads ---------------------------------------------------------------------------------- */

static ssize_t count_bytes(void *arg, const struct iovec *iov, int nr, size_t len)
{
	size_t sum = 0;

	for (int i = 0; i < nr; i++)
		sum += iov[i].iov_len;
	ck_assert_uint_eq(sum, len);
	++*(int *)arg;
	return (ssize_t)len;
}

/* Up to the bad block, from anywhere; then EIO; its neighbours can be read. Whether it is known
 * (_i & 1) or found. */
START_TEST(reads)
{
	uint8_t buf[10 * BLK];
	struct bad_stage s;
	struct ddfs_inode *ip;
	uint64_t block;
	int calls = 0;

	begin(&s, _i & 2);
	ip = bad_stage_file(&s, "file", 10, 'a');
	block = _i & 1 ? bad_stage_block(ip, 4) : bad_stage_poison(&s, ip, 4);
	if (_i & 1)
		ddfs_bad_note(s.m.fs, (struct ddfs_range){ block, 1 });
	ck_assert_int_eq(ddfs_pread(ip, buf, sizeof(buf), 0), 4 * BLK);
	ck_assert_int_eq(ddfs_pread(ip, buf, sizeof(buf), 3 * BLK + 100), BLK - 100);
	ck_assert_int_eq(ddfs_pread(ip, buf, sizeof(buf), 4 * BLK), -EIO);
	ck_assert_int_eq(ddfs_pread(ip, buf, 1, 4 * BLK + 4095), -EIO);
	ck_assert_int_eq(ddfs_pread(ip, buf, sizeof(buf), 5 * BLK), 5 * BLK);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 1);
	ck_assert_int_eq(ddfs_read(ip, 0, 10 * BLK, DDFS_READ_WHOLE, count_bytes, &calls), -EIO);
	ck_assert_int_eq(ddfs_read(ip, 4 * BLK, BLK, 0, count_bytes, &calls), -EIO);
	ck_assert_int_eq(calls, 0);
	ck_assert_int_eq(ddfs_read(ip, 0, 10 * BLK, 0, count_bytes, &calls), 4 * BLK);
	ck_assert_int_eq(ddfs_read(ip, 0, 4 * BLK, DDFS_READ_WHOLE, count_bytes, &calls), 4 * BLK);
	ck_assert_int_eq(calls, 2);
	ddfs_inode_put(ip);
	bad_stage_fini(&s);
}
END_TEST

/* ---- overwrites ----------------------------------------------------------------------------- */

/* What is overwritten as a whole is good again, at once and for every later mount; the rest of the
 * file is as it was. */
START_TEST(overwrite)
{
	struct bad_stage s;
	struct ddfs_inode *ip;
	uint64_t block, free_before;

	begin(&s, _i);
	ip = bad_stage_file(&s, "file", 520, 'a');
	free_before = bad_stage_free(&s);
	block = bad_stage_poison(&s, ip, 4);
	ck_assert_int_eq(bad_stage_value(ip, 4), -EIO);
	ck_assert_int_eq(tree_fill(ip, 4 * BLK, BLK, 'b'), BLK);
	for (int round = 0; round < 3; round++) {
		for (uint64_t b = 0; b < 520; b++)
			ck_assert_int_eq(bad_stage_value(ip, b), b == 4 ? 'b' : 'a');
		ck_assert_uint_eq(bad_stage_block(ip, 4) == block, s.can_clear);
		ck_assert_uint_eq(ddfs_bad_count(s.m.fs), !s.can_clear);
		ck_assert_uint_eq(bad_stage_free(&s), free_before - !s.can_clear);
		ck_image_flags(&s.m.ram.media, _i & 2 ? IMAGE_DAX_ALIGNED : 0);
		ddfs_inode_put(ip);
		if (round == 1)
			bad_stage_crash(&s);
		else
			bad_stage_remount(&s);
		ip = tree_get(s.m.root, "file");
	}
	ck_assert_int_eq(s.nr_cleared, _i & 1);
	ddfs_inode_put(ip);
	bad_stage_fini(&s);
}
END_TEST

/* One write over several of them, and over good ones between and around. */
START_TEST(overwrite_many)
{
	static const uint64_t bad[] = { 3, 4, 5, 9, 511, 512, 600 };
	struct bad_stage s;
	struct ddfs_inode *ip;

	begin(&s, _i);
	ip = bad_stage_file(&s, "file", 1024, 'a');
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bad_stage_poison(&s, ip, bad[i]);
		bad_stage_value(ip, bad[i]);
	}
	ck_assert_int_eq(tree_fill(ip, BLK, 700 * BLK, 'b'), 700 * (ssize_t)BLK);
	for (uint64_t b = 0; b < 1024; b++)
		ck_assert_int_eq(bad_stage_value(ip, b), b >= 1 && b < 701 ? 'b' : 'a');
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), s.can_clear ? 0 : 7);
	ck_image_flags(&s.m.ram.media, _i & 2 ? IMAGE_DAX_ALIGNED : 0);
	ddfs_inode_put(ip);
	bad_stage_fini(&s);
}
END_TEST

/* What does not cover the block can't heal it: the bytes before it are written. */
START_TEST(partial)
{
	struct bad_stage s;
	struct ddfs_inode *ip;

	begin(&s, _i);
	ip = bad_stage_file(&s, "file", 10, 'a');
	bad_stage_poison(&s, ip, 4);
	bad_stage_value(ip, 4);
	ck_assert_int_eq(tree_fill(ip, 4 * BLK, BLK - 1, 'b'), -EIO);
	ck_assert_int_eq(tree_fill(ip, 4 * BLK + 1, BLK, 'b'), -EIO);
	ck_assert_int_eq(tree_fill(ip, 2 * BLK, 2 * BLK + 1, 'b'), 2 * BLK);
	ck_assert_int_eq(bad_stage_value(ip, 3), 'b');
	ck_assert_int_eq(bad_stage_value(ip, 4), -EIO);
	ck_assert_int_eq(bad_stage_value(ip, 5), 'a');
	ck_assert_int_eq(tree_fill(ip, 3 * BLK, 3 * BLK, 'c'), 3 * BLK);
	ck_assert_int_eq(bad_stage_value(ip, 4), 'c');
	ddfs_inode_put(ip);
	bad_stage_fini(&s);
}
END_TEST

/* A unit of a DAX file moves as a whole: not with another bad block in it that would be lost. */
START_TEST(unit_stays)
{
	struct bad_stage s;
	struct ddfs_inode *ip;

	begin(&s, 2);
	ip = bad_stage_file(&s, "file", 512, 'a');
	bad_stage_poison(&s, ip, 4);
	bad_stage_poison(&s, ip, 8);
	bad_stage_value(ip, 4);
	/* One that nobody has met yet, too. */
	ck_assert_int_eq(tree_fill(ip, 4 * BLK, BLK, 'b'), -EIO);
	ck_assert_uint_eq(ddfs_bad_count(s.m.fs), 2);
	ck_assert_int_eq(tree_fill(ip, 8 * BLK, BLK, 'b'), -EIO);
	ck_assert_int_eq(tree_fill(ip, 4 * BLK, 5 * BLK, 'b'), 5 * BLK);
	for (uint64_t b = 0; b < 512; b++)
		ck_assert_int_eq(bad_stage_value(ip, b), b >= 4 && b < 9 ? 'b' : 'a');
	ck_image_flags(&s.m.ram.media, IMAGE_DAX_ALIGNED);
	ddfs_inode_put(ip);
	bad_stage_fini(&s);
}
END_TEST

/* Of blocks that were never written nothing is lost: any write makes them good. */
START_TEST(unwritten)
{
	struct bad_stage s;
	struct ddfs_inode *ip;
	uint8_t buf[BLK];

	begin(&s, _i);
	ip = tree_make_get(s.m.root, "file", S_IFREG | 0644);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, 512 * BLK, NULL), 0);
	for (uint64_t b = 3; b < 6; b++)
		ddfs_bad_note(s.m.fs, (struct ddfs_range){ bad_stage_poison(&s, ip, b), 1 });
	ck_assert_int_eq(bad_stage_value(ip, 4), 0);
	ck_assert_int_eq(tree_fill(ip, 4 * BLK + 10, 20, 'b'), 20);
	ck_assert_int_eq(ddfs_pread(ip, buf, BLK, 4 * BLK), BLK);
	for (unsigned int i = 0; i < BLK; i++)
		ck_assert_int_eq(buf[i], i >= 10 && i < 30 ? 'b' : 0);
	ck_assert_int_eq(bad_stage_value(ip, 3), 0);
	ck_assert_int_eq(bad_stage_value(ip, 5), 0);
	ck_image(&s.m.ram.media);
	ddfs_inode_put(ip);
	bad_stage_fini(&s);
}
END_TEST

/* A file that ends in a bad block can grow: what it had stays lost, what it gains are zeroes. */
START_TEST(grow)
{
	struct ddfs_attr attr = { .size = 8 * BLK };
	struct bad_stage s;
	struct ddfs_inode *ip;

	begin(&s, _i);
	ip = bad_stage_file(&s, "file", 4, 'a');
	ck_assert_int_eq(tree_fill(ip, 4 * BLK, 100, 'a'), 100);
	bad_stage_poison(&s, ip, 4);
	ck_assert_int_eq(ddfs_pread(ip, &(char){ 0 }, 1, 4 * BLK), -EIO);
	ck_assert_int_eq(ddfs_setattr(ip, &attr, DDFS_SET_SIZE, NULL, NULL), 0);
	ck_assert_int_eq(bad_stage_value(ip, 3), 'a');
	ck_assert_int_eq(bad_stage_value(ip, 4), -EIO);
	ck_assert_int_eq(bad_stage_value(ip, 5), 0);
	ddfs_inode_put(ip);
	bad_stage_crash(&s);
	ip = tree_get(s.m.root, "file");
	ck_assert_int_eq(bad_stage_value(ip, 4), -EIO);
	ddfs_inode_put(ip);
	bad_stage_fini(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "reads", reads, 4 },
		{ "overwrite", overwrite, NR_DEVICES },
		{ "overwrite many", overwrite_many, NR_DEVICES },
		{ "partial", partial, NR_DEVICES },
		{ "unit stays", unit_stays, 0 },
		{ "unwritten", unwritten, NR_DEVICES },
		{ "grow", grow, NR_DEVICES },
	};

	return suite_run("fs_bad", cases, sizeof(cases) / sizeof(cases[0]));
}
