/* SPDX-License-Identifier: BSD-3-Clause */
/* Bad blocks under the calls that change or tell a file's map. */
#include <check.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layout/holder.h"
#include "tests/unit/bad_stage.h"
#include "tests/unit/suite.h"

#define SIZE	(32 * MIB)
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define EXTENTS 16

/* Loop index: bit 0, the device can clear; bit 1, units of 2 MiB. */
#define NR_DEVICES 4

/* A file of 1024 blocks of which block 4 is bad, and known to be. */
struct scene {
	struct bad_stage s;
	struct ddfs_inode *ip;
	uint64_t block;
	uint64_t nr_free; /* before there was a file */
};

static void begin(struct scene *c, int device)
{
	bad_stage_init(&c->s, SIZE, device & 2 ? 2 * MIB : BLK);
	c->s.can_clear = device & 1;
	c->nr_free = bad_stage_free(&c->s);
	c->ip = bad_stage_file(&c->s, "file", 1024, 'a');
	c->block = bad_stage_poison(&c->s, c->ip, 4);
	ck_assert_int_eq(bad_stage_value(c->ip, 4), -EIO);
}

/* Without the file all is free again but what is bad and could not be cleared. */
static void end(struct scene *c)
{
	ck_image(&c->s.m.ram.media);
	ddfs_inode_put(c->ip);
	ck_assert_int_eq(tree_unlink(c->s.m.root, "file"), 0);
	ck_assert_uint_eq(bad_stage_free(&c->s) + ddfs_bad_count(c->s.m.fs), c->nr_free);
	if (c->s.can_clear)
		ck_assert_uint_eq(ddfs_bad_count(c->s.m.fs), 0);
	bad_stage_fini(&c->s);
}

static int truncate_to(struct ddfs_inode *ip, uint64_t size)
{
	struct ddfs_attr attr = { .size = size };

	return ddfs_setattr(ip, &attr, DDFS_SET_SIZE, NULL, NULL);
}

START_TEST(unlinked)
{
	struct scene c;

	begin(&c, _i);
	end(&c);
}
END_TEST

START_TEST(truncated)
{
	struct scene c;

	begin(&c, _i);
	/* In the middle of it: what stays of it stays lost. */
	ck_assert_int_eq(truncate_to(c.ip, 4 * BLK + 100), 0);
	ck_assert_int_eq(ddfs_pread(c.ip, &(char){ 0 }, 1, 4 * BLK), -EIO);
	ck_assert_int_eq(truncate_to(c.ip, 6 * BLK), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), -EIO);
	ck_assert_int_eq(bad_stage_value(c.ip, 5), 0);
	ck_assert_int_eq(truncate_to(c.ip, 4 * BLK), 0);
	ck_assert_int_eq(truncate_to(c.ip, 6 * BLK), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), 0);
	ck_assert_int_eq(tree_fill(c.ip, 4 * BLK, 10, 'b'), 10);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), -1);
	ck_assert_int_eq(bad_stage_value(c.ip, 3), 'a');
	end(&c);
}
END_TEST

/* A whole block punched or zeroed is good; of a part of it nothing can be. */
START_TEST(punched)
{
	int mode = _i & 4 ? FALLOC_FL_ZERO_RANGE : PUNCH;
	struct scene c;

	begin(&c, _i);
	ck_assert_int_eq(ddfs_fallocate(c.ip, mode, 4 * BLK + 1, 10 * BLK, NULL), -EIO);
	ck_assert_int_eq(ddfs_fallocate(c.ip, mode, BLK, 3 * BLK + 1, NULL), -EIO);
	ck_assert_int_eq(ddfs_fallocate(c.ip, mode, 4 * BLK + 1, 1, NULL), -EIO);
	ck_assert_int_eq(bad_stage_value(c.ip, 3), 'a');
	ck_assert_int_eq(bad_stage_value(c.ip, 5), 'a');
	ck_assert_int_eq(ddfs_fallocate(c.ip, mode, 3 * BLK + 1, 2 * BLK + 1, NULL), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 3), -1);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 5), -1);
	ck_assert_int_eq(tree_fill(c.ip, 4 * BLK, BLK, 'b'), BLK);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), 'b');
	end(&c);
}
END_TEST

