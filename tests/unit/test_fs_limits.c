/* SPDX-License-Identifier: BSD-3-Clause */
/* What is documented as a limit: reached, and no more. */
#include <check.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "tests/unit/check_image.h"
#include "tests/unit/ram.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

struct mounted {
	struct ram ram;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
};

static void begin(struct mounted *m, uint64_t size)
{
	ram_mkfs(&m->ram, size, 4096);
	m->fs = ram_mount(&m->ram, NULL);
	m->root = ram_root(m->fs);
}

static void end(struct mounted *m)
{
	ck_image(&m->ram.media);
	ddfs_inode_put(m->root);
	ck_assert_int_eq(ddfs_fs_close(m->fs), 0);
	ck_image(&m->ram.media);
	ram_fini(&m->ram);
}

START_TEST(links)
{
	struct ddfs_inode *ip;
	struct ddfs_entry e;
	struct ddfs_attr a;
	struct mounted m;
	char name[16];

	begin(&m, UINT64_C(64) << 20);
	ip = tree_make_get(m.root, "0", S_IFREG | 0644);
	for (unsigned int i = 1; i < DDFS_LINK_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ck_assert_int_eq(ddfs_link(ip, m.root, name, strlen(name), &e), 0);
	}
	ck_assert_int_eq(ddfs_link(ip, m.root, "more", 4, &e), -EMLINK);
	ck_assert_int_eq(ddfs_link(ip, ip, "in itself", 9, &e), -ENOTDIR);
	ddfs_getattr(ip, &a);
	ck_assert_uint_eq(a.nlink, DDFS_LINK_MAX);
	for (unsigned int i = 0; i < DDFS_LINK_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ck_assert_int_eq(tree_unlink(m.root, name), 0);
	}
	ddfs_inode_put(ip);
	end(&m);
}
END_TEST

START_TEST(names)
{
	struct ddfs_new n = { .mode = S_IFREG | 0644 };
	struct ddfs_entry e;
	struct mounted m;
	char name[257];

	begin(&m, UINT64_C(16) << 20);
	memset(name, 'n', sizeof(name));
	ck_assert_int_eq(ddfs_create(m.root, name, 255, &n, &e, NULL), 0);
	ck_assert_int_eq(ddfs_create(m.root, name, 256, &n, &e, NULL), -ENAMETOOLONG);
	ck_assert_int_eq(ddfs_lookup(m.root, name, 255, &e), 0);
	ck_assert_int_eq(ddfs_lookup(m.root, name, 256, &e), -ENAMETOOLONG);
	ck_assert_int_eq(ddfs_lookup(m.root, name, 254, &e), -ENOENT);
	ck_assert_int_eq(ddfs_create(m.root, "", 0, &n, &e, NULL), -EINVAL);
	ck_assert_int_eq(ddfs_create(m.root, "a/b", 3, &n, &e, NULL), -EINVAL);
	ck_assert_int_eq(ddfs_create(m.root, "a\0b", 3, &n, &e, NULL), -EINVAL);
	ck_assert_int_eq(ddfs_rename(m.root, name, 255, m.root, name, 256, 0), -ENAMETOOLONG);
	ck_assert_int_eq(ddfs_unlink(m.root, name, 255), 0);
	end(&m);
}
END_TEST

START_TEST(symlinks)
{
	static const size_t lens[] = { 1, 63, 64, 65, 4094, 4095, 4096 };
	char target[4097], got[4097];
	struct ddfs_new n = { .mode = S_IFLNK | 0777, .target = target };
	struct ddfs_inode *ip;
	struct ddfs_entry e;
	struct mounted m;

	begin(&m, UINT64_C(16) << 20);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		int err;

		memset(target, 't', sizeof(target));
		target[lens[i]] = 0;
		err = ddfs_create(m.root, "l", 1, &n, &e, NULL);
		ck_assert_int_eq(err, lens[i] > DDFS_SYMLINK_MAX ? -ENAMETOOLONG : 0);
		if (err)
			continue;
		ip = tree_get(m.root, "l");
		ck_assert_int_eq(ddfs_readlink(ip, got, sizeof(got)), (ssize_t)lens[i]);
		ck_assert(memcmp(got, target, lens[i]) == 0);
		ddfs_inode_put(ip);
		ck_image(&m.ram.media);
		ck_assert_int_eq(tree_unlink(m.root, "l"), 0);
	}
	target[0] = 0;
	ck_assert_int_eq(ddfs_create(m.root, "l", 1, &n, &e, NULL), -ENOENT);
	end(&m);
}
END_TEST

START_TEST(file_size)
{
	struct ddfs_attr a = { .size = DDFS_FILE_SIZE_MAX };
	struct ddfs_inode *ip;
	struct mounted m;
	uint8_t buf[200];

	begin(&m, UINT64_C(16) << 20);
	ip = tree_make_get(m.root, "f", S_IFREG | 0644);
	ck_assert_int_eq(ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, NULL), 0);
	a.size++;
	ck_assert_int_eq(ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, NULL), -EFBIG);
	a.size = 0;
	ck_assert_int_eq(ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, NULL), 0);
	ck_assert_int_eq(tree_fill(ip, DDFS_FILE_SIZE_MAX - 50, 100, 'x'), 50);
	ck_assert_int_eq(ddfs_pread(ip, buf, 200, DDFS_FILE_SIZE_MAX - 50), 50);
	ck_assert_int_eq(ddfs_write(ip, 0, buf, 1, DDFS_WRITE_APPEND), -EFBIG);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, DDFS_FILE_SIZE_MAX - 4096, 4097, NULL), -EFBIG);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, UINT64_MAX - 5, 10, NULL), -EFBIG);
	ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_INSERT_RANGE, 0, 4096, NULL), -EFBIG);
	ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096,
				 UINT64_MAX - 4096, NULL),
		0);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, 0, NULL), -EINVAL);
	ddfs_inode_put(ip);
	end(&m);
}
END_TEST

