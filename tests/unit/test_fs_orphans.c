/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that stay among the orphans because poison was met when they were to be finished. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "fs/format.h"
#include "image/image.h"
#include "tests/unit/check_image.h"
#include "tests/unit/ram.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define BLK ((uint64_t)DDFS_BLOCK_BYTES)
/* Extents: more than one transaction frees. */
#define NR 30

/* Poisons the file's map behind the last fence of the next transaction. */
struct trap {
	struct ram *ram;
	uint64_t map_off;
	unsigned int drains;
};

static void trap_store(void *arg, uint64_t off, size_t len)
{
	(void)arg;
	(void)off;
	(void)len;
}

static void trap_drain(void *arg)
{
	struct trap *t = arg;

	if (++t->drains == 4)
		ram_poison(t->ram, t->map_off);
}

static uint64_t map_off(struct ram *r, uint32_t ino)
{
	struct ddfs_inode_disk di;
	struct ddfs_image img;

	ck_assert_int_eq(ddfs_image_open(&r->media, 0, &img), 0);
	ck_assert_int_eq(ddfs_image_inode(&img, ino, &di), 0);
	ck_assert_uint_eq(di.depth, 1);
	ddfs_image_close(&img);
	return ddfs_le64(di.body.root) * BLK;
}

static int truncate_to(struct ddfs_inode *ip, uint64_t size)
{
	return ddfs_setattr(ip, &(struct ddfs_attr){ .size = size }, DDFS_SET_SIZE, NULL, NULL);
}

/* A file that was truncated, but whose blocks could not be freed. */
static struct ddfs_inode *truncated_by_half(struct ram *r, struct ddfs_inode *root)
{
	struct ddfs_inode *ip = tree_make_get(root, "file", S_IFREG | 0644);
	struct trap trap = { .ram = r };
	const struct ram_ear ear = { trap_store, trap_drain, &trap };

	for (unsigned int i = 0; i < NR; i++)
		ck_assert_int_eq(tree_fill(ip, 2 * i * BLK, BLK, 'x'), BLK);
	trap.map_off = map_off(r, (uint32_t)ddfs_inode_id(ip));
	r->ear = &ear;
	ck_assert_int_eq(truncate_to(ip, BLK), -EIO);
	r->ear = NULL;
	ram_heal(r, trap.map_off);
	return ip;
}

/* When little enough is left of it for one transaction, its last name takes it out of the orphans
 * (0); so does the next mount (1), and another truncate (2). */
START_TEST(finished_later)
{
	struct image_summary s;
	struct ddfs_inode *root, *ip;
	struct ddfs_fs *fs;
	struct ram r;

	ram_mkfs(&r, 16u << 20, BLK);
	fs = ram_mount(&r, &(struct ddfs_fs_options){ .log = ram_log_nothing });
	root = ram_root(fs);
	ip = truncated_by_half(&r, root);
	image_check(r.media.base, r.media.size, 0, &s);
	ck_assert_uint_eq(s.nr_problems, 0);
	ck_assert_uint_eq(s.nr_orphans, 1);
	if (_i == 0) {
		ck_assert_int_eq(truncate_to(ip, 2 * NR * BLK), 0);
		ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
					 NR * BLK, NULL),
			0);
		ck_assert_int_eq(tree_unlink(root, "file"), 0);
	} else if (_i == 2) {
		ck_assert_int_eq(truncate_to(ip, 0), 0);
	}
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
	if (_i == 1) {
		ck_assert_int_eq(ddfs_fs_close(fs), 0);
		fs = ram_mount(&r, NULL);
	}
	image_check(r.media.base, r.media.size, 0, &s);
	ck_assert_uint_eq(s.nr_problems, 0);
	ck_assert_uint_eq(s.nr_orphans, 0);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ck_image(&r.media);
	ram_fini(&r);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "finished later", finished_later, 3 },
	};

	return suite_run("fs_orphans", cases, 1);
}