START_TEST(punched_large)
{
	struct scene c;

	begin(&c, _i);
	ck_assert_int_eq(ddfs_fallocate(c.ip, PUNCH, 0, 1024 * BLK, NULL), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), 0);
	ck_assert_uint_eq(ddfs_bad_count(c.s.m.fs), !c.s.can_clear);
	end(&c);
}
END_TEST

/* What moves inside of the file takes its bad blocks along. */
START_TEST(shifted)
{
	struct scene c;

	begin(&c, _i);
	ck_assert_int_eq(ddfs_fallocate(c.ip, FALLOC_FL_INSERT_RANGE, 0, 512 * BLK, NULL), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 516), -EIO);
	ck_assert_int_eq(ddfs_fallocate(c.ip, FALLOC_FL_COLLAPSE_RANGE, 0, 512 * BLK, NULL), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), -EIO);
	ck_assert_int_eq(ddfs_fallocate(c.ip, FALLOC_FL_COLLAPSE_RANGE, 0, 512 * BLK, NULL), 0);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), 'a');
	end(&c);
}
END_TEST

START_TEST(copied)
{
	struct ddfs_inode *to;
	struct scene c;

	begin(&c, _i);
	to = bad_stage_file(&c.s, "to", 8, 'b');
	ck_assert_int_eq(ddfs_copy_range(c.ip, 0, to, 0, 8 * BLK, NULL), 4 * BLK);
	ck_assert_int_eq(ddfs_copy_range(c.ip, 4 * BLK, to, 4 * BLK, BLK, NULL), -EIO);
	ck_assert_int_eq(bad_stage_value(to, 3), 'a');
	ck_assert_int_eq(bad_stage_value(to, 4), 'b');
	/* One that nobody knows yet. */
	bad_stage_poison(&c.s, c.ip, 7);
	ck_assert_int_eq(ddfs_copy_range(c.ip, 5 * BLK, to, 5 * BLK, 3 * BLK, NULL), 2 * BLK);
	ck_assert_int_eq(ddfs_copy_range(to, 0, c.ip, 0, 8 * BLK, NULL), 8 * BLK);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), 'b');
	ddfs_inode_put(to);
	ck_assert_int_eq(tree_unlink(c.s.m.root, "to"), 0);
	end(&c);
}
END_TEST

/* ---- pins ----------------------------------------------------------------------------------- */

struct pinner {
	struct ddfs_pin_owner owner;
	struct ddfs_holder *holder;
	struct ddfs_pinned out;
	struct ddfs_file_extent e[EXTENTS];
};

static int pin(struct pinner *p, struct ddfs_inode *ip, uint64_t len, unsigned int flags)
{
	struct ddfs_pin_args args = { .len = len,
		.mode = DDFS_PIN_MODE_READ | DDFS_PIN_MODE_WRITE,
		.flags = flags,
		.owner = &p->owner };

	ck_assert_int_eq(ddfs_holders_get(ddfs_layouts_holders(ddfs_fs_layouts(ddfs_inode_fs(ip))),
				 getpid(), &args.holder),
		0);
	p->holder = args.holder;
	ddfs_pin_owner_init(&p->owner, NULL);
	return ddfs_pin(ip, &args, NULL, &p->out, p->e, EXTENTS);
}

static void unpin(struct pinner *p, struct ddfs_fs *fs)
{
	ddfs_pins_release(fs, &p->owner);
	ddfs_holder_put(p->holder);
}

static void check_extents(const struct ddfs_file_extent *e, int nr)
{
	ck_assert_int_eq(nr, 3);
	ck_assert(!e[0].bad && e[0].off == 0 && e[0].len == 4 * BLK);
	ck_assert(e[1].bad && !e[1].hole && !e[1].unwritten);
	ck_assert(e[1].off == 4 * BLK && e[1].len == BLK);
	ck_assert(!e[2].bad && e[2].off == 5 * BLK);
}

