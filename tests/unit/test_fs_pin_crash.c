/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon is killed while clients hold pages: what the next mount makes of it. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check_image.h"
#include "tests/unit/pin_stage.h"
#include "tests/unit/pin_table.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* ---- a crash -------------------------------------------------------------------------------- */

START_TEST(nobody_left)
{
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init_crashed(&s, 0);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 0);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_dropped, 1);
	ck_assert_uint_eq(pin_table_nr_records(&s), 0);
	ip = tree_get(s.root, "file");
	ck_assert_int_eq(stage_truncate(ip, 0, NULL), 0);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* The file is as it was, and changes that take its pages wait until the client is gone. */
START_TEST(client_left)
{
	struct pin_waiter w;
	struct pin_stage s;
	struct ddfs_inode *ip;

	stage_init_crashed(&s, 1);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 1);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_dropped, 0);
	ck_assert(stage_said(&s, "still hold"));
	ip = tree_get(s.root, "file");
	pin_waiter_init(&w);
	ck_assert_int_eq(stage_truncate(ip, 9 * BLK, &w.wait), -EINPROGRESS);
	ddfs_pins_tick(s.fs);
	ck_assert_uint_eq(w.nr_wakes, 0);
	/* One crash more. */
	ck_assert(ddfs_wait_cancel(ddfs_fs_layouts(s.fs), &w.wait, -EINTR));
	ddfs_wait_end(ddfs_fs_layouts(s.fs), &w.wait);
	ddfs_inode_put(ip);
	stage_crash(&s, 1);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 1);
	ip = tree_get(s.root, "file");
	pin_waiter_init(&w);
	ck_assert_int_eq(stage_truncate(ip, 9 * BLK, &w.wait), -EINPROGRESS);
	stage_tick_gone(&s);
	ck_assert(stage_said(&s, "are gone"));
	ck_assert_uint_eq(w.nr_wakes, 1);
	ck_assert_int_eq(stage_truncate(ip, 9 * BLK, &w.wait), 0);
	ddfs_wait_end(ddfs_fs_layouts(s.fs), &w.wait);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, 0);
	ck_assert_uint_eq(pin_table_nr_records(&s), 0);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* The file has no name any more: its blocks are in no other while the client is there, whether the
 * filesystem crashes or is unmounted in between; then they come back. */
START_TEST(client_left_of_removed)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t free_before, off, size;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ddfs_inode_put(stage_file(&s, "other", 1));
	free_before = stage_free(&s);
	ip = stage_pinned_file(&s, "file", 256, &off);
	ck_assert_int_eq(tree_unlink(s.root, "file"), 0);
	ddfs_inode_put(ip);
	stage_crash(&s, 1);
	for (int round = 0; round < 3; round++) {
		ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 1);
		ck_assert_uint_eq(stage_recovery(&s).nr_orphans_freed, 0);
		size = stage_fill(&s);
		ck_assert(stage_holds(&s, off, 256 * BLK, 'd'));
		ck_image(&s.ram.media);
		ck_assert_int_eq(tree_unlink(s.root, "ballast"), 0);
		if (round == 0) {
			stage_crash(&s, 1);
		} else if (round == 1) {
			stage_unmount(&s);
			ck_assert_uint_eq(pin_table_nr_slots(&s), 64);
			ck_image(&s.ram.media);
			stage_mount(&s);
			ck_assert(stage_recovery(&s).was_clean);
		}
	}
	stage_tick_gone(&s);
	ck_assert(stage_said(&s, "1024 KiB are free again"));
	ck_assert_uint_eq(stage_free(&s), free_before);
	ck_assert_uint_ge(stage_fill(&s), size + MIB);
	ck_assert(stage_holds(&s, off, 256 * BLK, 'b'));
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* Pins of several mounts: each ends with its own clients. */
START_TEST(epochs)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_pinned_file(&s, "a", 10, &off);
	ddfs_inode_put(ip);
	stage_crash(&s, 1);
	ip = stage_pinned_file(&s, "b", 10, &off);
	stage_pin(&s, ip, 0, 0, 0);
	ddfs_inode_put(ip);
	ck_assert_uint_eq(pin_table_nr_records(&s), 3);
	stage_crash(&s, 2);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 2);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_dropped, 1);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, 2);
	ip = tree_get(s.root, "a");
	ck_assert_int_eq(stage_truncate(ip, 0, NULL), 0);
	ddfs_inode_put(ip);
	stage_tick_gone(&s);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, 0);
	stage_fini(&s);
}
END_TEST

