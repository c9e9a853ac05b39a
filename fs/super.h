/* SPDX-License-Identifier: BSD-3-Clause */
/* The superblock and its second copy. */
#ifndef DDFS_FS_SUPER_H
#define DDFS_FS_SUPER_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/format.h"

struct ddfs_fs;
struct ddfs_media;

/* Seed of the superblocks' own checksums: the filesystem's lies inside them. */
#define DDFS_SUPER_SEED 0x64646673u

/* Where the second superblock of a filesystem of device_bytes lies. */
static inline uint64_t ddfs_super_backup_off(uint64_t device_bytes)
{
	return device_bytes - DDFS_BLOCK_BYTES;
}

/* Reads the better copy into fs->super and checks all that later code relies on. */
int ddfs_super_read(struct ddfs_fs *fs);
/* -EOPNOTSUPP if a feature allows no more than a read-only mount. */
int ddfs_super_check_writable(struct ddfs_fs *fs);
/* Writes both copies, one after the other, as fs->super says. fs->super_lock is held. */
int ddfs_super_write(struct ddfs_fs *fs);

/* Record that the filesystem is in use, or that it is not and what is free. */
int ddfs_super_mark_mounted(struct ddfs_fs *fs);
int ddfs_super_mark_clean(struct ddfs_fs *fs);

/* The machine's boot id, binary; zeroes if it can't be read. */
void ddfs_boot_id(uint8_t id[16]);

#endif
