/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole extent maps at once: measured, trimmed, rebuilt. */
#ifndef DDFS_FS_EXTENT_BULK_H
#define DDFS_FS_EXTENT_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/extent.h"

struct ddfs_inode;
struct ddfs_op;

/* The first block that lies wholly behind a file of size bytes. */
static inline uint32_t ddfs_file_end_block(uint64_t size)
{
	return (uint32_t)((size + DDFS_BLOCK_BYTES - 1) >> DDFS_BLOCK_SHIFT);
}

/* Whether what is mapped of the range can be removed in one transaction. */
bool ddfs_extent_range_is_small(struct ddfs_fs *fs, const struct ddfs_tx *tx,
	const struct ddfs_inode_disk *di, uint32_t lblk, uint32_t len);

/* Free some of what is mapped at lblk and behind it, from the end, as much as fits in tx.
 * -EUCLEAN if nothing is mapped there: who asks has seen something. */
int ddfs_extent_trim_some(struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint32_t lblk);

/* Extents in memory, in order. */
struct ddfs_extents {
	struct ddfs_extent *e;
	size_t nr, cap;
};
int ddfs_extents_add(struct ddfs_extents *x, const struct ddfs_map *m);
void ddfs_extents_fini(struct ddfs_extents *x);
/* All that is mapped of the range, appended to x. */
int ddfs_extents_load(struct ddfs_fs *fs, const struct ddfs_inode_disk *di, uint32_t lblk,
	uint32_t len, struct ddfs_extents *x);

/* Make keep the whole map of ip, and free the blocks of drop and of the old nodes: at once, or,
 * where that is too much for one transaction, through an inode that owns nothing but them. ip is
 * locked exclusive by op; change fills in what else changes, in the same transaction. */
typedef void (*ddfs_change_fn)(struct ddfs_inode_disk *di, void *arg);
int ddfs_extents_replace(struct ddfs_op *op, struct ddfs_inode *ip, const struct ddfs_extents *keep,
	struct ddfs_extents *drop, ddfs_change_fn change, void *arg);

#endif
