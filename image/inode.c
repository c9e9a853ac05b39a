/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "image/image.h"

uint64_t ddfs_image_slot_off(const struct ddfs_image *img, uint32_t ino)
{
	uint64_t blk = ino < img->nr_slots ? img->table_blks[ino / DDFS_INODES_PER_BLOCK] : 0;

	return blk ? blk * DDFS_BLOCK_BYTES + ino % DDFS_INODES_PER_BLOCK * DDFS_INODE_BYTES : 0;
}

/* A slot that was never used has no checksum. */
static bool was_never_used(const struct ddfs_inode_disk *di)
{
	return !ddfs_le16(di->magic) && !ddfs_le32(di->crc) && !ddfs_le16(di->mode);
}

static int table_inode(const struct ddfs_image *img, struct ddfs_inode_disk *out)
{
	const enum ddfs_image_copy *c = img->root_copy;

	if (c[0] == DDFS_COPY_GOOD || c[1] == DDFS_COPY_GOOD) {
		*out = img->table;
		return 0;
	}
	if (c[0] != DDFS_COPY_BAD && c[1] != DDFS_COPY_BAD)
		return -EIO;
	*out = img->table;
	return -EUCLEAN;
}

int ddfs_image_inode(const struct ddfs_image *img, uint32_t ino, struct ddfs_inode_disk *out)
{
	uint64_t off = ddfs_image_slot_off(img, ino);
	int err;

	if (ino == DDFS_INO_TABLE)
		return table_inode(img, out);
	if (ino >= img->nr_slots)
		return -ENOENT;
	err = off ? ddfs_image_read(img, off, out, sizeof(*out)) : -EIO;
	if (err)
		return err;
	return was_never_used(out) || ddfs_image_sum_holds(img, off, out, sizeof(*out)) ? 0
											: -EUCLEAN;
}

bool ddfs_image_inode_is_free(const struct ddfs_inode_disk *di)
{
	return !ddfs_le16(di->mode);
}