START_TEST(pinned)
{
	struct pinner p = { 0 };
	struct scene c;

	begin(&c, 2);
	ck_assert_int_eq(pin(&p, c.ip, 0, 0), -EIO);
	unpin(&p, c.s.m.fs);
	ck_assert_int_eq(pin(&p, c.ip, 4 * BLK, 0), 0);
	unpin(&p, c.s.m.fs);
	ck_assert_int_eq(pin(&p, c.ip, 0, DDFS_PIN_BAD_HOLES), 0);
	check_extents(p.e, (int)p.out.nr_extents);
	/* The unit can't move now, though the bad page of it is not pinned. */
	ck_assert_int_eq(tree_fill(c.ip, 4 * BLK, BLK, 'b'), -EIO);
	c.s.can_clear = true;
	ck_assert_int_eq(tree_fill(c.ip, 4 * BLK, BLK, 'b'), BLK);
	ck_assert_int_eq(bad_stage_value(c.ip, 4), 'b');
	unpin(&p, c.s.m.fs);
	end(&c);
}
END_TEST

/* What was never written is made good while it is zeroed for the pin. */
START_TEST(pin_faults)
{
	struct pinner p = { 0 };
	struct scene c;

	begin(&c, 2 + _i);
	ck_assert_int_eq(ddfs_fallocate(c.ip, PUNCH, 3 * BLK, 3 * BLK, NULL), 0);
	ddfs_bad_note(c.s.m.fs, (struct ddfs_range){ c.block, 1 });
	ck_assert_int_eq(pin(&p, c.ip, 10 * BLK, DDFS_PIN_FAULT), 0);
	ck_assert_int_eq((int)p.out.nr_extents, 1);
	for (uint64_t b = 0; b < 10; b++)
		ck_assert_int_eq(bad_stage_value(c.ip, b), b >= 3 && b < 6 ? 0 : 'a');
	unpin(&p, c.s.m.fs);
	end(&c);
}
END_TEST

START_TEST(layout)
{
	struct ddfs_file_extent e[EXTENTS];
	struct scene c;
	uint64_t next;

	begin(&c, _i);
	check_extents(e, ddfs_layout_query(c.ip, 0, 0, false, e, EXTENTS, &next));
	ck_assert_uint_eq(next, 1024 * BLK);
	ck_assert_uint_eq(e[1].device_off, c.block * BLK);
	ck_assert_int_eq(ddfs_layout_query(c.ip, 4 * BLK + 5, 10, false, e, EXTENTS, &next), 1);
	ck_assert(e[0].bad && e[0].len == 10);
	end(&c);
}
END_TEST

/* ---- told ----------------------------------------------------------------------------------- */

static enum ddfs_bad_kind kind_at(struct scene *c, uint64_t block, struct ddfs_bad_range *out)
{
	uint64_t nr_blocks;

	ck_assert_int_ge(ddfs_bad_list(c->s.m.fs, block * BLK, out, 1, &nr_blocks), 1);
	ck_assert_uint_eq(out->device_off, block * BLK);
	return out->kind;
}

