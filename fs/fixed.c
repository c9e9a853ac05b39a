/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/fixed.h"

#include <string.h>

#include "fs/core.h"

static bool reads_as(struct ddfs_fs *fs, uint64_t off, const void *block)
{
	uint8_t now[DDFS_BLOCK_BYTES];

	return !fs->media->ops->copy_out(fs->media, now, off, sizeof(now)) &&
	       memcmp(now, block, sizeof(now)) == 0;
}

static int store(struct ddfs_fs *fs, uint64_t off, const void *block)
{
	fs->media->ops->copy(fs->media, off, block, DDFS_BLOCK_BYTES);
	return fs->media->ops->drain(fs->media);
}

int ddfs_fixed_repair(struct ddfs_fs *fs, uint64_t off, const void *block)
{
	struct ddfs_range r = { off >> DDFS_BLOCK_SHIFT, 1 };
	int err;

	/* Where the device can't clear it, storing whole lines may. */
	if (fs->media->ops->probe(fs->media, off, DDFS_BLOCK_BYTES))
		ddfs_bad_clear(fs, r);
	err = DDFS_GUARDED_STORE(fs, store(fs, off, block));
	if (!err && !reads_as(fs, off, block))
		err = -EIO;
	if (!err)
		ddfs_bad_drop(fs, r);
	return err;
}
