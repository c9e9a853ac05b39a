/* SPDX-License-Identifier: BSD-3-Clause */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/core.h"
#include "fs/htree.h"

uint64_t ddfs_name_hash(const struct ddfs_fs *fs, const char *name, size_t len)
{
	uint64_t h = XXH3_64bits_withSeed(name, len, fs->hash_seed) >> 1 & ~UINT64_C(127);

	return h ? h : 128;
}
