/* SPDX-License-Identifier: BSD-3-Clause */
/* What pins leave on media: records, damaged ones, and the page map. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mkfs.h"
#include "tests/unit/check_image.h"
#include "tests/unit/pin_stage.h"
#include "tests/unit/pin_table.h"
#include "tests/unit/pin_words.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* ---- records -------------------------------------------------------------------------------- */

START_TEST(recorded)
{
	const struct ddfs_pin_record *r;
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off, id;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ck_assert_uint_eq(pin_table_nr_slots(&s), 0);
	ip = stage_pinned_file(&s, "file", 10, &off);
	ck_assert_uint_eq(pin_table_nr_slots(&s), 64);
	ck_assert_uint_eq(pin_table_nr_records(&s), 1);
	r = pin_table_record(&s, 0);
	ck_assert_uint_eq(ddfs_le32(r->epoch), 1);
	ck_assert_uint_eq(ddfs_fs_epoch(s.fs), 1);
	ck_assert_uint_eq(ddfs_le32(r->ino), (uint32_t)ddfs_inode_id(ip));
	ck_assert_uint_eq(ddfs_le32(r->gen), (uint32_t)(ddfs_inode_id(ip) >> 32));
	ck_assert_uint_eq(ddfs_le32(r->lblk), 0);
	ck_assert_uint_eq(ddfs_le32(r->len), 10);
	ck_assert_uint_eq(ddfs_le64(r->start) * BLK, off);
	ck_assert_uint_eq(ddfs_le32(r->pid), (uint32_t)ddfs_holder_pid(s.holder));
	/* The lowest slot that is free. */
	id = stage_pin(&s, ip, 0, 1, 0);
	stage_pin(&s, ip, 0, 2 * BLK, 0);
	stage_unpin(&s, id);
	ck_assert(!pin_table_has_record(&s, 1));
	stage_pin(&s, ip, 0, 3 * BLK, 0);
	ck_assert_uint_eq(ddfs_le32(pin_table_record(&s, 1)->len), 3);
	ddfs_inode_put(ip);
	stage_unmount(&s);
	ck_assert_uint_eq(pin_table_nr_records(&s), 0);
	ck_assert_uint_eq(pin_table_nr_slots(&s), 0);
	stage_mount(&s);
	ck_assert_uint_eq(ddfs_fs_epoch(s.fs), 2);
	stage_fini(&s);
}
END_TEST

/* A pin of several runs wants a record for each; one that does not get them all leaves none. */
START_TEST(table_full)
{
	struct ddfs_pin_args args = { .len = 1, .mode = RW };
	struct ddfs_pinned out;
	struct pin_stage s;
	struct ddfs_inode *ip, *other;
	unsigned int nr = 0;
	int err;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", 0);
	other = stage_file(&s, "other", 0);
	for (unsigned int i = 0; i < 10; i++) {
		ck_assert_int_eq(tree_fill(ip, 2 * i * BLK, 1, 'x'), 1);
		ck_assert_int_eq(tree_fill(other, 2 * i * BLK, 1, 'x'), 1);
	}
	while (!(err = stage_pin_args(&s, ip, args, &out, NULL, 0)))
		nr++;
	ck_assert_int_eq(err, -ENOLCK);
	ck_assert_uint_eq(nr, 65536 / 64 - 1);
	ck_assert_uint_eq(pin_table_nr_records(&s), nr);
	ck_assert_uint_eq(pin_table_nr_slots(&s), nr);
	ck_assert_uint_eq(stage_stats(&s).nr_pins, nr);
	ddfs_pins_release(s.fs, &s.owner);
	for (unsigned int i = 0; i < nr - 5; i++)
		ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, NULL, 0), 0);
	args.len = 0;
	ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, NULL, 0), -ENOLCK);
	ck_assert_uint_eq(pin_table_nr_records(&s), nr - 5);
	stage_unpin(&s, out.id);
	args.len = 9 * BLK;
	ck_assert_int_eq(stage_pin_args(&s, ip, args, &out, NULL, 0), 0);
	ddfs_inode_put(other);
	ddfs_inode_put(ip);
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------- */

