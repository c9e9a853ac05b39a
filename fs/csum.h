/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC32C of metadata structures. */
#ifndef DDFS_FS_CSUM_H
#define DDFS_FS_CSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Plain CRC32C, to be continued by passing the last result as seed. */
uint32_t ddfs_crc32c(uint32_t seed, const void *p, size_t len);

/* The checksum of a structure of len bytes that lies (or will) at byte off: over all but its
 * first four bytes. */
uint32_t ddfs_csum(uint32_t seed, uint64_t off, const void *p, size_t len);

/* Store it into, or compare it with, the first four bytes. */
void ddfs_csum_seal(uint32_t seed, uint64_t off, void *p, size_t len);
bool ddfs_csum_holds(uint32_t seed, uint64_t off, const void *p, size_t len);

#endif
