/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins that have a file filled in: holes, its growth, whole units, and what then lies behind its
 * end. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check_image.h"
#include "tests/unit/pin_stage.h"
#include "tests/unit/pin_words.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* All free space holds what a file held once. */
static void litter(struct pin_stage *s)
{
	struct ddfs_inode *ip = stage_file(s, "litter", 0);
	uint64_t off = 0;
	ssize_t n;

	while ((n = tree_fill(ip, off, MIB, 'x')) > 0)
		off += (uint64_t)n;
	ddfs_inode_put(ip);
	ck_assert_int_eq(tree_unlink(s->root, "litter"), 0);
}

START_TEST(fault)
{
	struct ddfs_pin_args args = { .mode = RW, .flags = FAULT };
	struct ddfs_file_extent e[303];
	struct ddfs_pinned out;
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 32 * MIB, BLK, NULL);
	litter(&s);
	ip = stage_patchwork(&s, 303);
	ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, e, 303), 0);
	ck_assert_uint_eq(stage_stats(&s).nr_pages, 303);
	for (unsigned int i = 0; i < out.nr_extents; i++)
		ck_assert(!e[i].hole && !e[i].unwritten);
	for (unsigned int i = 0; i < 303; i++) {
		ck_assert(stage_reads(ip, i * BLK, BLK, i % 3 ? 0 : 'p'));
		ck_assert_int_eq(*stage_memory(&s, ip, i * BLK), i % 3 ? 0 : 'p');
	}
	ck_assert_uint_eq(stage_size(ip), 303 * BLK);
	ck_image(&s.ram.media);
	/* What a client stores is what the file reads. */
	memset(stage_memory(&s, ip, 7 * BLK), 'c', BLK);
	ck_assert(stage_reads(ip, 7 * BLK, BLK, 'c'));
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* A range of which nothing lies before the end of file: no page is made for it. */
START_TEST(fault_behind_end)
{
	static const uint64_t offs[] = { BLK, BLK + 1, 5 * BLK - 1, MIB, (UINT64_C(1) << 40) - 1 };
	struct ddfs_attr before, after;
	struct ddfs_file_extent e;
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t next;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", BLK);
	ddfs_getattr(ip, &before);
	for (unsigned int i = 0; i < 2 * NR(offs); i++) {
		uint64_t off = offs[i / 2];

		ck_assert_int_eq(ddfs_layout_query(ip, off, i % 2, true, &e, 1, &next), 0);
		ck_assert_uint_eq(next, off);
	}
	ddfs_getattr(ip, &after);
	ck_assert_uint_eq(after.sectors, before.sectors);
	ck_assert_uint_eq(after.size, before.size);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

START_TEST(fault_without_space)
{
	struct ddfs_attr before, after;
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_patchwork(&s, 303);
	ck_assert_int_eq(stage_truncate(ip, 64 * MIB, NULL), 0);
	ddfs_getattr(ip, &before);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, RW, FAULT), -ENOSPC);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 128 * MIB, RW, GROW), -ENOSPC);
	ddfs_getattr(ip, &after);
	ck_assert_int_eq(memcmp(&before, &after, sizeof(before)), 0);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, 0);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* Much more than one step of a fault, in units of a gigabyte too. */
START_TEST(fault_large)
{
	uint64_t unit = _i ? 1024 * MIB : UNIT;
	struct ddfs_file_extent e;
	struct ddfs_pinned out;
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 4 * 1024 * MIB, unit, NULL);
	ip = stage_file(&s, "file", 1);
	ck_assert_int_eq(stage_pin_args(&s, ip,
				 (struct ddfs_pin_args){
					 .len = 300 * MIB, .mode = RW, .flags = GROW | UNITS },
				 &out, &e, 1),
		0);
	ck_assert_uint_eq(out.len, _i ? unit : 300 * MIB);
	ck_assert_uint_eq(out.nr_extents, 1);
	ck_assert_uint_eq(e.device_off % unit, 0);
	ck_assert_uint_eq(stage_size(ip), 300 * MIB);
	ck_assert(stage_reads(ip, 1, MIB, 0));
	ck_assert(stage_reads(ip, 299 * MIB, MIB, 0));
	ddfs_inode_put(ip);
	ck_image_flags(&s.ram.media, IMAGE_DAX_ALIGNED);
	stage_fini(&s);
}
END_TEST

