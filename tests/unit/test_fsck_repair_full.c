/* SPDX-License-Identifier: BSD-3-Clause */
/* Repairs where no block is free, or too few: what can't be made anew stays as it is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/repair_edit.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

static bool is_free(const struct ddfs_image *img, uint64_t blk)
{
	uint64_t off = ddfs_le64(img->super.chunk_table_off) + blk / 512 * 128;
	struct ddfs_chunk c;

	ck_assert_int_eq(ddfs_image_read(img, off, &c, sizeof(c)), 0);
	return !(ddfs_le64(c.used[blk % 512 / 64]) >> blk % 64 & 1);
}

/* What is left for metadata is poisoned, so that nothing is. */
static void poison_free(struct healed *h, bool heal)
{
	struct ddfs_image img = healed_image(h);

	for (uint64_t blk = img.data_block; blk < img.end_block; blk++) {
		if (!is_free(&img, blk))
			continue;
		if (heal)
			ram_heal(&h->r, blk * 4096);
		else
			ram_poison(&h->r, blk * 4096);
	}
	ddfs_image_close(&img);
}

static void fill(struct healed *h)
{
	struct ddfs_fs *fs = ram_mount(&h->r, NULL);
	struct ddfs_inode *root = ram_root(fs), *ip;
	uint64_t off = 0;

	ip = tree_make_get(root, "full", S_IFREG | 0600);
	for (; tree_fill(ip, off, 65536, 1) > 0;)
		off += 65536;
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
}

/* No block is free: what is made anew takes the place of the old, if it is small. */
START_TEST(no_room)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_inode_disk di;
	struct ddfs_fsck_result r;

	healed_begin(h);
	fill(h);
	poison_free(h, false);
	if (_i == 0) {
		edit_entry(h, "second", 4000);
	} else {
		di = edit_inode(h, "file");
		di.xattr_bytes = ddfs_to16(3);
		di.xattr[0] = 99;
		edit_put_inode(h, "file", &di);
	}
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
	ck_assert_uint_gt(r.nr_problems, 0);
	ck_assert_uint_eq(r.nr_left, 0);
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_NO, &r), 0);
	ck_assert_uint_eq(r.nr_problems, 0);
	poison_free(h, true);
	healed_end(h);
	free(h);
}
END_TEST

/* ---- blocks that two lay claim to ----------------------------------------------------------- */

struct told {
	unsigned int nr_full, nr_full_fixed;
};

static void say(void *arg, const char *problem, bool fixed)
{
	struct told *t = arg;

	if (!strstr(problem, "no block is free"))
		return;
	t->nr_full++;
	t->nr_full_fixed += fixed;
}

static struct ddfs_fsck_result repair(struct healed *h, struct told *t)
{
	struct ddfs_fsck_options opt = {
		.mode = DDFS_FSCK_YES, .nr_threads = 1, .say = say, .arg = t
	};
	struct ddfs_fsck_result r;

	memset(t, 0, sizeof(*t));
	ck_assert_int_eq(ddfs_fsck(&h->r.media, &opt, &r), 0);
	return r;
}

/* It says so once, and that something is left. */
static void repair_in_part(struct healed *h)
{
	struct told t;
	struct ddfs_fsck_result r = repair(h, &t);

	ck_assert_uint_ge(r.nr_left, 2);
	ck_assert_uint_eq(t.nr_full, 1);
	ck_assert_uint_eq(t.nr_full_fixed, 0);
}

static void repair_all(struct healed *h)
{
	struct told t;
	struct ddfs_fsck_result r;

	poison_free(h, true);
	r = repair(h, &t);
	ck_assert_uint_eq(r.nr_left, 0);
	ck_assert_uint_eq(t.nr_full, 0);
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_NO, &r), 0);
	ck_assert_uint_eq(r.nr_problems, 0);
}

/* And a file without blocks. */
static void make_late(struct healed *h)
{
	struct ddfs_fs *fs = ram_mount(&h->r, NULL);
	struct ddfs_inode *root = ram_root(fs);
	char target[301] = { 0 };
	struct ddfs_new n = { .mode = S_IFLNK | 0777, .target = target };
	struct ddfs_entry e;

	memset(target, 't', sizeof(target) - 1);
	ck_assert_int_eq(ddfs_create(root, "late", 4, &n, &e, NULL), 0);
	ck_assert_int_eq(tree_make(root, "modest", S_IFREG | 0600), 0);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
}

