/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which blocks hold which bytes of a file: up to four extents in the inode, then a B+tree.
 * The inode's lock protects all of it: shared to look up, exclusive to change.
 */
#ifndef DDFS_FS_EXTENT_H
#define DDFS_FS_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/format.h"

struct ddfs_fs;
struct ddfs_tx;

enum ddfs_map_kind { DDFS_MAP_HOLE, DDFS_MAP_UNWRITTEN, DDFS_MAP_WRITTEN };

/* A run of a file's blocks that are all of one kind and, unless a hole, contiguous on media. */
struct ddfs_map {
	uint32_t lblk;
	uint32_t len;
	uint64_t pblk;
	enum ddfs_map_kind kind;
};

/* The run that lblk lies in, from lblk on. A hole may be reported in parts. */
int ddfs_extent_lookup(struct ddfs_fs *fs, const struct ddfs_tx *tx,
	const struct ddfs_inode_disk *di, uint32_t lblk, struct ddfs_map *out);

/* di is a shadow of tx in what follows; di->nr_blocks is kept. */

/* Map a range that is a hole. Joins neighbours where it can. -ENOSPC for want of a node. */
int ddfs_extent_insert(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const struct ddfs_map *m);

/* Unmap what is mapped of [lblk, lblk + len); give_back: the blocks become free with tx. */
int ddfs_extent_remove(struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint32_t lblk, uint32_t len,
	bool give_back);

/* Make what is mapped of the range written or unwritten. */
int ddfs_extent_convert(struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint32_t lblk, uint32_t len,
	enum ddfs_map_kind kind);

/* Check what the inode itself holds of the map. */
bool ddfs_extent_inline_valid(const struct ddfs_fs *fs, const struct ddfs_inode_disk *di);

/* Between extent.c and extent_tree.c: a way from the root to an entry. */
struct ddfs_extent_path {
	uint8_t depth;	 /* nodes; 0: the entries are in the inode */
	uint64_t blk[8]; /* [0] is the root */
	uint16_t idx[8]; /* of the reference followed or, in the leaf, of the entry: the last
			  * whose lblk is not above the wanted one, or 0 */
	uint16_t nr;	 /* entries of the leaf */
	const struct ddfs_extent *entry; /* entries of the leaf */
	uint64_t next; /* no other leaf holds an lblk below this that is above the wanted one */
};
int ddfs_extent_find(struct ddfs_fs *fs, const struct ddfs_tx *tx, const struct ddfs_inode_disk *di,
	uint32_t lblk, struct ddfs_extent_path *p);
/* The leaf's entries, to change in place. */
struct ddfs_extent *ddfs_extent_edit(
	struct ddfs_tx *tx, struct ddfs_inode_disk *di, const struct ddfs_extent_path *p);
/* Put e before the leaf's entry at. p is stale afterwards. */
int ddfs_extent_add_entry(struct ddfs_tx *tx, struct ddfs_inode_disk *di,
	struct ddfs_extent_path *p, unsigned int at, struct ddfs_extent e);
/* Take the leaf's entry at away. p is stale afterwards. */
void ddfs_extent_del_entry(struct ddfs_tx *tx, struct ddfs_inode_disk *di,
	struct ddfs_extent_path *p, unsigned int at);

#endif
