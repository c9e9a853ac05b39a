/* SPDX-License-Identifier: BSD-3-Clause */
/* A new filesystem in memory, mounted: where most tests of fs/ begin and end. */
#ifndef DDFS_TEST_MOUNTED_H
#define DDFS_TEST_MOUNTED_H

#include <check.h>

#include "tests/unit/check_image.h"
#include "tests/unit/ram.h"

struct mounted {
	struct ram ram;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
};

static inline void mounted_open(struct mounted *m, const struct ddfs_fs_options *opt)
{
	m->fs = ram_mount(&m->ram, opt);
	m->root = ram_root(m->fs);
}

/* opt may be NULL. */
static inline void mounted_begin(
	struct mounted *m, uint64_t size, uint64_t align, const struct ddfs_fs_options *opt)
{
	ram_mkfs(&m->ram, size, align);
	mounted_open(m, opt);
}

/* Unmount; the image stays. */
static inline void mounted_close(struct mounted *m)
{
	ddfs_inode_put(m->root);
	ck_assert_int_eq(ddfs_fs_close(m->fs), 0);
	ck_image(&m->ram.media);
}

static inline void mounted_again(struct mounted *m, const struct ddfs_fs_options *opt)
{
	mounted_close(m);
	mounted_open(m, opt);
}

static inline void mounted_end(struct mounted *m)
{
	ck_image(&m->ram.media);
	mounted_close(m);
	ram_fini(&m->ram);
}

#endif
