/* SPDX-License-Identifier: BSD-3-Clause */
/* Which parts of the device hold something. */
#ifndef DDFS_FS_USED_H
#define DDFS_FS_USED_H

#include <stdint.h>

struct ddfs_fs;

/* Tells each chunk that has a block in use, and the fixed structures, in bytes. Takes no lock: a
 * block whose transaction commits meanwhile may be told or not. */
void ddfs_fs_used(
	struct ddfs_fs *fs, void (*found)(void *arg, uint64_t off, uint64_t len), void *arg);

#endif
