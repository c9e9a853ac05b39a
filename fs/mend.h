/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Overwriting bad blocks of a file, which heals them: in place, once the device has cleared them,
 * or else in other blocks that take their place in the file, in the transaction that the caller
 * makes. Of a DAX file the whole unit moves then, with what of it can be read.
 *
 *	err = ddfs_mend_prepare(&mend, &map);
 *	if (!err && ddfs_mend_changes_map(&mend))
 *		...begin a transaction, ddfs_mend_map, commit...
 *	err = ddfs_mend_finish(&mend, err);
 *
 * The new contents are durable before the block is said to be good, and what it held, which is
 * lost, is never told as anything but EIO before.
 */
#ifndef DDFS_FS_MEND_H
#define DDFS_FS_MEND_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/alloc.h"
#include "fs/extent_bulk.h"

struct ddfs_inode_disk;
struct ddfs_op;

struct ddfs_mend {
	struct ddfs_op *op; /* has ip locked exclusive */
	struct ddfs_inode *ip;
	uint64_t off, len;  /* bytes of the file that are being written */
	const uint8_t *src; /* the first of them; NULL: zeroes */
	/* the rest is mend.c's */
	struct ddfs_map bad; /* what is mended */
	uint32_t first;	     /* block of the file that is first to move */
	bool moves;
	struct ddfs_range to;	 /* where to, until the transaction has it */
	struct ddfs_extents old; /* what moves, as it is mapped */
};

/* Whether the first block of m, which is mapped, is bad. Cuts m where that ends, or where the first
 * bad block is. */
bool ddfs_mend_is_wanted(struct ddfs_fs *fs, struct ddfs_map *m);

/* m is such a run. How many blocks from its first on are mended is in bad.len. Outside of a
 * transaction. -EIO: the first one is not overwritten as a whole; or the device can't clear it, and
 * the unit that it lies in can't move, because it is pinned, too large for one transaction, or has
 * another bad block that is not overwritten. -ENOSPC. */
int ddfs_mend_prepare(struct ddfs_mend *d, const struct ddfs_map *m);
bool ddfs_mend_changes_map(const struct ddfs_mend *d);
/* di is the inode's shadow in op's transaction. */
int ddfs_mend_map(struct ddfs_mend *d, struct ddfs_inode_disk *di);
/* err: of the transaction, or of prepare; returned. */
int ddfs_mend_finish(struct ddfs_mend *d, int err);

#endif
