/* SPDX-License-Identifier: BSD-3-Clause */
/* Images opened: of a pair of structures one holds, or none; layouts that can't be. */
#include <errno.h>

#include "fs/csum.h"
#include "tests/unit/image_stage.h"
#include "tests/unit/suite.h"

#define SECOND_SUPER (STAGE_SIZE - 4096)
#define SECOND_ROOT  (STAGE_SIZE - 8192)

enum harm { NONE, CHANGED, POISONED, NR_HARMS };

static void hurt(struct ram *r, uint64_t off, enum harm harm)
{
	if (harm == CHANGED)
		r->writable[off + 100] ^= 1;
	if (harm == POISONED)
		ram_poison(r, off);
}

START_TEST(supers)
{
	static const enum ddfs_image_copy is[] = { DDFS_COPY_GOOD, DDFS_COPY_BAD,
		DDFS_COPY_UNREADABLE };
	enum harm first = _i % NR_HARMS, second = _i / NR_HARMS;
	struct ddfs_image img;
	struct ram r;

	stage_make(&r);
	hurt(&r, 0, first);
	hurt(&r, SECOND_SUPER, second);
	if (first != NONE && second != NONE) {
		ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), -EUCLEAN);
	} else {
		ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
		ck_assert_int_eq(img.super_copy[0], is[first]);
		ck_assert_int_eq(img.super_copy[1], is[second]);
		ck_assert_uint_ne(stage_find(&img, "dir"), 0);
		ddfs_image_close(&img);
	}
	ram_fini(&r);
}
END_TEST

/* A crash fell between the two writes. */
START_TEST(newer_super)
{
	uint64_t off = _i ? SECOND_SUPER : 0;
	struct ddfs_super *s;
	struct ddfs_image img;
	struct ram r;

	stage_make(&r);
	s = (void *)(r.writable + off);
	s->seq = ddfs_to64(ddfs_le64(s->seq) + 1);
	s->nr_mounts = ddfs_to32(4711);
	ddfs_csum_seal(0x64646673, off, s, sizeof(*s));
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
	ck_assert_uint_eq(ddfs_le32(img.super.nr_mounts), 4711);
	ddfs_image_close(&img);
	ram_fini(&r);
}
END_TEST

static void newer_version(struct ddfs_super *s)
{
	s->version = ddfs_to32(99);
}
static void unknown_feature(struct ddfs_super *s)
{
	s->feature_incompat = ddfs_to64(UINT64_C(1) << 40);
}
static void lanes_in_data(struct ddfs_super *s)
{
	s->lanes_off = s->data_off;
}
static void many_groups(struct ddfs_super *s)
{
	s->nr_groups = ddfs_to32(ddfs_le32(s->nr_groups) + 1);
}
static void small_groups(struct ddfs_super *s)
{
	s->group_chunks = ddfs_to32(ddfs_le32(s->group_chunks) / 2);
}
static void no_lanes(struct ddfs_super *s)
{
	s->nr_lanes = ddfs_to32(0);
}
static void pins_over_bad(struct ddfs_super *s)
{
	s->pins_bytes = ddfs_to64(ddfs_le64(s->pins_bytes) + 4096);
}
static void sole_three(struct ddfs_super *s)
{
	s->sole_root_block = ddfs_to32(3);
}
static void pagemap_unannounced(struct ddfs_super *s)
{
	s->pagemap_off = s->bad_off;
}

static const struct {
	void (*change)(struct ddfs_super *s);
	int err;
} impossible[] = {
	{ newer_version, -EOPNOTSUPP },
	{ unknown_feature, -EOPNOTSUPP },
	{ lanes_in_data, -EUCLEAN },
	{ many_groups, -EUCLEAN },
	{ small_groups, -EUCLEAN },
	{ no_lanes, -EUCLEAN },
	{ pins_over_bad, -EUCLEAN },
	{ sole_three, -EUCLEAN },
	{ pagemap_unannounced, -EUCLEAN },
};

START_TEST(layouts)
{
	struct ddfs_image img;
	struct ram r;

	stage_make(&r);
	stage_change_super(&r, impossible[_i].change);
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), impossible[_i].err);
	ram_fini(&r);
}
END_TEST

START_TEST(cut_short)
{
	struct ddfs_image img = { 0 };
	struct ram r;

	stage_make(&r);
	r.media.size /= 2;
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), -EFBIG);
	ck_assert_uint_eq(ddfs_le64(img.super.device_bytes), STAGE_SIZE);
	r.media.size *= 2;
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
	ddfs_image_close(&img);
	ram_fini(&r);
}
END_TEST

START_TEST(root_blocks)
{
	static const enum ddfs_image_copy is[] = { DDFS_COPY_GOOD, DDFS_COPY_BAD,
		DDFS_COPY_UNREADABLE };
	enum harm first = _i % NR_HARMS, second = _i / NR_HARMS;
	bool good = first == NONE || second == NONE;
	bool any = first != POISONED || second != POISONED;
	struct ddfs_inode_disk di;
	struct ddfs_image img;
	struct ram r;

	stage_make(&r);
	hurt(&r, DDFS_ROOT_BLOCK_OFF, first);
	hurt(&r, SECOND_ROOT, second);
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
	ck_assert_int_eq(img.root_copy[0], is[first]);
	ck_assert_int_eq(img.root_copy[1], is[second]);
	ck_assert_int_eq(ddfs_image_inode(&img, DDFS_INO_TABLE, &di), good  ? 0
								      : any ? -EUCLEAN
									    : -EIO);
	/* Byte 100 is none that leads to the slots. */
	ck_assert_int_eq(ddfs_image_inode(&img, DDFS_INO_ROOT, &di), any ? 0 : -ENOENT);
	ck_assert_int_eq(!img.nr_slots, !any);
	ddfs_image_close(&img);
	ram_fini(&r);
}
END_TEST

static void sole_second(struct ddfs_super *s)
{
	s->sole_root_block = ddfs_to32(2);
}

/* The other one may be older, whatever its checksum says. */
START_TEST(sole_root_block)
{
	struct ddfs_image img;
	struct ram r;

	stage_make(&r);
	stage_change_super(&r, sole_second);
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
	ck_assert_int_eq(img.root_copy[0], DDFS_COPY_ABSENT);
	ck_assert_int_eq(img.root_copy[1], DDFS_COPY_GOOD);
	ddfs_image_close(&img);
	hurt(&r, SECOND_ROOT, POISONED);
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
	ck_assert_uint_eq(img.nr_slots, 0);
	ddfs_image_close(&img);
	ram_fini(&r);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "superblocks", supers, NR_HARMS * NR_HARMS },
		{ "newer superblock", newer_super, 2 },
		{ "impossible layouts", layouts, sizeof(impossible) / sizeof(*impossible) },
		{ "cut short", cut_short, 0 },
		{ "root blocks", root_blocks, NR_HARMS * NR_HARMS },
		{ "sole root block", sole_root_block, 0 },
	};

	return suite_run("image_open", cases, sizeof(cases) / sizeof(*cases));
}
