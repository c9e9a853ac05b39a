/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One call into the filesystem: the locks, references and transaction it has taken, all let go by
 * ddfs_op_end, whichever way it ends.
 *
 *	ddfs_op_begin(&op, fs);
 *	ddfs_op_lock(&op, dir, true);
 *	err = ddfs_op_tx(&op);
 *	...
 *	if (!err)
 *		err = ddfs_op_commit(&op);
 *	return ddfs_op_end(&op, err);
 */
#ifndef DDFS_FS_OP_H
#define DDFS_FS_OP_H

#include <stdbool.h>

#include "fs/inode.h"

struct ddfs_tx;

#define DDFS_OP_INODES 8

struct ddfs_op {
	struct ddfs_fs *fs;
	struct ddfs_tx *tx; /* NULL outside a transaction */
	unsigned int nr_locked, nr_held;
	struct ddfs_inode *locked[DDFS_OP_INODES]; /* in the order they were locked */
	struct ddfs_inode *held[DDFS_OP_INODES];
	bool renaming; /* holds fs->rename_lock */
};

void ddfs_op_begin(struct ddfs_op *op, struct ddfs_fs *fs);
/* Lock order is the caller's business: see fs/core.h. An inode is locked once. */
void ddfs_op_lock(struct ddfs_op *op, struct ddfs_inode *ip, bool exclusive);
/* Two inodes that are not in each other, by number; they may be the same. */
void ddfs_op_lock_two(struct ddfs_op *op, struct ddfs_inode *a, struct ddfs_inode *b);
/* A lock that was gained with the inode itself (ddfs_inode_new). */
void ddfs_op_adopt_lock(struct ddfs_op *op, struct ddfs_inode *ip);
void ddfs_op_lock_rename(struct ddfs_op *op);
/* Put the reference at the end. */
void ddfs_op_hold(struct ddfs_op *op, struct ddfs_inode *ip);
/* Take another one for the time of the operation. */
void ddfs_op_hold_more(struct ddfs_op *op, struct ddfs_inode *ip);

/* Begin the transaction. -EROFS, -ENOMEM. */
int ddfs_op_tx(struct ddfs_op *op);
/* The same for what has to work on a full filesystem: removing, or writing to blocks that are
 * allocated. Its tree nodes may come from the reserve. */
int ddfs_op_tx_reserve(struct ddfs_op *op);
int ddfs_op_commit(struct ddfs_op *op);
/* Give up the transaction, if there is one, and go on. */
void ddfs_op_abort(struct ddfs_op *op);
/* Aborts a transaction that was not committed. Returns err. */
int ddfs_op_end(struct ddfs_op *op, int err);

#endif
