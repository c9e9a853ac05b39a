/* SPDX-License-Identifier: BSD-3-Clause */
/* What the allocator promises: counts that are exact, chunks that stay whole, a reserve. */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/mounted.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define MIB   (UINT64_C(1) << 20)
#define GIB   (UINT64_C(1) << 30)
#define BLOCK UINT64_C(4096)

/* The filesystem's own count is that of who counts for himself. */
static void ck_free(struct mounted *m)
{
	struct image_summary s;
	struct ddfs_statfs st;

	/* First, since it gives back what an emptied inode table holds. */
	ddfs_fs_statfs(m->fs, &st);
	image_check(m->ram.media.base, m->ram.media.size, 0, &s);
	ck_assert_uint_eq(s.nr_problems, 0);
	ck_assert_uint_eq(st.nr_free, s.nr_free);
}

static uint64_t nr_avail(struct mounted *m)
{
	struct ddfs_statfs st;

	ddfs_fs_statfs(m->fs, &st);
	return st.nr_avail;
}

static void number(char *buf, size_t size, unsigned int i)
{
	snprintf(buf, size, "%u", i);
}

/* Files of one block until there is no room; returns how many. */
static unsigned int fill_small(struct mounted *m)
{
	char name[16];

	for (unsigned int i = 0;; i++) {
		struct ddfs_inode *ip;
		ssize_t n;

		number(name, sizeof(name), i);
		if (tree_make(m->root, name, S_IFREG | 0644))
			return i;
		ip = tree_get(m->root, name);
		n = tree_fill(ip, 0, BLOCK, 's');
		ddfs_inode_put(ip);
		if (n < 0)
			return i + 1;
	}
}

/* Full of small files, every second one removed: what is free can be had, if in pieces. */
START_TEST(fragmented)
{
	unsigned int nr;
	uint64_t avail;
	struct ddfs_inode *ip;
	struct mounted m;
	char name[16];

	mounted_begin(&m, 64 * MIB, 4096, NULL);
	nr = fill_small(&m);
	ck_free(&m);
	for (unsigned int i = 0; i < nr; i += 2) {
		number(name, sizeof(name), i);
		ck_assert_int_eq(tree_unlink(m.root, name), 0);
	}
	ck_free(&m);
	avail = nr_avail(&m);
	ck_assert_uint_ge(avail, nr / 2 - 1);
	ip = tree_make_get(m.root, "large", S_IFREG | 0644);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, (avail + 1) * BLOCK, NULL), -ENOSPC);
	ck_free(&m);
	/* The map of so many pieces takes blocks of its own. */
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, avail / 100 * 95 * BLOCK, NULL), 0);
	ck_free(&m);
	ddfs_inode_put(ip);
	mounted_again(&m, NULL);
	ck_free(&m);
	mounted_end(&m);
}
END_TEST

/* Nothing is left, and still what gives room works. */
START_TEST(reserve)
{
	struct ddfs_attr a = { .size = 100 };
	struct ddfs_inode *ip;
	struct mounted m;
	unsigned int nr;
	char name[16];

	mounted_begin(&m, 32 * MIB, 4096, NULL);
	ip = tree_make_get(m.root, "big", S_IFREG | 0644);
	ck_assert_int_eq(tree_fill(ip, 0, 8 * MIB, 'b'), (ssize_t)(8 * MIB));
	nr = fill_small(&m);
	ck_assert_uint_gt(nr, 100);
	ck_assert_int_eq(tree_rename(m.root, "1", m.root, "2", 0), 0);
	ck_assert_int_eq(tree_rename(m.root, "3", m.root, "4", RENAME_EXCHANGE), 0);
	ck_free(&m);
	ck_assert_int_eq(ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, NULL), 0);
	ddfs_inode_put(ip);
	ck_free(&m);
	for (unsigned int i = 0; i < nr; i++) {
		number(name, sizeof(name), i);
		ck_assert_int_eq(tree_unlink(m.root, name), i == 1 ? -ENOENT : 0);
	}
	ck_free(&m);
	mounted_end(&m);
}
END_TEST

/* The image as it lies, mounted elsewhere as after a crash: counted again, the same. */
START_TEST(crash_count)
{
	struct mounted m, crashed;
	char name[16];

	mounted_begin(&m, 64 * MIB, 4096, NULL);
	for (unsigned int i = 0; i < 1000; i++) {
		struct ddfs_inode *ip;

		number(name, sizeof(name), i);
		ip = tree_make_get(m.root, name, S_IFREG | 0644);
		ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, (i % 17 + 1) * BLOCK, NULL), 0);
		ddfs_inode_put(ip);
		if (i % 3 == 0)
			ck_assert_int_eq(tree_unlink(m.root, name), 0);
	}
	ram_copy_image(&crashed.ram, &m.ram);
	mounted_open(&crashed, NULL);
	ck_free(&crashed);
	ck_assert_uint_eq(nr_avail(&crashed), nr_avail(&m));
	mounted_end(&crashed);
	mounted_again(&m, NULL);
	ck_free(&m);
	mounted_end(&m);
}
END_TEST

/* Of 4 GiB in units of 1 GiB the first and the last hold fixed structures. Two are left, and small
 * files fit beside what is taken. */
START_TEST(huge_units)
{
	struct ddfs_inode *dax, *ip;
	struct mounted m;
	char name[16];

	mounted_begin(&m, 4 * GIB, GIB, NULL);
	dax = tree_make_get(m.root, "dax", S_IFREG | 0644);
	ck_assert_int_eq(ddfs_set_flags(dax, DDFS_FLAG_DAX), 0);
	ck_assert_int_eq(ddfs_fallocate(dax, 0, 0, GIB, NULL), 0);
	ck_assert_int_eq(ddfs_fallocate(dax, 0, GIB + 5, 1, NULL), 0);
	ck_assert_int_eq(ddfs_fallocate(dax, 0, 2 * GIB, 1, NULL), -ENOSPC);
	ck_free(&m);
	for (unsigned int i = 0; i < 1000; i++) {
		number(name, sizeof(name), i);
		ip = tree_make_get(m.root, name, S_IFREG | 0644);
		ck_assert_int_eq(tree_fill(ip, 0, 5000, 's'), 5000);
		ddfs_inode_put(ip);
	}
	ck_free(&m);
	ddfs_inode_put(dax);
	mounted_again(&m, NULL);
	ck_free(&m);
	mounted_end(&m);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "fragmented", fragmented, 0 },
		{ "reserve", reserve, 0 },
		{ "crash count", crash_count, 0 },
		{ "huge units", huge_units, 0 },
	};

	return suite_run("fs_alloc", cases, sizeof(cases) / sizeof(cases[0]));
}
