/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/used.h"

#include "fs/core.h"

/* Copies a structure out. What can't be read, or is being changed, does not hold. */
static bool read_whole(struct ddfs_fs *fs, void *to, uint64_t off, size_t len)
{
	return !fs->media->ops->copy_out(fs->media, to, off, len) &&
	       ddfs_csum_holds(fs->csum_seed, off, to, len);
}

static uint32_t nr_written(struct ddfs_fs *fs, uint32_t nr)
{
	uint64_t off = DDFS_GROUP_TABLE_OFF + (uint64_t)nr * sizeof(struct ddfs_group_desc);
	uint32_t nr_chunks = fs->alloc.groups[nr].nr_chunks;
	struct ddfs_group_desc d;

	if (!read_whole(fs, &d, off, sizeof(d)) || ddfs_le32(d.nr_init) > nr_chunks)
		return nr_chunks;
	return ddfs_le32(d.nr_init);
}

/* Rather too often than too seldom. */
static bool chunk_is_used(struct ddfs_fs *fs, uint32_t chunk)
{
	uint64_t off = fs->alloc.chunk_table_off + (uint64_t)chunk * sizeof(struct ddfs_chunk);
	struct ddfs_chunk c;

	if (!read_whole(fs, &c, off, sizeof(c)))
		return true;
	for (unsigned int i = 0; i < 8; i++)
		if (ddfs_le64(c.used[i]))
			return true;
	return false;
}

void ddfs_fs_used(
	struct ddfs_fs *fs, void (*found)(void *arg, uint64_t off, uint64_t len), void *arg)
{
	found(arg, 0, ddfs_block_off(fs->data_block));
	found(arg, ddfs_block_off(fs->end_block), 2 * DDFS_BLOCK_BYTES);
	for (uint32_t nr = 0; nr < fs->alloc.nr_groups; nr++) {
		uint32_t first = fs->alloc.groups[nr].first_chunk;
		uint32_t end = first + nr_written(fs, nr);

		for (uint32_t c = first; c < end; c++)
			if (chunk_is_used(fs, c))
				found(arg, (uint64_t)c * DDFS_CHUNK_BYTES, DDFS_CHUNK_BYTES);
	}
}