START_TEST(head_damaged)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off;

	ip = stage_init_pinned(&s, 10, &off);
	ddfs_inode_put(ip);
	s.ram.writable[pin_table_off(&s) + 4] ^= 0x55;
	stage_crash(&s, 1);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 1);
	ck_assert(stage_said(&s, "head of the pin table"));
	stage_tick_gone(&s);
	stage_unmount(&s);
	ck_assert_uint_eq(pin_table_nr_slots(&s), 0);
	stage_mount(&s);
	stage_fini(&s);
}
END_TEST

START_TEST(record_damaged)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off;

	ip = stage_init_pinned(&s, 10, &off);
	stage_pin(&s, ip, 0, 1, 0);
	ddfs_inode_put(ip);
	((uint8_t *)pin_table_record(&s, 0))[4 + _i % 60] ^= 0x55;
	stage_crash(&s, 1);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 1);
	stage_fini(&s);
}
END_TEST

static const struct {
	uint32_t epoch, lblk, len, mode;
	uint64_t start;
} nonsense[] = {
	{ 1, 0, 0, 3, 5000 },
	{ 1, 0, 1, 0, 5000 },
	{ 1, 0, 1, 4, 5000 },
	{ 1, 0, 1, 3, 0 },
	{ 1, 0, 1, 3, UINT64_MAX },
	{ 1, 0, 1, 3, 8190 },
	{ 1, 0, UINT32_MAX, 3, 5000 },
	{ 1, UINT32_MAX, 2, 3, 5000 },
	{ 1, 0, 2, 3, 8189 },
};

START_TEST(record_nonsense)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off;

	ip = stage_init_pinned(&s, 10, &off);
	ddfs_inode_put(ip);
	pin_table_forge(&s, 3,
		(struct ddfs_pin_record){ .epoch = ddfs_to32(nonsense[_i].epoch),
			.ino = pin_table_record(&s, 0)->ino,
			.gen = pin_table_record(&s, 0)->gen,
			.lblk = ddfs_to32(nonsense[_i].lblk),
			.len = ddfs_to32(nonsense[_i].len),
			.start = ddfs_to64(nonsense[_i].start),
			.mode = ddfs_to32(nonsense[_i].mode) });
	stage_crash(&s, 1);
	ck_assert(stage_said(&s, "what cannot be"));
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 1);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_dropped, 1);
	ck_assert(!pin_table_has_record(&s, 3));
	stage_fini(&s);
}
END_TEST

/* A record without its file keeps the blocks from everybody else: free ones (0), another file's
 * (1), those of an inode of another generation (2), in another place of the file (3). */
START_TEST(strays)
{
	struct pin_stage s;
	struct ddfs_inode *ip, *other;
	struct ddfs_pin_record r;
	uint64_t off, other_off, free_before, size;

	ip = stage_init_pinned(&s, 10, &off);
	other = stage_pinned_file(&s, "other", 300, &other_off);
	r = *pin_table_record(&s, 1);
	if (_i == 0) {
		r.start = ddfs_to64(6000);
		memset(s.ram.writable + 6000 * BLK, 'd', 300 * BLK);
		other_off = 6000 * BLK;
	} else if (_i == 1) {
		r.ino = pin_table_record(&s, 0)->ino;
		r.gen = pin_table_record(&s, 0)->gen;
	} else if (_i == 2) {
		r.gen = ddfs_to32(ddfs_le32(r.gen) + 1);
	} else {
		r.lblk = ddfs_to32(1);
	}
	pin_table_forge(&s, 1, r);
	ddfs_inode_put(other);
	ddfs_inode_put(ip);
	stage_crash(&s, 1);
	ck_assert_uint_eq(stage_recovery(&s).nr_pins_kept, 2);
	ck_assert(stage_said(&s, "which has them not"));
	free_before = stage_free(&s);
	/* Whose they are does not wait, and gives them to nobody. */
	ck_assert_int_eq(tree_unlink(s.root, "other"), 0);
	ck_assert_uint_eq(stage_free(&s), free_before + (_i ? 0 : 300));
	size = stage_fill(&s);
	ck_assert(stage_holds(&s, other_off, 300 * BLK, 'd'));
	ck_assert_int_eq(tree_unlink(s.root, "ballast"), 0);
	/* As often as it is unmounted and mounted. */
	stage_unmount(&s);
	ck_image_flags(&s.ram.media, IMAGE_STRAY_PINS);
	stage_mount(&s);
	ck_assert_uint_eq(stage_free(&s), free_before + (_i ? 0 : 300));
	/* But for the nodes of the map. */
	ck_assert_uint_le(stage_fill(&s), size + 64 * BLK);
	ck_assert(stage_holds(&s, other_off, 300 * BLK, 'd'));
	ck_assert_int_eq(tree_unlink(s.root, "ballast"), 0);
	stage_tick_gone(&s);
	ck_assert_uint_eq(stage_free(&s), free_before + (_i ? 300 : 600));
	ck_image(&s.ram.media);
	stage_fini(&s);
}
END_TEST