/* Its blocks are those from `start` on, which another has. */
static void claim(struct healed *h, const char *name, uint64_t start, uint32_t len)
{
	struct ddfs_inode_disk di = edit_inode(h, name);

	di.nr_extents = ddfs_to16(1);
	di.depth = 0;
	di.body.extent[0] = (struct ddfs_extent){ ddfs_to32(0), ddfs_to32(len), ddfs_to64(start) };
	di.size = ddfs_to64((uint64_t)len * 4096);
	di.nr_blocks = ddfs_to64(len);
	edit_put_inode(h, name, &di);
}

static uint64_t start_of(struct healed *h, const char *name)
{
	struct ddfs_inode_disk di = edit_inode(h, name);

	ck_assert_uint_ge(ddfs_le16(di.nr_extents), 1);
	return ddfs_le64(di.body.extent[0].start);
}

static void expect_as_it_was(struct healed *h, const char *name, const struct ddfs_inode_disk *was)
{
	struct ddfs_inode_disk now = edit_inode(h, name);

	ck_assert_mem_eq(&now, was, sizeof(now));
}

static void expect_copy(struct healed *h, const char *name, uint64_t from)
{
	uint64_t to = start_of(h, name);

	ck_assert_uint_ne(to, from);
	ck_assert_mem_eq(h->r.writable + to * 4096, h->r.writable + from * 4096, 4096);
}

/* The link has its block, whoever else says so. */
START_TEST(target)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_inode_disk link, file;

	healed_begin(h);
	make_late(h);
	fill(h);
	poison_free(h, false);
	link = edit_inode(h, "late");
	claim(h, "inline", start_of(h, "late"), 1);
	file = edit_inode(h, "inline");
	ck_assert_uint_lt(ddfs_le32(file.ino), ddfs_le32(link.ino));
	repair_in_part(h);
	expect_as_it_was(h, "late", &link);
	expect_as_it_was(h, "inline", &file);
	repair_all(h);
	healed_end(h);
	free(h);
}
END_TEST

START_TEST(target_with_room)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_inode_disk link;
	struct told t;

	healed_begin(h);
	make_late(h);
	link = edit_inode(h, "late");
	claim(h, "inline", start_of(h, "late"), 1);
	ck_assert_uint_eq(repair(h, &t).nr_left, 0);
	expect_as_it_was(h, "late", &link);
	expect_copy(h, "inline", start_of(h, "late"));
	healed_end(h);
	free(h);
}
END_TEST

/* Of two files, neither gets a hole. */
START_TEST(files)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_inode_disk first, second;

	healed_begin(h);
	fill(h);
	poison_free(h, false);
	claim(h, "inline", start_of(h, "file"), 2);
	first = edit_inode(h, "file");
	second = edit_inode(h, "inline");
	repair_in_part(h);
	expect_as_it_was(h, "file", &first);
	expect_as_it_was(h, "inline", &second);
	repair_all(h);
	healed_end(h);
	free(h);
}
END_TEST

static void heal_one(struct healed *h)
{
	struct ddfs_image img = healed_image(h);
	uint64_t blk = img.data_block;

	while (!is_free(&img, blk))
		blk++;
	ck_assert_uint_lt(blk, img.end_block);
	ram_heal(&h->r, blk * 4096);
	ddfs_image_close(&img);
}

/* One block is free: who needs two leaves it to who needs one. */
START_TEST(too_few)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_inode_disk greedy, modest;
	uint64_t wanted;

	healed_begin(h);
	make_late(h);
	fill(h);
	poison_free(h, false);
	heal_one(h);
	wanted = start_of(h, "file");
	claim(h, "inline", wanted, 2);
	claim(h, "modest", wanted, 1);
	greedy = edit_inode(h, "inline");
	modest = edit_inode(h, "modest");
	ck_assert_uint_lt(ddfs_le32(greedy.ino), ddfs_le32(modest.ino));
	repair_in_part(h);
	expect_as_it_was(h, "inline", &greedy);
	expect_copy(h, "modest", wanted);
	healed_end(h);
	free(h);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "no room", no_room, 2 },
		{ "target of a link", target, 0 },
		{ "target of a link, with room", target_with_room, 0 },
		{ "files", files, 0 },
		{ "too few", too_few, 0 },
	};

	return suite_run("fsck_repair_full", cases, sizeof(cases) / sizeof(cases[0]));
}
