/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be pinned, what a pin tells, and what it makes of a file. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "tests/unit/check_image.h"
#include "tests/unit/pin_stage.h"
#include "tests/unit/pin_words.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* ---- errors --------------------------------------------------------------------------------- */

START_TEST(arguments)
{
	static const struct {
		uint64_t off, len;
		unsigned int mode, flags;
		int want;
	} calls[] = {
		{ 0, 1, RW, 0, 0 },
		{ 0, 1, READ, 0, 0 },
		{ 0, 1, WRITE, 0, 0 },
		{ 0, 1, 0, 0, -EINVAL },
		{ 0, 1, 4, 0, -EINVAL },
		{ 0, 1, RW, 16, -EINVAL },
		{ 0, 1, RW, DDFS_PIN_GROW, -EINVAL },
		{ 10000, 0, READ, 0, -ENXIO },
		{ 10000, 1, READ, 0, -ENXIO },
		{ 10000, 0, RW, GROW, -ENXIO },
		{ UINT64_MAX, UINT64_MAX, RW, 0, -ENXIO },
		{ 9999, UINT64_MAX, RW, 0, 0 },
		{ DDFS_FILE_SIZE_MAX, 1, RW, GROW, -EFBIG },
		{ 5, DDFS_FILE_SIZE_MAX, RW, GROW, -EFBIG },
		{ UINT64_MAX, 1, RW, GROW, -EFBIG },
		{ 1, UINT64_MAX, RW, GROW, -EFBIG },
		{ 0, DDFS_FILE_SIZE_MAX, RW, GROW, -ENOSPC },
	};
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", 10000);
	for (size_t i = 0; i < NR(calls); i++)
		ck_assert_msg(stage_try_pin(&s, ip, calls[i].off, calls[i].len, calls[i].mode,
				      calls[i].flags) == calls[i].want,
			"call %zu", i);
	ck_assert_uint_eq(stage_size(ip), 10000);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, 0);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

START_TEST(kinds)
{
	struct ddfs_inode *ip;
	struct pin_stage s;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ck_assert_int_eq(stage_try_pin(&s, s.root, 0, 1, READ, 0), -EISDIR);
	ip = tree_make_get(s.root, "fifo", S_IFIFO | 0644);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 1, READ, 0), -EINVAL);
	ddfs_inode_put(ip);
	ip = stage_file(&s, "empty", 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, READ, 0), -ENXIO);
	ddfs_inode_put(ip);
	ip = stage_file(&s, "file", 100);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_IMMUTABLE), 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, READ, 0), 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, RW, 0), -EPERM);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, READ, FAULT), -EPERM);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_APPEND), 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, READ, 0), 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, WRITE, 0), -EPERM);
	ck_assert_int_eq(ddfs_set_flags(ip, 0), 0);
	ck_assert_int_eq(tree_unlink(s.root, "file"), 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, READ, 0), -ESTALE);
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

START_TEST(not_dax)
{
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 32 * MIB, BLK, &(struct ddfs_fs_options){ .dax = DDFS_DAX_INODE });
	ip = stage_file(&s, "file", 10000);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, READ, 0), -EOPNOTSUPP);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_DAX), 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, READ, 0), 0);
	/* One that is pinned stays what it is, open or not. */
	stage_pin(&s, ip, 0, 0, 0);
	ck_assert_int_eq(ddfs_open(ip, O_RDONLY, false, NULL), 0);
	ck_assert_int_eq(ddfs_set_flags(ip, 0), 0);
	ddfs_release(ip);
	ck_assert(ddfs_inode_is_dax(ip));
	ddfs_pins_release(s.fs, &s.owner);
	ck_assert(!ddfs_inode_is_dax(ip));
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* Pins for reading work, unrecorded; and as many of a page as there is room to count. */
START_TEST(readonly)
{
	struct ddfs_inode *ip;
	struct pin_stage s;
	int err = 0;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", 10000);
	ddfs_inode_put(ip);
	stage_unmount(&s);
	s.opt.readonly = true;
	stage_mount(&s);
	ip = tree_get(s.root, "file");
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, RW, 0), -EROFS);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, READ, FAULT), -EROFS);
	for (unsigned int i = 0; i <= DDFS_PAGE_HOLDS_MAX && !err; i++) {
		struct ddfs_pinned out;

		err = stage_pin_args(
			&s, ip, (struct ddfs_pin_args){ .len = 1, .mode = READ }, &out, NULL, 0);
	}
	ck_assert_int_eq(err, -EUSERS);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, DDFS_PAGE_HOLDS_MAX);
	s.opt.readonly = false;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), -EBUSY);
	ck_assert(stage_said(&s, "pinned"));
	ddfs_pins_release(s.fs, &s.owner);
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), 0);
	ck_assert_int_eq(stage_try_pin(&s, ip, 0, 0, RW, 0), 0);
	stage_pin(&s, ip, 0, 0, 0);
	s.opt.readonly = true;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), -EBUSY);
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* ---- what is covered ------------------------------------------------------------------------ */