/* Each kind of thing that a block can be. */
START_TEST(owners)
{
	struct ddfs_bad_range r[64];
	struct ddfs_inode *ip;
	struct scene c;
	uint64_t nr_blocks, name_block, tree_block, value_block, lane = DDFS_BLOCK_BYTES;
	char value[20000] = { 'v' };

	begin(&c, 0);
	lane = ddfs_le64(c.s.m.fs->super.lanes_off) / BLK;
	for (int i = 0; i < 100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "a longer name of a file %d", i);
		ck_assert_int_eq(tree_make(c.s.m.root, name, S_IFREG), 0);
	}
	for (uint64_t b = 0; b < 1024; b += 2)
		ck_assert_int_eq(ddfs_fallocate(c.ip, PUNCH, (b + 1) * BLK, BLK, NULL), 0);
	ck_assert_int_eq(ddfs_setxattr(c.ip, "user.x", value, sizeof(value), 0, false), 0);
	name_block = ddfs_le64(ddfs_inode_view(c.s.m.root, NULL)->body.root);
	tree_block = ddfs_le64(ddfs_inode_view(c.ip, NULL)->body.root);
	value_block = ddfs_le64(ddfs_inode_view(c.ip, NULL)->xattr_root);
	ck_assert(ddfs_inode_view(c.ip, NULL)->depth > 0);
	ip = tree_get(c.s.m.root, "a longer name of a file 99");
	ddfs_bad_note(c.s.m.fs, (struct ddfs_range){ lane, 2 });
	ddfs_bad_note(c.s.m.fs, (struct ddfs_range){ name_block, 1 });
	ddfs_bad_note(c.s.m.fs, (struct ddfs_range){ tree_block, 1 });
	ddfs_bad_note(c.s.m.fs, (struct ddfs_range){ value_block, 1 });
	ddfs_bad_note(c.s.m.fs, (struct ddfs_range){ ip->off / BLK, 1 });
	ddfs_bad_note(c.s.m.fs, (struct ddfs_range){ c.s.m.fs->end_block - 20, 3 });
	ck_assert_int_eq(kind_at(&c, lane, r), DDFS_BAD_FIXED);
	ck_assert_uint_eq(r[0].len, 2 * BLK);
	ck_assert_int_eq(kind_at(&c, name_block, r), DDFS_BAD_META);
	ck_assert_uint_eq(r[0].id, DDFS_ID_ROOT);
	ck_assert_int_eq(kind_at(&c, tree_block, r), DDFS_BAD_META);
	ck_assert_uint_eq(r[0].id, ddfs_inode_id(c.ip));
	ck_assert_int_eq(kind_at(&c, value_block, r), DDFS_BAD_META);
	ck_assert_int_eq(kind_at(&c, ip->off / BLK, r), DDFS_BAD_INODES);
	ck_assert_int_eq(kind_at(&c, c.s.m.fs->end_block - 20, r), DDFS_BAD_FREE);
	ddfs_bad_drop(c.s.m.fs, (struct ddfs_range){ tree_block, 1 });
	ck_assert_int_eq(kind_at(&c, c.block, r), DDFS_BAD_DATA);
	ck_assert_uint_eq(r[0].id, ddfs_inode_id(c.ip));
	ck_assert_uint_eq(r[0].off, 4 * BLK);
	ddfs_bad_drop(c.s.m.fs, (struct ddfs_range){ c.block, 1 });
	c.s.can_clear = true;
	ddfs_bad_note(c.s.m.fs, (struct ddfs_range){ c.block, 1 });
	ck_assert_int_eq(ddfs_bad_list(c.s.m.fs, 0, r, 64, &nr_blocks), 6);
	ck_assert_uint_eq(nr_blocks, 9);
	for (int i = 1; i < 6; i++)
		ck_assert_uint_gt(r[i].device_off, r[i - 1].device_off);
	ck_assert_int_eq(ddfs_bad_list(c.s.m.fs, r[5].device_off + r[5].len, r, 64, &nr_blocks), 0);
	ddfs_bad_drop(c.s.m.fs, (struct ddfs_range){ 0, SIZE / BLK });
	ddfs_inode_put(ip);
	ddfs_inode_put(c.ip);
	bad_stage_fini(&c.s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "unlinked", unlinked, NR_DEVICES },
		{ "truncated", truncated, NR_DEVICES },
		{ "punched", punched, 2 * NR_DEVICES },
		{ "punched large", punched_large, NR_DEVICES },
		{ "shifted", shifted, NR_DEVICES },
		{ "copied", copied, NR_DEVICES },
		{ "pinned", pinned, 0 },
		{ "pin faults", pin_faults, 2 },
		{ "layout", layout, NR_DEVICES },
		{ "owners", owners, 0 },
	};

	return suite_run("fs_bad_calls", cases, sizeof(cases) / sizeof(cases[0]));
}
