/* SPDX-License-Identifier: BSD-3-Clause */
/* Which filesystem lies on a device: as much of FORMAT.md, section 3, as a client knows. */
#ifndef DDFS_CLIENT_SUPER_H
#define DDFS_CLIENT_SUPER_H

#include <stdint.h>

/* 0 if a superblock of the device that fd is open on, of which the filesystem uses size_bytes, has
 * that uuid. -ENODEV: neither has. -errno: it cannot be read. */
int ddfs_client_super_check(
	int fd, uint64_t size_bytes, uint64_t align_bytes, const uint8_t uuid[16]);

#endif