/* Others' pins of a page that a stray covers are not mixed up with it. */
START_TEST(stray_and_pin)
{
	struct pin_waiter w;
	struct pin_stage s;
	struct ddfs_inode *ip;
	struct ddfs_pin_record r;
	uint64_t off, id;

	ip = stage_init_pinned(&s, 10, &off);
	r = *pin_table_record(&s, 0);
	r.gen = ddfs_to32(99);
	r.len = ddfs_to32(3);
	pin_table_forge(&s, 0, r);
	ddfs_inode_put(ip);
	stage_crash(&s, 1);
	ip = tree_get(s.root, "file");
	id = stage_pin(&s, ip, 0, 0, 0);
	pin_waiter_init(&w);
	ck_assert_int_eq(stage_truncate(ip, 0, &w.wait), -EINPROGRESS);
	stage_unpin(&s, id);
	ck_assert_uint_eq(w.nr_wakes, 1);
	ck_assert_int_eq(stage_truncate(ip, 0, &w.wait), 0);
	ddfs_wait_end(ddfs_fs_layouts(s.fs), &w.wait);
	stage_fill(&s);
	ck_assert(stage_holds(&s, off, 3 * BLK, 'd'));
	ck_assert(!stage_holds(&s, off + 3 * BLK, 7 * BLK, 'd'));
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* ---- the pagemap on the device -------------------------------------------------------------- */

static void mkfs_with_map(struct pin_stage *s, bool on_device)
{
	struct ddfs_mkfs p = { .map_dev = on_device };
	struct ddfs_geometry g;

	memset(s, 0, sizeof(*s));
	ram_init(&s->ram, 64 * MIB, BLK);
	memset(s->ram.writable, 0xa5, 64 * MIB);
	ck_assert_int_eq(ddfs_geometry_init(64 * MIB, BLK, on_device, &g), 0);
	ck_assert_int_eq(ddfs_mkfs(&s->ram.media, &p, &g), 0);
	s->opt.dax = DDFS_DAX_ALWAYS;
	s->opt.log = ram_log_nothing;
	s->opt.clients_alive = stage_is_alive;
	s->opt.clients_arg = s;
}

static bool map_is_zero(const struct pin_stage *s)
{
	return stage_holds(s, ddfs_le64(pin_table_super(s)->pagemap_off),
		ddfs_le64(pin_table_super(s)->pagemap_bytes), 0);
}

START_TEST(map_on_device)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off;

	mkfs_with_map(&s, true);
	ck_assert(map_is_zero(&s));
	s.opt.map = _i ? DDFS_PAGEMAP_DEV : DDFS_PAGEMAP_AUTO;
	stage_mount(&s);
	ip = stage_pinned_file(&s, "file", 10, &off);
	ck_assert(!map_is_zero(&s));
	ddfs_inode_put(ip);
	/* What a crash leaves there counts for nobody, wherever the next mount keeps it. */
	s.opt.map = DDFS_PAGEMAP_MEM;
	stage_crash(&s, 0);
	ck_assert(map_is_zero(&s));
	ip = stage_pinned_file(&s, "file2", 10, &off);
	ck_assert(map_is_zero(&s));
	ddfs_inode_put(ip);
	stage_unmount(&s);
	s.opt.map = DDFS_PAGEMAP_DEV;
	stage_mount(&s);
	ip = tree_get(s.root, "file");
	ck_assert_int_eq(stage_truncate(ip, 0, NULL), 0);
	ddfs_inode_put(ip);
	stage_unmount(&s);
	ck_assert(map_is_zero(&s));
	stage_mount(&s);
	stage_fini(&s);
}
END_TEST

