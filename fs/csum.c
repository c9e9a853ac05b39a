/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/csum.h"

#include <isa-l/crc.h>

#include "fs/format.h"

uint32_t ddfs_crc32c(uint32_t seed, const void *p, size_t len)
{
	/* ISA-L's prototype lacks const; it only reads. */
	return crc32_iscsi((unsigned char *)(uintptr_t)p, (int)len, seed);
}

uint32_t ddfs_csum(uint32_t seed, uint64_t off, const void *p, size_t len)
{
	/* Mixing the location into the seed costs nothing per byte; multiplying spreads offsets
	 * that differ in few bits over all of the seed. */
	uint32_t at = (uint32_t)((off >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	return ddfs_crc32c(seed ^ at, (const uint8_t *)p + 4, len - 4);
}

void ddfs_csum_seal(uint32_t seed, uint64_t off, void *p, size_t len)
{
	*(struct le32 *)p = ddfs_to32(ddfs_csum(seed, off, p, len));
}

bool ddfs_csum_holds(uint32_t seed, uint64_t off, const void *p, size_t len)
{
	return ddfs_le32(*(const struct le32 *)p) == ddfs_csum(seed, off, p, len);
}
