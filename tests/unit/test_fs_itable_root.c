/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inode table's inode, of which one copy can't be read on a device that can't clear poison: the
 * other is enough, and the one that was left out is not believed when it can be read again. With
 * _i & 1 it is the second one; with _i & 2 the filesystem is never unmounted.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/core.h"
#include "tests/unit/check_image.h"
#include "tests/unit/poison_stage.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define NR_FILES 450 /* more than the table has room for */

struct bench {
	struct poison_stage *s;
	struct ddfs_fs *fs;
	uint64_t bad, good; /* the copies */
	bool crash;
	unsigned int nr_files;
};

static void begin(struct bench *b, int i)
{
	uint64_t off[2] = { DDFS_ROOT_BLOCK_OFF, POISON_SIZE - 8192 };

	b->s = malloc(sizeof(*b->s));
	poison_init(b->s, false);
	poison_reset(b->s);
	b->s->clears = false;
	b->bad = off[i & 1];
	b->good = off[!(i & 1)];
	b->crash = i & 2;
	b->nr_files = 0;
	poison_page(b->s, b->bad);
}

static void mount(struct bench *b)
{
	ck_assert_int_eq(poison_mount(b->s, false, &b->fs), 0);
}

static void unmount(struct bench *b)
{
	uint8_t *image = malloc(POISON_SIZE);

	memcpy(image, b->s->ram.writable, POISON_SIZE);
	ck_assert_int_eq(ddfs_fs_close(b->fs), 0);
	if (b->crash)
		memcpy(b->s->ram.writable, image, POISON_SIZE);
	free(image);
}

static void ck_all_there(struct bench *b)
{
	struct ddfs_inode *root = ram_root(b->fs);
	char name[16];

	for (unsigned int i = 0; i < b->nr_files; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ddfs_inode_put(tree_get(root, name));
	}
	ddfs_inode_put(root);
}

static void grow(struct bench *b)
{
	struct ddfs_inode *root = ram_root(b->fs);
	uint32_t before = b->fs->itable.nr_slots;
	char name[16];

	ck_all_there(b);
	for (unsigned int i = 0; i < NR_FILES; i++) {
		snprintf(name, sizeof(name), "%u", b->nr_files++);
		ck_assert_int_eq(tree_make(root, name, S_IFREG | 0644), 0);
	}
	ck_assert_uint_gt(b->fs->itable.nr_slots, before);
	ddfs_inode_put(root);
}

static void ck_goes_on_with(struct bench *b, uint64_t used, uint64_t other)
{
	ck_assert_uint_eq(b->fs->itable.inode_off, used);
	ck_assert_uint_eq(b->fs->itable.other_off, other);
}

/* Twice: the second mount knows that the bad one is out of date as well. */
static void grow_with_one(struct bench *b)
{
	for (unsigned int i = 0; i < 2; i++) {
		mount(b);
		ck_goes_on_with(b, b->good, 0);
		ck_assert_uint_eq(
			ddfs_bad_find(b->fs, (struct ddfs_range){ b->bad / 4096, 1 }).len, 1);
		grow(b);
		unmount(b);
	}
}

static void end(struct bench *b)
{
	poison_heal(b->s);
	mount(b);
	ck_all_there(b);
	ck_assert_uint_eq(b->fs->super.sole_root_block.raw, 0);
	ck_assert_int_eq(ddfs_fs_close(b->fs), 0);
	poison_check_image(b->s);
	poison_fini(b->s);
}

START_TEST(healed)
{
	struct bench b;

	begin(&b, _i);
	grow_with_one(&b);
	poison_heal(b.s);
	mount(&b);
	ck_goes_on_with(&b, b.good, b.bad);
	ck_assert_uint_eq(ddfs_bad_count(b.fs), 0);
	grow(&b);
	unmount(&b);
	/* From here on it is as good as the other. */
	poison_page(b.s, b.good);
	mount(&b);
	ck_goes_on_with(&b, b.bad, 0);
	grow(&b);
	unmount(&b);
	end(&b);
}
END_TEST

/* Now it is the other one that can't be read: nothing tells where the table lies. */
START_TEST(out_of_date)
{
	struct bench b;

	begin(&b, _i);
	grow_with_one(&b);
	poison_heal(b.s);
	poison_page(b.s, b.good);
	ck_assert_int_eq(poison_mount(b.s, false, &b.fs), -EUCLEAN);
	ck_assert_int_eq(poison_mount(b.s, true, &b.fs), -EUCLEAN);
	end(&b);
}
END_TEST

/* Looked at, and made writable afterwards. */
START_TEST(remounted)
{
	const struct ddfs_fs_options writable = { .readonly = false };
	struct bench b;

	begin(&b, _i);
	ck_assert_int_eq(poison_mount(b.s, true, &b.fs), 0);
	ck_goes_on_with(&b, b.good, 0);
	ck_assert_int_eq(ddfs_fs_remount(b.fs, &writable), 0);
	grow(&b);
	unmount(&b);
	grow_with_one(&b);
	end(&b);
}
END_TEST

/* There is nothing that could be written, and nothing is. */
START_TEST(readonly_device)
{
	struct bench b;

	begin(&b, _i);
	b.s->ram.media.readonly = true;
	ck_assert_int_eq(poison_mount(b.s, true, &b.fs), 0);
	ck_goes_on_with(&b, b.good, 0);
	ck_all_there(&b);
	ck_assert_int_eq(ddfs_fs_close(b.fs), 0);
	ck_assert_int_eq(memcmp(b.s->ram.writable, b.s->healthy, POISON_SIZE), 0);
	b.s->ram.media.readonly = false;
	end(&b);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "healed", healed, 4 },
		{ "out of date", out_of_date, 4 },
		{ "remounted", remounted, 4 },
		{ "read-only device", readonly_device, 2 },
	};

	return suite_run("fs_itable_root", cases, sizeof(cases) / sizeof(cases[0]));
}