START_TEST(grow)
{
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 32 * MIB, BLK, NULL);
	litter(&s);
	ip = stage_file(&s, "file", 0);
	stage_pin(&s, ip, 0, 10000, GROW);
	ck_assert_uint_eq(stage_size(ip), 10000);
	ck_assert(stage_reads(ip, 0, 10000, 0));
	stage_pin(&s, ip, 100, 50, GROW);
	ck_assert_uint_eq(stage_size(ip), 10000);
	stage_pin(&s, ip, 50000, 50, GROW);
	ck_assert_uint_eq(stage_size(ip), 50050);
	ck_assert(stage_reads(ip, 0, 50050, 0));
	ck_assert_uint_eq(stage_stats(&s).nr_pages, 3 + 1 + 1);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* ---- whole units ---------------------------------------------------------------------------- */

/* Sparse units are holes as a whole; a file that was made before it was a DAX file does not fit. */
START_TEST(units)
{
	struct ddfs_file_extent e[3];
	struct ddfs_pinned out;
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 64 * MIB, UNIT, NULL);
	ip = stage_file(&s, "sparse", 0);
	ck_assert_int_eq(tree_fill(ip, 2 * UNIT + 5, 10, 's'), 10);
	ck_assert_int_eq(stage_truncate(ip, 4 * UNIT, NULL), 0);
	ck_assert_int_eq(
		stage_pin_args(
			&s, ip, (struct ddfs_pin_args){ .mode = READ, .flags = UNITS }, &out, e, 3),
		0);
	ck_assert_uint_eq(out.nr_extents, 4);
	ck_assert(e[0].hole && e[0].len == 2 * UNIT);
	ck_assert(!e[1].hole && !e[1].unwritten && e[1].len == BLK);
	ck_assert(e[2].unwritten && e[2].len == UNIT - BLK);
	ck_assert_uint_eq(e[2].device_off, e[1].device_off + BLK);
	stage_pin(&s, ip, 0, 0, FAULT | UNITS);
	ck_assert_uint_eq(stage_stats(&s).nr_pages, 1 + 4 * UNIT / BLK);
	ddfs_inode_put(ip);
	ck_image_flags(&s.ram.media, IMAGE_DAX_ALIGNED);
	stage_fini(&s);
}
END_TEST

/* Out of step with the device (0), mapped in part (1), in step but of two pieces (2). */
static void lay_out_badly(struct ddfs_inode *ip, unsigned int how)
{
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_DAX), 0);
	ck_assert_int_eq(tree_fill(ip, 0, 2 * UNIT, 'a'), (ssize_t)(2 * UNIT));
	ck_assert_int_eq(ddfs_set_flags(ip, 0), 0);
	if (how == 0)
		ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 0, 5 * BLK, NULL), 0);
	else if (how == 1)
		ck_assert_int_eq(ddfs_fallocate(ip, PUNCH, 10 * BLK, BLK, NULL), 0);
	else
		ck_assert_int_eq(
			ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, UNIT / 2, UNIT, NULL), 0);
}

START_TEST(misfits)
{
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 64 * MIB, UNIT, &(struct ddfs_fs_options){ .dax = DDFS_DAX_INODE });
	ip = stage_file(&s, "file", 0);
	lay_out_badly(ip, (unsigned int)_i);
	ck_assert_int_eq(stage_truncate(ip, UNIT, NULL), 0);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_DAX), 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, RW, UNITS), -EOPNOTSUPP);
	ck_assert(stage_said(&s, "can't be mapped"));
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, RW, UNITS | FAULT), -EOPNOTSUPP);
	/* Said once. */
	ck_assert(!stage_said(&s, "can't be mapped"));
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, RW, FAULT), 0);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* ---- behind the end of file ----------------------------------------------------------------- */

static void grow_truncate(struct pin_stage *s, struct ddfs_inode *ip, uint64_t to)
{
	(void)s;
	ck_assert_int_eq(stage_truncate(ip, to, NULL), 0);
}

static void grow_write(struct pin_stage *s, struct ddfs_inode *ip, uint64_t to)
{
	(void)s;
	ck_assert_int_eq(tree_fill(ip, to - 10, 10, 0), 10);
}

static void grow_allocate(struct pin_stage *s, struct ddfs_inode *ip, uint64_t to)
{
	(void)s;
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, to, NULL), 0);
}

static void grow_zero(struct pin_stage *s, struct ddfs_inode *ip, uint64_t to)
{
	(void)s;
	ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_ZERO_RANGE, to - 10, 10, NULL), 0);
}

