/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of the filesystem's own structures that can't be read, and whose contents are known. */
#ifndef DDFS_FS_FIXED_H
#define DDFS_FS_FIXED_H

#include <stdint.h>

struct ddfs_fs;

/* Make the block at off hold what it should, and see that it can be read again. -EIO: it can't. */
int ddfs_fixed_repair(struct ddfs_fs *fs, uint64_t off, const void *block);

#endif