/* A read-only mount (0), and one that became so (1), hold pages of a filesystem that the next mount
 * may find clean: none of that is there then. */
START_TEST(map_of_readonly)
{
	struct pin_stage s;
	struct ddfs_inode *ip;

	mkfs_with_map(&s, true);
	s.opt.map = DDFS_PAGEMAP_DEV;
	stage_mount(&s);
	ddfs_inode_put(stage_file(&s, "file", 10 * BLK));
	s.opt.readonly = true;
	if (_i == 0) {
		stage_unmount(&s);
		stage_mount(&s);
	} else {
		ck_assert_int_eq(ddfs_fs_remount(s.fs, &s.opt), 0);
	}
	ip = tree_get(s.root, "file");
	ck_assert_int_eq(
		stage_pin_args(&s, ip, (struct ddfs_pin_args){ .mode = DDFS_PIN_MODE_READ },
			&(struct ddfs_pinned){ 0 }, NULL, 0),
		0);
	ddfs_inode_put(ip);
	s.opt.readonly = false;
	stage_crash(&s, 0);
	ck_assert(map_is_zero(&s));
	ip = tree_get(s.root, "file");
	ck_assert_int_eq(stage_truncate(ip, 0, NULL), 0);
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* What is left to the next mount is in the records alone. */
START_TEST(map_of_abandoned)
{
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t off;

	mkfs_with_map(&s, true);
	s.opt.map = DDFS_PAGEMAP_DEV;
	stage_mount(&s);
	ip = stage_pinned_file(&s, "file", 10, &off);
	ddfs_inode_put(ip);
	stage_crash(&s, 1);
	ck_assert(!map_is_zero(&s));
	stage_unmount(&s);
	ck_assert(map_is_zero(&s));
	ck_image(&s.ram.media);
	stage_mount(&s);
	ck_assert(!map_is_zero(&s));
	stage_tick_gone(&s);
	ck_assert(map_is_zero(&s));
	stage_fini(&s);
}
END_TEST

START_TEST(no_map_on_device)
{
	struct pin_stage s;

	mkfs_with_map(&s, false);
	s.opt.map = DDFS_PAGEMAP_DEV;
	ck_assert_int_eq(ddfs_fs_open(&s.ram.media, &s.opt, &s.fs), -EINVAL);
	s.opt.map = DDFS_PAGEMAP_AUTO;
	stage_mount(&s);
	stage_fini(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "recorded", recorded, 0 },
		{ "table full", table_full, 0 },
		{ "head damaged", head_damaged, 0 },
		{ "record damaged", record_damaged, 60 },
		{ "record nonsense", record_nonsense, sizeof(nonsense) / sizeof(nonsense[0]) },
		{ "strays", strays, 4 },
		{ "stray and pin", stray_and_pin, 0 },
		{ "map on device", map_on_device, 2 },
		{ "map of read-only", map_of_readonly, 2 },
		{ "no map on device", no_map_on_device, 0 },
		{ "map of abandoned", map_of_abandoned, 0 },
	};

	return suite_run("fs_pin_record", cases, sizeof(cases) / sizeof(cases[0]));
}