static void grow_pin(struct pin_stage *s, struct ddfs_inode *ip, uint64_t to)
{
	stage_pin(s, ip, to - 10, 10, GROW | UNITS);
}

static void grow_copy(struct pin_stage *s, struct ddfs_inode *ip, uint64_t to)
{
	struct ddfs_inode *hole = stage_file(s, "hole", 0);
	uint64_t size = stage_size(ip), done = 0;

	ck_assert_int_eq(stage_truncate(hole, to, NULL), 0);
	while (size + done < to) {
		ssize_t n = ddfs_copy_range(hole, 0, ip, size + done, to - size - done, NULL);

		ck_assert_int_gt(n, 0);
		done += (uint64_t)n;
	}
	ddfs_inode_put(hole);
}

static void (*const growers[])(struct pin_stage *s, struct ddfs_inode *ip, uint64_t to) = {
	grow_truncate,
	grow_write,
	grow_allocate,
	grow_zero,
	grow_pin,
	grow_copy,
};

/* What a client stored behind the end of file, where its mapping reached, is not the file's when it
 * grows; whether the client is still there or not. */
static void grow_over_litter(unsigned int how, bool pinned, uint64_t size, uint64_t to)
{
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 64 * MIB, UNIT, NULL);
	litter(&s);
	ip = stage_file(&s, "file", size);
	stage_pin(&s, ip, 0, 0, FAULT | UNITS);
	memset(stage_memory(&s, ip, 0) + size, 'j', UNIT - size);
	/* Copying onto pinned pages waits. */
	if (!pinned || growers[how] == grow_copy)
		ddfs_pins_release(s.fs, &s.owner);
	growers[how](&s, ip, to);
	ck_assert_uint_eq(stage_size(ip), to);
	ck_assert(stage_reads(ip, 0, size, 'd'));
	ck_assert(stage_reads(ip, size, to - size, 0));
	/* And on. */
	grow_truncate(&s, ip, 2 * UNIT);
	ck_assert(stage_reads(ip, size, 2 * UNIT - size, 0));
	ddfs_inode_put(ip);
	ck_image_flags(&s.ram.media, IMAGE_DAX_ALIGNED);
	stage_fini(&s);
}

START_TEST(behind_end)
{
	bool pinned = _i % 2;
	unsigned int how = (unsigned int)_i / 2;

	grow_over_litter(how, pinned, 10000, 10020);
	grow_over_litter(how, pinned, 10000, 100000);
	grow_over_litter(how, pinned, 2 * BLK, UNIT);
	grow_over_litter(how, pinned, 1, UNIT + 10 * BLK);
}
END_TEST

/* The same after what lies behind the end has moved, or the file has become an ordinary one. */
START_TEST(behind_end_moved)
{
	uint64_t size = 3 * UNIT + 10000;
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 64 * MIB, UNIT, &(struct ddfs_fs_options){ .dax = DDFS_DAX_INODE });
	litter(&s);
	ip = stage_file(&s, "file", 0);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_DAX), 0);
	ck_assert_int_eq(tree_fill(ip, 0, size, 'd'), (ssize_t)size);
	stage_pin(&s, ip, 0, 0, FAULT | UNITS);
	memset(stage_memory(&s, ip, 3 * UNIT) + 10000, 'j', UNIT - 10000);
	ddfs_pins_release(s.fs, &s.owner);
	if (_i & 4)
		ck_assert_int_eq(ddfs_set_flags(ip, 0), 0);
	if (_i & 1)
		ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, UNIT,
					 _i & 4 ? 7 * BLK : UNIT, NULL),
			0);
	if (_i & 2)
		ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_INSERT_RANGE, 0,
					 _i & 4 ? 510 * BLK : UNIT, NULL),
			0);
	size = stage_size(ip);
	ck_assert_int_eq(stage_truncate(ip, size + 3 * UNIT, NULL), 0);
	ck_assert(stage_reads(ip, size, 3 * UNIT, 0));
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "fault", fault, 0 },
		{ "fault behind end", fault_behind_end, 0 },
		{ "fault without space", fault_without_space, 0 },
		{ "fault large", fault_large, 2 },
		{ "grow", grow, 0 },
		{ "units", units, 0 },
		{ "misfits", misfits, 3 },
		{ "behind end", behind_end, 2 * NR(growers) },
		{ "behind end, moved", behind_end_moved, 8 },
	};

	return suite_run("fs_pin_fault", cases, sizeof(cases) / sizeof(cases[0]));
}