START_TEST(ranges)
{
	static const struct {
		uint64_t off, len;
		unsigned int flags;
		uint64_t first, last; /* blocks */
	} calls[] = {
		{ 0, 0, 0, 0, 1025 },
		{ 0, UINT64_MAX, 0, 0, 1025 },
		{ 0, 1, 0, 0, 1 },
		{ 4095, 2, 0, 0, 2 },
		{ 4096, 4096, 0, 1, 2 },
		{ 4 * MIB, 0, 0, 1024, 1025 },
		{ 4 * MIB - 1, 50, 0, 1023, 1025 },
		{ 4 * MIB + 4, 1, 0, 1024, 1025 },
		{ 0, 1, UNITS, 0, 512 },
		{ UNIT - 1, 2, UNITS, 0, 1024 },
		{ UNIT, 1, UNITS | FAULT, 512, 1024 },
		{ 4 * MIB, 0, UNITS | FAULT, 1024, 1536 },
		{ 4, UINT64_MAX, UNITS | FAULT, 0, 1536 },
	};
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 64 * MIB, UNIT, NULL);
	ip = stage_file(&s, "file", 4 * MIB + 5);
	for (size_t i = 0; i < NR(calls); i++) {
		struct ddfs_pin_args args = { .off = calls[i].off,
			.len = calls[i].len,
			.mode = RW,
			.flags = calls[i].flags };
		struct ddfs_file_extent e;
		struct ddfs_pinned out;

		ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, &e, 1), 0);
		ck_assert_msg(out.off == calls[i].first * BLK &&
				      out.len == (calls[i].last - calls[i].first) * BLK,
			"call %zu: %llu+%llu", i, (unsigned long long)out.off,
			(unsigned long long)out.len);
		ck_assert_uint_eq(out.nr_extents, 1);
		ck_assert(!e.hole && !e.unwritten && e.off == out.off && e.len == out.len);
		ck_assert_uint_eq(stage_stats(&s).nr_pages, out.len / BLK);
		stage_unpin(&s, out.id);
	}
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

static bool is_same_extent(const struct ddfs_file_extent *a, const struct ddfs_file_extent *b)
{
	return a->off == b->off && a->len == b->len && a->device_off == b->device_off &&
	       a->hole == b->hole && a->unwritten == b->unwritten && a->bad == b->bad;
}

START_TEST(snapshot)
{
	struct ddfs_pin_args args = { .off = BLK, .len = 300 * BLK, .mode = READ };
	struct ddfs_file_extent e[301], part[7];
	struct ddfs_pinned out;
	struct pin_stage s;
	struct ddfs_inode *ip;
	int n = 0;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_patchwork(&s, 303);
	ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, e, 301), 0);
	ck_assert_uint_eq(out.nr_extents, 300);
	ck_assert_uint_eq(stage_stats(&s).nr_pages, 100);
	for (unsigned int i = 0; i < 300; i++) {
		ck_assert_uint_eq(e[i].off, (i + 1) * BLK);
		ck_assert_uint_eq(e[i].len, BLK);
		ck_assert_int_eq(e[i].hole, (i + 1) % 3 == 1);
		ck_assert_int_eq(e[i].unwritten, (i + 1) % 3 == 2);
		ck_assert(!e[i].hole == !!e[i].device_off);
	}
	/* What it was when it was made, in parts. */
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, 303 * BLK, NULL), 0);
	for (unsigned int from = 0;
		(n = ddfs_pin_extents(s.fs, &s.owner, out.id, from, part, 7)) > 0;
		from += (unsigned int)n) {
		ck_assert_int_eq(n, from + 7 <= 300 ? 7 : (int)(300 - from));
		for (int i = 0; i < n; i++)
			ck_assert(is_same_extent(&part[i], &e[from + (unsigned int)i]));
	}
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(ddfs_pin_extents(s.fs, &s.owner, out.id, UINT32_MAX, part, 7), 0);
	ck_assert_int_eq(ddfs_pin_extents(s.fs, &s.owner, out.id + 1, 0, part, 7), -ENOENT);
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* A pin of nothing but holes holds nothing, and is one all the same. */
START_TEST(holes)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t id;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", 0);
	ck_assert_int_eq(stage_truncate(ip, DDFS_FILE_SIZE_MAX, NULL), 0);
	id = stage_pin(&s, ip, 0, 0, 0);
	ck_assert_uint_eq(stage_stats(&s).nr_pages, 0);
	ck_assert_int_eq(stage_truncate(ip, 0, NULL), 0);
	stage_unpin(&s, id);
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* ---- times ---------------------------------------------------------------------------------- */

