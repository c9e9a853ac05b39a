/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each operation with every small number of blocks left: it is done, or says ENOSPC and leaves the
 * tree as it was. And with none left everything can still be removed.
 */
#include <check.h>
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check_image.h"
#include "tests/unit/digest.h"
#include "tests/unit/ram.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define SIZE	 (UINT64_C(16) << 20)
#define MAX_LEFT 40

static void populate(struct ddfs_inode *root)
{
	struct ddfs_inode *ip = tree_make_get(root, "extents", S_IFREG | 0644);
	char name[16];

	for (unsigned int i = 0; i < 60; i++)
		ck_assert_int_eq(tree_fill(ip, (uint64_t)i * 8192, 4096, (int)i), 4096);
	ddfs_inode_put(ip);
	ip = tree_make_get(root, "file", S_IFREG | 0644);
	ck_assert_int_eq(tree_fill(ip, 0, 9000, 'f'), 9000);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.x", "value", 5, 0, false), 0);
	ddfs_inode_put(ip);
	ck_assert_int_eq(tree_make(root, "dir", S_IFDIR | 0755), 0);
	for (unsigned int i = 0; i < 70; i++) {
		snprintf(name, sizeof(name), "name%u", i);
		ck_assert_int_eq(tree_make(root, name, S_IFREG | 0644), 0);
	}
}

/* Take blocks until left are free for anybody. */
static void use_up(struct ddfs_fs *fs, struct ddfs_inode *root, uint64_t left)
{
	struct ddfs_inode *ip = tree_make_get(root, "ballast", S_IFREG | 0644);
	struct ddfs_statfs st;

	ddfs_fs_statfs(fs, &st);
	ck_assert_int_eq(
		ddfs_fallocate(ip, FALLOC_FL_KEEP_SIZE, 0, (st.nr_avail - left) * 4096, NULL), 0);
	ddfs_inode_put(ip);
	ddfs_fs_statfs(fs, &st);
	ck_assert_uint_le(st.nr_avail, left);
}

static int on(struct ddfs_inode *root, const char *name, unsigned int op)
{
	struct ddfs_inode *ip = tree_get(root, name);
	uint8_t *value = calloc(1, DDFS_XATTR_SIZE_MAX);
	int64_t ret = 0;

	switch (op) {
	case 0:
		ret = ddfs_fallocate(ip, 0, 0, 20 * 8192, NULL);
		break;
	case 1:
		ret = ddfs_fallocate(ip, FALLOC_FL_ZERO_RANGE, 1000, 20 * 8192, NULL);
		break;
	case 2:
		ret = ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 8192, 4096, NULL);
		break;
	case 3:
		ret = ddfs_fallocate(ip, FALLOC_FL_INSERT_RANGE, 4096, 4096, NULL);
		break;
	case 4:
		ret = ddfs_setxattr(ip, "user.x", value, DDFS_XATTR_SIZE_MAX, 0, false);
		break;
	case 5:
		ret = ddfs_setxattr(ip, "user.y", value, 1000, 0, false);
		break;
	}
	free(value);
	ddfs_inode_put(ip);
	return ret < 0 ? (int)ret : 0;
}

static int run(struct ddfs_inode *root, unsigned int op)
{
	char target[201];
	struct ddfs_new n = { .mode = S_IFLNK | 0777, .target = target };
	struct ddfs_inode *dir;
	struct ddfs_entry e;
	int err;

	memset(target, 't', 200);
	target[200] = 0;
	switch (op) {
	case 6:
		return tree_make(root, "new", S_IFREG | 0644);
	case 7:
		return tree_make(root, "new", S_IFDIR | 0755);
	case 8:
		return ddfs_create(root, "new", 3, &n, &e, NULL);
	case 9:
		dir = tree_get(root, "dir");
		err = tree_rename(root, "file", dir, "moved", 0);
		ddfs_inode_put(dir);
		return err;
	case 10:
		dir = tree_get(root, "dir");
		err = tree_make(dir, "new", S_IFREG | 0644);
		ddfs_inode_put(dir);
		return err;
	default:
		return on(root, op == 2 || op == 3 || op < 2 ? "extents" : "file", op);
	}
}
#define NR_OPS 11

static void remove_file(struct ddfs_inode *root, const char *name)
{
	ck_assert_int_eq(tree_unlink(root, name), 0);
}

START_TEST(blocks_left)
{
	unsigned int nr_full = 0;

	for (uint64_t left = 0; left < MAX_LEFT; left++) {
		uint64_t before, after;
		struct ddfs_inode *root;
		struct ddfs_fs *fs;
		struct ram ram;
		int err;

		ram_mkfs(&ram, SIZE, 4096);
		fs = ram_mount(&ram, NULL);
		root = ram_root(fs);
		populate(root);
		use_up(fs, root, left);
		before = tree_digest(fs);
		err = run(root, (unsigned int)_i);
		ck_assert_msg(!err || err == -ENOSPC, "%llu left: %s", (unsigned long long)left,
			strerror(-err));
		nr_full += err == -ENOSPC;
		after = tree_digest(fs);
		ck_assert_msg(!err || before == after, "%llu left: ENOSPC changed the tree",
			(unsigned long long)left);
		ck_image(&ram.media);
		remove_file(root, "extents");
		remove_file(root, "ballast");
		ck_image(&ram.media);
		ck_assert_int_eq(tree_make(root, "again", S_IFREG | 0644), 0);
		ddfs_inode_put(root);
		ck_assert_int_eq(ddfs_fs_close(fs), 0);
		ram_fini(&ram);
	}
	fprintf(stderr, "operation %d: no room %u times of %u\n", _i, nr_full, MAX_LEFT);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "blocks left", blocks_left, NR_OPS },
	};

	return suite_run("fs_enospc", cases, 1);
}
