/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions.
 *
 *	tx = ddfs_tx_begin(fs);
 *	inode = ddfs_tx_edit(tx, off, sizeof(*inode));	a copy to change
 *	ddfs_tx_alloc(tx, 0, 1, 0, &r);
 *	node = ddfs_tx_fresh(tx, r.start);		a new block to fill
 *	err = ddfs_tx_commit(tx);			all of it, or nothing
 *
 * Structures are changed in shadows, copies in memory; commit seals their checksums and logs
 * the words that differ from media. Blocks that nothing refers to yet are written outright. What
 * an unfinished transaction has changed is seen through ddfs_tx_view.
 *
 * The caller holds the locks of everything it edits from before the edit until commit or abort
 * has returned. A transaction that outgrows its lane fails at commit with -E2BIG and changes
 * nothing.
 */
#ifndef DDFS_FS_TX_H
#define DDFS_FS_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/alloc.h"

#define DDFS_TX_SHADOWS 192
#define DDFS_TX_RANGES	640
#define DDFS_TX_ARENA	(256u << 10)
#define DDFS_TX_SPILL	(16u << 10)
#define DDFS_TX_INODES	8
#define DDFS_TX_GROUPS	128

struct ddfs_fs;
struct ddfs_inode;

struct ddfs_shadow {
	uint64_t off;
	uint32_t len;
	bool fresh; /* a new block: written outright, not logged */
	uint8_t *buf;
};

struct ddfs_tx {
	struct ddfs_fs *fs;
	unsigned int lane;
	int error;    /* sticky; commit gives it */
	bool reserve; /* its nodes may come from the reserve */
	bool closing; /* commits on a filesystem that is read-only already */
	unsigned int nr_shadows, nr_allocs, nr_frees, nr_inodes, nr_groups;
	size_t arena_used;
	struct ddfs_shadow shadows[DDFS_TX_SHADOWS];
	struct ddfs_range allocs[DDFS_TX_RANGES];
	struct ddfs_range frees[DDFS_TX_RANGES];
	struct {
		struct ddfs_inode *ip;
		unsigned int lazy;
	} inodes[DDFS_TX_INODES];	 /* whose lazy times are in a shadow, and which of them */
	uint32_t groups[DDFS_TX_GROUPS]; /* whose media_lock commit holds */
	uint8_t *arena;
	uint8_t *image; /* of the lane */
};

/* Takes a lane, and waits for one: hold no lock that a lane's holder may want. NULL: no memory. */
struct ddfs_tx *ddfs_tx_begin(struct ddfs_fs *fs);
int ddfs_tx_commit(struct ddfs_tx *tx);
void ddfs_tx_abort(struct ddfs_tx *tx);
void ddfs_tx_delete(struct ddfs_tx *tx);

/* A copy of the len bytes (a structure with a crc in front) at off, to change; the same one each
 * time. Never NULL: past the limits the copy goes nowhere and commit fails. */
void *ddfs_tx_edit(struct ddfs_tx *tx, uint64_t off, uint32_t len);
/* A zeroed block to fill, for a block that this transaction allocated. */
void *ddfs_tx_fresh(struct ddfs_tx *tx, uint64_t blk);
/* The structure as this transaction sees it; tx may be NULL. */
const void *ddfs_tx_view(const struct ddfs_fs *fs, const struct ddfs_tx *tx, uint64_t off);

/* Blocks that become used when the transaction commits, and are given back if it aborts. */
int ddfs_tx_alloc(struct ddfs_tx *tx, uint64_t goal, uint64_t want, unsigned int flags,
	struct ddfs_range *out);
/* The same for blocks that the caller got from ddfs_alloc_get. */
void ddfs_tx_adopt(struct ddfs_tx *tx, struct ddfs_range r);
/* Blocks that become free when it commits. */
void ddfs_tx_free(struct ddfs_tx *tx, uint64_t start, uint64_t len);

#endif
