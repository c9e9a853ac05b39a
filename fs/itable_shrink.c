/* SPDX-License-Identifier: BSD-3-Clause */
/* The inode table gets smaller: blocks at its end go whose slots are all free. */
#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/itable_priv.h"
#include "fs/tx.h"

/* Whether no slot of the block is in use. *gen becomes at least the largest generation in it. */
static bool block_is_free(struct ddfs_fs *fs, uint32_t block, uint32_t *gen)
{
	uint64_t off = 0;

	if (ddfs_itable_find(fs, block * DDFS_INODES_PER_BLOCK, &off))
		return false;
	for (unsigned int i = 0; i < DDFS_INODES_PER_BLOCK; i++, off += DDFS_INODE_BYTES) {
		const struct ddfs_inode_disk *di = (const void *)(fs->base + off);

		/* Until its object is dead, the lane that freed it may not be empty yet. A
		 * dead one looks at its slot no more. */
		if (ddfs_icache_has_live(fs, block * DDFS_INODES_PER_BLOCK + i) ||
			!ddfs_itable_slot_is_free(fs, off))
			return false;
		if (ddfs_le32(di->gen) > *gen)
			*gen = ddfs_le32(di->gen);
	}
	return true;
}

/* The table ends with block end, n earlier; no generation up to gen is used again. */
static int edit_cut(struct ddfs_tx *tx, uint32_t end, uint32_t n, uint32_t gen)
{
	struct ddfs_inode_disk *di = ddfs_itable_root_edit(tx);
	int err;

	di->size = ddfs_to64((uint64_t)end << DDFS_BLOCK_SHIFT);
	if (gen > ddfs_le32(di->gen))
		di->gen = ddfs_to32(gen);
	err = ddfs_extent_remove(tx, di, end, n, true);
	ddfs_itable_root_edited(tx, di);
	return err;
}

/* One transaction. t->lock is held. */
static int cut_to(struct ddfs_fs *fs, uint32_t end, uint32_t n, uint32_t gen)
{
	struct ddfs_itable *t = &fs->itable;
	struct ddfs_tx *tx = ddfs_tx_begin(fs);
	int err;

	if (!tx)
		return -ENOMEM;
	pthread_rwlock_wrlock(&t->map_lock);
	err = DDFS_GUARDED(fs, edit_cut(tx, end, n, gen));
	if (err)
		ddfs_tx_abort(tx);
	else
		err = ddfs_tx_commit(tx);
	if (!err)
		t->nr_slots = end * DDFS_INODES_PER_BLOCK;
	pthread_rwlock_unlock(&t->map_lock);
	return err;
}

/* Cut the table to blocks, by one transaction's worth. t->lock is held. */
static int cut(struct ddfs_fs *fs, uint32_t blocks, uint32_t gen)
{
	uint32_t end = fs->itable.nr_slots / DDFS_INODES_PER_BLOCK, n = end - blocks;

	while (!ddfs_extent_range_is_small(fs, NULL, ddfs_itable_inode(fs), end - n, n))
		n = (n + 1) / 2;
	return cut_to(fs, end - n, n, gen);
}

static void forget_numbers(struct ddfs_itable *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->nr_free; i++)
		if (t->free_ino[i] < t->nr_slots)
			t->free_ino[n++] = t->free_ino[i];
	t->nr_free = n;
	if (t->scanned > t->nr_slots)
		t->scanned = t->nr_slots;
}

static int shrink(struct ddfs_fs *fs)
{
	struct ddfs_itable *t = &fs->itable;
	uint32_t end = t->nr_slots / DDFS_INODES_PER_BLOCK, blocks = end, gen = 0;
	int err = 0;

	while (blocks > DDFS_ITABLE_GROW_MIN_BLOCKS && block_is_free(fs, blocks - 1, &gen))
		blocks--;
	while (t->nr_slots / DDFS_INODES_PER_BLOCK > blocks && !err)
		err = cut(fs, blocks, gen);
	forget_numbers(t);
	return err;
}

int ddfs_itable_shrink(struct ddfs_fs *fs)
{
	struct ddfs_itable *t = &fs->itable;
	int err = 0;

	if (ddfs_fs_writable(fs))
		return 0;
	pthread_mutex_lock(&t->lock);
	if (!t->nr_pending && t->nr_slots > DDFS_ITABLE_GROW_MIN_BLOCKS * DDFS_INODES_PER_BLOCK &&
		ddfs_itable_nr_unused(fs) > t->nr_slots / 2)
		err = DDFS_GUARDED(fs, shrink(fs));
	pthread_mutex_unlock(&t->lock);
	return err;
}