/* Thousands of attributes, and values of every size up to the limit. */
START_TEST(xattrs)
{
	uint8_t *value = malloc(DDFS_XATTR_SIZE_MAX + 1), *got = malloc(DDFS_XATTR_SIZE_MAX + 1);
	struct ddfs_inode *ip;
	struct mounted m;
	char name[300];

	begin(&m, UINT64_C(32) << 20);
	ip = tree_make_get(m.root, "f", S_IFREG | 0644);
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "user.%0*u", (int)(1 + i % 200), i);
		memset(value, (int)i, 300);
		ck_assert_int_eq(ddfs_setxattr(ip, name, value, i % 300, XATTR_CREATE, false), 0);
	}
	ck_image(&m.ram.media);
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "user.%0*u", (int)(1 + i % 200), i);
		memset(value, (int)i, 300);
		ck_assert_int_eq(ddfs_getxattr(ip, name, got, 300), i % 300);
		ck_assert(memcmp(value, got, i % 300) == 0);
		if (i % 2)
			ck_assert_int_eq(ddfs_removexattr(ip, name), 0);
	}
	memset(value, 'v', DDFS_XATTR_SIZE_MAX + 1);
	for (size_t size = 0; size <= DDFS_XATTR_SIZE_MAX; size += size < 100 ? 1 : 1213) {
		ck_assert_int_eq(ddfs_setxattr(ip, "trusted.v", value, size, 0, false), 0);
		ck_assert_int_eq(
			ddfs_getxattr(ip, "trusted.v", got, DDFS_XATTR_SIZE_MAX), (ssize_t)size);
		ck_assert(memcmp(value, got, size) == 0);
	}
	ck_assert_int_eq(ddfs_setxattr(ip, "user.v", value, DDFS_XATTR_SIZE_MAX, 0, false), 0);
	ck_assert_int_eq(
		ddfs_setxattr(ip, "user.w", value, DDFS_XATTR_SIZE_MAX + 1, 0, false), -E2BIG);
	ck_assert_int_eq(ddfs_getxattr(ip, "user.v", got, 100), -ERANGE);
	ck_assert_int_eq(ddfs_setxattr(ip, "other.x", value, 1, 0, false), -EOPNOTSUPP);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.", value, 1, 0, false), -EINVAL);
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[256] = 0;
	ck_assert_int_eq(ddfs_setxattr(ip, name, value, 1, 0, false), -ERANGE);
	name[255] = 0;
	ck_assert_int_eq(ddfs_setxattr(ip, name, value, 1, 0, false), 0);
	ck_image(&m.ram.media);
	ck_assert_int_eq(tree_unlink(m.root, "f"), 0);
	ddfs_inode_put(ip);
	free(value);
	free(got);
	end(&m);
}
END_TEST

/* Seconds before 1970, past 2038, 2106 and 2554, all through a remount. */
START_TEST(times)
{
	static const time_t secs[] = { -1, -2208988800, 0, INT64_C(4294967296),
		INT64_C(18446744074), INT64_C(253402300800) };
	struct ddfs_attr a, got;
	struct ddfs_inode *ip;
	struct mounted m;

	begin(&m, UINT64_C(16) << 20);
	ck_assert_int_eq(tree_make(m.root, "f", S_IFREG | 0644), 0);
	for (size_t i = 0; i < sizeof(secs) / sizeof(secs[0]); i++) {
		a.atime = a.mtime = (struct timespec){ secs[i], 999999999 };
		ip = tree_get(m.root, "f");
		ck_assert_int_eq(
			ddfs_setattr(ip, &a, DDFS_SET_ATIME | DDFS_SET_MTIME, NULL, NULL), 0);
		ddfs_inode_put(ip);
		ddfs_inode_put(m.root);
		ck_assert_int_eq(ddfs_fs_close(m.fs), 0);
		m.fs = ram_mount(&m.ram, NULL);
		m.root = ram_root(m.fs);
		ip = tree_get(m.root, "f");
		ddfs_getattr(ip, &got);
		ck_assert_int_eq(got.atime.tv_sec, secs[i]);
		ck_assert_int_eq(got.mtime.tv_sec, secs[i]);
		ck_assert_int_eq(got.mtime.tv_nsec, 999999999);
		ddfs_inode_put(ip);
	}
	end(&m);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "links", links, 0 },
		{ "names", names, 0 },
		{ "symlinks", symlinks, 0 },
		{ "file size", file_size, 0 },
		{ "xattrs", xattrs, 0 },
		{ "times", times, 0 },
	};

	return suite_run("fs_limits", cases, 6);
}