static bool newer(struct ddfs_inode *ip, struct timespec *t)
{
	struct timespec then = *t;
	struct ddfs_attr a;

	ddfs_getattr(ip, &a);
	*t = a.mtime;
	return a.mtime.tv_sec > then.tv_sec ||
	       (a.mtime.tv_sec == then.tv_sec && a.mtime.tv_nsec > then.tv_nsec);
}

START_TEST(times)
{
	struct timespec t = { 0 };
	struct ddfs_pinned out;
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t id;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", 10000);
	ck_assert(newer(ip, &t));
	ck_assert_int_eq(
		stage_pin_args(&s, ip, (struct ddfs_pin_args){ .mode = READ }, &out, NULL, 0), 0);
	stage_unpin(&s, out.id);
	ck_assert(!newer(ip, &t));
	id = stage_pin(&s, ip, 0, 0, 0);
	ck_assert(newer(ip, &t));
	stage_unpin(&s, id);
	ck_assert(newer(ip, &t));
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* ---- query and sync ------------------------------------------------------------------------- */

START_TEST(query)
{
	struct ddfs_file_extent e[5];
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t next, off = 100;
	unsigned int nr = 0;
	int n;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_patchwork(&s, 30);
	while ((n = ddfs_layout_query(ip, off, 0, false, e, 5, &next)) > 0) {
		for (int i = 0; i < n; i++, nr++) {
			ck_assert_uint_eq(e[i].off, off);
			ck_assert_int_eq(e[i].hole, nr % 3 == 1);
			ck_assert_int_eq(e[i].unwritten, nr % 3 == 2);
			off += e[i].len;
		}
		ck_assert_uint_eq(next, off);
	}
	ck_assert_int_eq(n, 0);
	ck_assert_uint_eq(off, 30 * BLK);
	ck_assert_uint_eq(nr, 30);
	ck_assert_int_eq(ddfs_layout_query(ip, 5 * BLK + 7, 2 * BLK, false, e, 5, &next), 3);
	ck_assert_uint_eq(e[1].device_off % BLK, 0);
	ck_assert_uint_eq(e[0].device_off % BLK, 7);
	ck_assert_uint_eq(e[2].len, 7);
	ck_assert_uint_eq(next, 7 * BLK + 7);
	ck_assert_int_eq(ddfs_layout_query(ip, UINT64_MAX, 5, false, e, 5, &next), 0);
	ck_assert_int_eq(ddfs_layout_query(ip, 0, 1, false, e, 0, &next), 0);
	ck_assert_uint_eq(next, 0);
	ck_assert_int_eq(ddfs_layout_query(ip, 3 * BLK, 9 * BLK, true, e, 5, &next), 5);
	for (n = 0; n < 5; n++)
		ck_assert(!e[n].hole && !e[n].unwritten);
	ck_assert_int_eq(ddfs_layout_query(s.root, 0, 0, false, e, 5, &next), -EISDIR);
	ck_assert_int_eq(ddfs_set_flags(ip, DDFS_FLAG_IMMUTABLE), 0);
	ck_assert_int_eq(ddfs_layout_query(ip, 0, 0, true, e, 5, &next), -EPERM);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

START_TEST(sync_range)
{
	struct ddfs_media_stats *st;
	unsigned long long before;
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init(&s, 32 * MIB, BLK, NULL);
	st = &s.ram.media.stats;
	ip = stage_patchwork(&s, 30);
	before = st->deep_flushes;
	ck_assert_int_eq(ddfs_sync_range(ip, 0, 0), 0);
	ck_assert_int_eq(ddfs_sync_range(ip, 5, UINT64_MAX), 0);
	ck_assert_int_eq(ddfs_sync_range(ip, UINT64_MAX, 1), 0);
	ck_assert_uint_eq(st->deep_flushes, before + 3);
	ck_assert_int_eq(ddfs_sync_range(s.root, 0, 0), -EISDIR);
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "arguments", arguments, 0 },
		{ "kinds", kinds, 0 },
		{ "not dax", not_dax, 0 },
		{ "readonly", readonly, 0 },
		{ "ranges", ranges, 0 },
		{ "snapshot", snapshot, 0 },
		{ "holes", holes, 0 },
		{ "times", times, 0 },
		{ "query", query, 0 },
		{ "sync range", sync_range, 0 },
	};

	return suite_run("fs_pin", cases, sizeof(cases) / sizeof(cases[0]));
}
