/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/op.h"

#include "fs/core.h"
#include "fs/tx.h"

void ddfs_op_begin(struct ddfs_op *op, struct ddfs_fs *fs)
{
	op->fs = fs;
	op->tx = NULL;
	op->nr_locked = 0;
	op->nr_held = 0;
	op->renaming = false;
}

void ddfs_op_adopt_lock(struct ddfs_op *op, struct ddfs_inode *ip)
{
	assert(op->nr_locked < DDFS_OP_INODES);
	op->locked[op->nr_locked++] = ip;
}

void ddfs_op_lock(struct ddfs_op *op, struct ddfs_inode *ip, bool exclusive)
{
	if (exclusive)
		pthread_rwlock_wrlock(&ip->lock);
	else
		pthread_rwlock_rdlock(&ip->lock);
	ddfs_op_adopt_lock(op, ip);
}

void ddfs_op_lock_two(struct ddfs_op *op, struct ddfs_inode *a, struct ddfs_inode *b)
{
	if (a->ino > b->ino) {
		struct ddfs_inode *t = a;

		a = b;
		b = t;
	}
	ddfs_op_lock(op, a, true);
	if (a != b)
		ddfs_op_lock(op, b, true);
}

void ddfs_op_lock_rename(struct ddfs_op *op)
{
	pthread_mutex_lock(&op->fs->rename_lock);
	op->renaming = true;
}

void ddfs_op_hold(struct ddfs_op *op, struct ddfs_inode *ip)
{
	assert(op->nr_held < DDFS_OP_INODES);
	op->held[op->nr_held++] = ip;
}

void ddfs_op_hold_more(struct ddfs_op *op, struct ddfs_inode *ip)
{
	ddfs_inode_hold(ip);
	ddfs_op_hold(op, ip);
}

int ddfs_op_tx(struct ddfs_op *op)
{
	int err = ddfs_fs_writable(op->fs);

	if (err)
		return err;
	op->tx = ddfs_tx_begin(op->fs);
	return op->tx ? 0 : -ENOMEM;
}

int ddfs_op_tx_reserve(struct ddfs_op *op)
{
	int err = ddfs_op_tx(op);

	if (!err)
		op->tx->reserve = true;
	return err;
}

int ddfs_op_commit(struct ddfs_op *op)
{
	struct ddfs_tx *tx = op->tx;

	op->tx = NULL;
	return ddfs_tx_commit(tx);
}

void ddfs_op_abort(struct ddfs_op *op)
{
	if (op->tx)
		ddfs_tx_abort(op->tx);
	op->tx = NULL;
}

int ddfs_op_end(struct ddfs_op *op, int err)
{
	ddfs_op_abort(op);
	while (op->nr_locked)
		pthread_rwlock_unlock(&op->locked[--op->nr_locked]->lock);
	if (op->renaming)
		pthread_mutex_unlock(&op->fs->rename_lock);
	while (op->nr_held)
		ddfs_inode_put(op->held[--op->nr_held]);
	return err;
}