/* It is the lock that counts: a process that lives on without has let go (0), and who has the lock
 * need not be the one that pinned (1). */
START_TEST(half_gone)
{
	struct pin_stage s;
	uint64_t want = _i == 0 ? 0 : 1;

	stage_init_crashed(&s, 1);
	if (_i == 0)
		s.alive_epoch = 0;
	else
		stage_end_clients(&s, 0);
	ddfs_pins_tick(s.fs);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, want);
	stage_unmount(&s);
	stage_mount(&s);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, want);
	s.alive_epoch = 0;
	stage_unmount(&s);
	stage_mount(&s);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_dropped, want);
	stage_fini(&s);
}
END_TEST

/* What clients of a read-only mount hold is not recorded: no mount may write while they are
 * there. */
START_TEST(unrecorded)
{
	struct ddfs_pin_args args = { .mode = DDFS_PIN_MODE_READ, .epoch = 1 };
	struct ddfs_pinned out;
	struct pin_stage s;
	struct ddfs_inode *ip;
	struct ddfs_fs *fs;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", BLK);
	ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, NULL, 0), 0);
	ddfs_pins_release(s.fs, &s.owner);
	/* It has the epoch that a writable mount comes next with. */
	s.opt.readonly = true;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), 0);
	s.opt.readonly = false;
	ck_assert_uint_eq(ddfs_fs_epoch(s.fs), 2);
	ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, NULL, 0), -ESTALE);
	args.epoch = 2;
	ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, NULL, 0), 0);
	ddfs_inode_put(ip);
	stage_unmount(&s);
	s.alive_epoch = 2;
	ck_assert_int_eq(ddfs_fs_open(&s.ram.media, &s.opt, &fs), -EBUSY);
	s.opt.readonly = true;
	stage_mount(&s);
	ck_assert_uint_eq(ddfs_fs_epoch(s.fs), 2);
	s.opt.readonly = false;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), -EBUSY);
	s.alive_epoch = 0;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), 0);
	/* Nor is what they pin when it has become read-only only later. */
	s.opt.readonly = true;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), 0);
	ck_assert_uint_eq(ddfs_fs_epoch(s.fs), 3);
	s.alive_epoch = 3;
	s.opt.readonly = false;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), -EBUSY);
	s.alive_epoch = 2;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), 0);
	ck_assert_uint_eq(ddfs_fs_epoch(s.fs), 3);
	stage_fini(&s);
}
END_TEST

/* ---- read-only and back --------------------------------------------------------------------- */

START_TEST(readonly_after_crash)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off;

	ip = stage_init_pinned(&s, 10, &off);
	ck_assert_int_eq(tree_unlink(s.root, "file"), 0);
	ddfs_inode_put(ip);
	s.opt.readonly = true;
	stage_crash(&s, 1);
	ck_assert_uint_eq(pin_table_nr_records(&s), 1);
	s.opt.readonly = false;
	ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), 0);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, 1);
	ck_assert_uint_eq(ddfs_fs_epoch(s.fs), 2);
	stage_fill(&s);
	ck_assert(stage_holds(&s, off, 10 * BLK, 'd'));
	stage_tick_gone(&s);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "nobody left", nobody_left, 0 },
		{ "client left", client_left, 0 },
		{ "client left of removed", client_left_of_removed, 0 },
		{ "epochs", epochs, 0 },
		{ "half gone", half_gone, 2 },
		{ "unrecorded", unrecorded, 0 },
		{ "read-only after a crash", readonly_after_crash, 0 },
	};

	return suite_run("fs_pin_crash", cases, sizeof(cases) / sizeof(cases[0]));
}
