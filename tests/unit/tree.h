/* SPDX-License-Identifier: BSD-3-Clause */
/* Short ways to the calls of fs/ for tests: each works on names in one directory. */
#ifndef DDFS_TEST_TREE_H
#define DDFS_TEST_TREE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"

static inline int tree_make(struct ddfs_inode *dir, const char *name, uint32_t mode)
{
	struct ddfs_new n = { .mode = mode, .target = "a target" };
	struct ddfs_entry e;

	return ddfs_create(dir, name, strlen(name), &n, &e, NULL);
}

/* The inode of that name, referenced; it is there. */
static inline struct ddfs_inode *tree_get(struct ddfs_inode *dir, const char *name)
{
	struct ddfs_inode *ip;
	struct ddfs_entry e;
	int err = ddfs_lookup(dir, name, strlen(name), &e);

	ck_assert_msg(!err, "%s: %s", name, strerror(-err));
	ck_assert_int_eq(ddfs_inode_get(ddfs_inode_fs(dir), e.attr.id, &ip), 0);
	return ip;
}

static inline struct ddfs_inode *tree_make_get(
	struct ddfs_inode *dir, const char *name, uint32_t mode)
{
	ck_assert_int_eq(tree_make(dir, name, mode), 0);
	return tree_get(dir, name);
}

static inline int tree_unlink(struct ddfs_inode *dir, const char *name)
{
	return ddfs_unlink(dir, name, strlen(name));
}

static inline int tree_rename(struct ddfs_inode *from, const char *oname, struct ddfs_inode *to,
	const char *nname, unsigned int flags)
{
	return ddfs_rename(from, oname, strlen(oname), to, nname, strlen(nname), flags);
}

/* len bytes of the value c. */
static inline ssize_t tree_fill(struct ddfs_inode *ip, uint64_t off, size_t len, int c)
{
	void *buf = malloc(len);
	ssize_t n;

	memset(buf, c, len);
	n = ddfs_write(ip, off, buf, len, 0);
	free(buf);
	return n;
}

#endif
