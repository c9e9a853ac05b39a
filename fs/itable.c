/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/itable.h"

#include <stdlib.h>
#include <string.h>

#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/tx.h"

#define GROW_MIN_BLOCKS 16u
#define GROW_MAX_BLOCKS DDFS_CHUNK_BLOCKS
/* Free slots collected by one look; bounds how long a create can take. */
#define SCAN_BATCH 1024u

static const struct ddfs_inode_disk *table_inode(const struct ddfs_fs *fs)
{
	return (const void *)(fs->base + DDFS_ROOT_BLOCK_OFF);
}

uint64_t ddfs_itable_backup_off(const struct ddfs_fs *fs)
{
	return ddfs_block_off(fs->end_block);
}

/* Put the second copy of the table's inode in place of the first, which is damaged. */
static int use_backup(struct ddfs_fs *fs)
{
	uint64_t off = ddfs_itable_backup_off(fs);
	struct ddfs_inode_disk di;

	memcpy(&di, fs->base + off, sizeof(di));
	if (fs->media->readonly || !ddfs_csum_holds(fs->csum_seed, off, &di, sizeof(di)))
		return -EUCLEAN;
	ddfs_log(fs, LOG_WARNING,
		"the inode table's inode fails its checksum: using its second copy");
	ddfs_csum_seal(fs->csum_seed, DDFS_ROOT_BLOCK_OFF, &di, sizeof(di));
	fs->media->ops->copy(fs->media, DDFS_ROOT_BLOCK_OFF, &di, sizeof(di));
	return fs->media->ops->drain(fs->media);
}

int ddfs_itable_init(struct ddfs_fs *fs)
{
	struct ddfs_itable *t = &fs->itable;
	const struct ddfs_inode_disk *di = table_inode(fs);
	uint64_t slots;

	pthread_mutex_init(&t->lock, NULL);
	pthread_rwlock_init(&t->map_lock, NULL);
	if (!ddfs_csum_holds(fs->csum_seed, DDFS_ROOT_BLOCK_OFF, di, sizeof(*di)) && use_backup(fs))
		return ddfs_corrupt(fs, "the inode table's inode fails its checksum");
	slots = ddfs_le64(di->size) / DDFS_INODE_BYTES;
	if (ddfs_le16(di->magic) != DDFS_INODE_MAGIC || slots <= DDFS_INO_FIRST ||
		slots > UINT32_MAX || !ddfs_extent_inline_valid(fs, di))
		return ddfs_corrupt(fs, "the inode table's inode holds what cannot be");
	t->nr_slots = (uint32_t)slots;
	t->scanned = ddfs_le32(fs->super.first_free_inode);
	if (t->scanned < DDFS_INO_FIRST || t->scanned > t->nr_slots)
		t->scanned = DDFS_INO_FIRST;
	return 0;
}

void ddfs_itable_fini(struct ddfs_fs *fs)
{
	free(fs->itable.free_ino);
	pthread_rwlock_destroy(&fs->itable.map_lock);
	pthread_mutex_destroy(&fs->itable.lock);
}

int ddfs_itable_find_locked(struct ddfs_fs *fs, uint32_t ino, uint64_t *off)
{
	const struct ddfs_inode_disk *di = table_inode(fs);
	struct ddfs_map m;
	int err;

	if (ino == DDFS_INO_TABLE ||
		ino / DDFS_INODES_PER_BLOCK >= ddfs_le64(di->size) >> DDFS_BLOCK_SHIFT)
		return -ESTALE;
	err = ddfs_extent_lookup(fs, NULL, di, ino / DDFS_INODES_PER_BLOCK, &m);
	if (err)
		return err;
	if (m.kind != DDFS_MAP_WRITTEN)
		return ddfs_corrupt(fs, "the inode table has a hole at inode %u", ino);
	*off = ddfs_block_off(m.pblk) + ino % DDFS_INODES_PER_BLOCK * DDFS_INODE_BYTES;
	return 0;
}

int ddfs_itable_find(struct ddfs_fs *fs, uint32_t ino, uint64_t *off)
{
	int err;

	pthread_rwlock_rdlock(&fs->itable.map_lock);
	err = ddfs_itable_find_locked(fs, ino, off);
	pthread_rwlock_unlock(&fs->itable.map_lock);
	return err;
}

/* A slot whose checksum fails is in use: nobody knows by whom. */
static bool slot_is_free(const struct ddfs_fs *fs, uint64_t off)
{
	const struct ddfs_inode_disk *di = (const void *)(fs->base + off);

	if (ddfs_le16(di->mode))
		return false;
	return (!ddfs_le16(di->magic) && !ddfs_le32(di->crc)) ||
	       ddfs_csum_holds(fs->csum_seed, off, di, sizeof(*di));
}

static int push_free(struct ddfs_itable *t, uint32_t ino)
{
	if (t->nr_free == t->cap_free) {
		uint32_t cap = t->cap_free ? t->cap_free * 2 : 1024;
		uint32_t *p = realloc(t->free_ino, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		t->free_ino = p;
		t->cap_free = cap;
	}
	t->free_ino[t->nr_free++] = ino;
	return 0;
}

/* Look for free slots from where the last look ended. t->lock is held. */
static int scan_some(struct ddfs_fs *fs)
{
	struct ddfs_itable *t = &fs->itable;
	uint32_t found[SCAN_BATCH], n = 0;
	int err = 0;

	while (t->scanned < t->nr_slots && n < SCAN_BATCH && !err) {
		uint64_t off = 0;

		err = ddfs_itable_find(fs, t->scanned, &off);
		/* One that was removed but is still known has its number until forgotten. */
		if (!err && !ddfs_icache_has(fs, t->scanned) && slot_is_free(fs, off))
			found[n++] = t->scanned;
		t->scanned++;
	}
	while (n && !err)
		err = push_free(t, found[--n]);
	return err;
}

/* Begin a change of the table's inode; both copies are in the transaction. */
static struct ddfs_inode_disk *table_edit(struct ddfs_tx *tx)
{
	return ddfs_tx_edit(tx, DDFS_ROOT_BLOCK_OFF, sizeof(struct ddfs_inode_disk));
}

static int table_commit(struct ddfs_tx *tx, const struct ddfs_inode_disk *di, int err)
{
	struct ddfs_inode_disk *backup =
		ddfs_tx_edit(tx, ddfs_itable_backup_off(tx->fs), sizeof(*backup));

	*backup = *di;
	if (err) {
		ddfs_tx_abort(tx);
		return err;
	}
	return ddfs_tx_commit(tx);
}

/* Promise the blocks that the table gains next, zeroed. t->lock is held. */
static int promise_growth(struct ddfs_fs *fs, struct ddfs_range *r)
{
	struct ddfs_itable *t = &fs->itable;
	uint64_t want = t->nr_slots / DDFS_INODES_PER_BLOCK / 4;
	int err;

	if (want < GROW_MIN_BLOCKS)
		want = GROW_MIN_BLOCKS;
	if (want > GROW_MAX_BLOCKS)
		want = GROW_MAX_BLOCKS;
	if (t->nr_slots > UINT32_MAX - want * DDFS_INODES_PER_BLOCK)
		return -ENOSPC;
	err = ddfs_alloc_get(fs, 0, want, 1, 0, r);
	if (!err)
		fs->media->ops->set(
			fs->media, ddfs_block_off(r->start), 0, r->len << DDFS_BLOCK_SHIFT);
	return err;
}

int ddfs_itable_join(struct ddfs_tx *tx, struct ddfs_ino_grant *g)
{
	struct ddfs_inode_disk *di, *backup;
	uint64_t blocks;
	struct ddfs_map m = { .kind = DDFS_MAP_WRITTEN };
	int err;

	if (!g->growth.len)
		return 0;
	ddfs_tx_adopt(tx, g->growth);
	pthread_rwlock_wrlock(&tx->fs->itable.map_lock);
	g->joined = true;
	di = table_edit(tx);
	blocks = ddfs_le64(di->size) >> DDFS_BLOCK_SHIFT;
	m.lblk = (uint32_t)blocks;
	m.len = (uint32_t)g->growth.len;
	m.pblk = g->growth.start;
	di->size = ddfs_to64((blocks + g->growth.len) << DDFS_BLOCK_SHIFT);
	err = ddfs_extent_insert(tx, di, &m);
	backup = ddfs_tx_edit(tx, ddfs_itable_backup_off(tx->fs), sizeof(*backup));
	*backup = *di;
	return err;
}

static uint32_t nr_unused(const struct ddfs_itable *t)
{
	return t->nr_slots - DDFS_INO_FIRST - atomic_load(&t->nr_used);
}

static uint32_t next_gen(const struct ddfs_fs *fs, uint32_t gen)
{
	uint32_t floor = ddfs_le32(table_inode(fs)->gen);

	gen = (gen > floor ? gen : floor) + 1;
	/* 0 is the root's alone: identity 1 must be nobody else's. */
	return gen ? gen : 1;
}

/* The first number of blocks that the table does not have yet. */
static int get_new(struct ddfs_fs *fs, struct ddfs_ino_grant *g)
{
	int err = promise_growth(fs, &g->growth);

	if (err)
		return err;
	g->ino = fs->itable.nr_slots;
	g->gen = next_gen(fs, 0);
	g->off = ddfs_block_off(g->growth.start);
	return 0;
}

static int get_free(struct ddfs_fs *fs, struct ddfs_ino_grant *g)
{
	struct ddfs_itable *t = &fs->itable;
	const struct ddfs_inode_disk *di;
	int err;

	g->ino = t->free_ino[t->nr_free - 1];
	err = ddfs_itable_find(fs, g->ino, &g->off);
	if (err)
		return err;
	t->nr_free--;
	di = (const void *)(fs->base + g->off);
	g->gen = next_gen(fs, ddfs_le32(di->gen));
	return 0;
}

int ddfs_itable_get(struct ddfs_fs *fs, struct ddfs_ino_grant *g)
{
	struct ddfs_itable *t = &fs->itable;
	int err = 0;

	*g = (struct ddfs_ino_grant){ 0 };
	pthread_mutex_lock(&t->lock);
	if (!t->nr_free && !nr_unused(t))
		t->scanned = t->nr_slots;
	while (!t->nr_free && t->scanned < t->nr_slots && !err)
		err = scan_some(fs);
	if (!err)
		err = t->nr_free ? get_free(fs, g) : get_new(fs, g);
	if (!err) {
		t->nr_pending++;
		atomic_fetch_add(&t->nr_used, 1);
	}
	if (err || !g->growth.len)
		pthread_mutex_unlock(&t->lock);
	return err;
}

/* t->lock is held, since the number was got. */
static void settle_growth(struct ddfs_fs *fs, const struct ddfs_ino_grant *g, bool used)
{
	struct ddfs_itable *t = &fs->itable;

	if (g->joined)
		pthread_rwlock_unlock(&t->map_lock);
	else
		ddfs_alloc_put(fs, g->growth);
	if (!used)
		return;
	t->nr_slots += (uint32_t)g->growth.len * DDFS_INODES_PER_BLOCK;
	t->scanned = g->ino + 1;
}

void ddfs_itable_settle(struct ddfs_fs *fs, struct ddfs_ino_grant *g, bool used)
{
	struct ddfs_itable *t = &fs->itable;

	if (g->growth.len)
		settle_growth(fs, g, used);
	else
		pthread_mutex_lock(&t->lock);
	t->nr_pending--;
	pthread_mutex_unlock(&t->lock);
	if (!used)
		ddfs_itable_drop(fs);
}

void ddfs_itable_drop(struct ddfs_fs *fs)
{
	atomic_fetch_sub(&fs->itable.nr_used, 1);
}

void ddfs_itable_put_locked(struct ddfs_fs *fs, uint32_t ino)
{
	/* Above scanned it will be found; without memory it waits for the next mount. */
	if (ino < fs->itable.scanned)
		push_free(&fs->itable, ino);
}

void ddfs_itable_put(struct ddfs_fs *fs, uint32_t ino)
{
	pthread_mutex_lock(&fs->itable.lock);
	ddfs_itable_put_locked(fs, ino);
	pthread_mutex_unlock(&fs->itable.lock);
}

/* ---- giving back ---------------------------------------------------------------------------- */

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
			!slot_is_free(fs, off))
			return false;
		if (ddfs_le32(di->gen) > *gen)
			*gen = ddfs_le32(di->gen);
	}
	return true;
}

/* Cut the table to blocks, by one transaction's worth. t->lock is held. */
static int cut(struct ddfs_fs *fs, uint32_t blocks, uint32_t gen)
{
	struct ddfs_itable *t = &fs->itable;
	uint32_t end = t->nr_slots / DDFS_INODES_PER_BLOCK, n = end - blocks;
	struct ddfs_inode_disk *di;
	struct ddfs_tx *tx;
	int err;

	while (!ddfs_extent_range_is_small(fs, NULL, table_inode(fs), end - n, n))
		n = (n + 1) / 2;
	tx = ddfs_tx_begin(fs);
	if (!tx)
		return -ENOMEM;
	pthread_rwlock_wrlock(&t->map_lock);
	di = table_edit(tx);
	di->size = ddfs_to64((uint64_t)(end - n) << DDFS_BLOCK_SHIFT);
	if (gen > ddfs_le32(di->gen))
		di->gen = ddfs_to32(gen);
	err = table_commit(tx, di, ddfs_extent_remove(tx, di, end - n, n, true));
	if (!err)
		t->nr_slots = (end - n) * DDFS_INODES_PER_BLOCK;
	pthread_rwlock_unlock(&t->map_lock);
	return err;
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

	while (blocks > GROW_MIN_BLOCKS && block_is_free(fs, blocks - 1, &gen))
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
	if (!t->nr_pending && t->nr_slots > GROW_MIN_BLOCKS * DDFS_INODES_PER_BLOCK &&
		nr_unused(t) > t->nr_slots / 2)
		err = shrink(fs);
	pthread_mutex_unlock(&t->lock);
	return err;
}

int ddfs_itable_count(struct ddfs_fs *fs)
{
	struct ddfs_itable *t = &fs->itable;
	uint32_t used = 0;

	for (uint32_t ino = DDFS_INO_FIRST; ino < t->nr_slots;) {
		uint64_t off = 0;
		int err = ddfs_itable_find(fs, ino, &off);

		if (err)
			return err;
		do {
			used += !slot_is_free(fs, off);
			off += DDFS_INODE_BYTES;
		} while (++ino % DDFS_INODES_PER_BLOCK && ino < t->nr_slots);
	}
	atomic_store(&t->nr_used, used);
	return 0;
}

uint32_t ddfs_itable_first_free(struct ddfs_fs *fs)
{
	struct ddfs_itable *t = &fs->itable;
	uint32_t first = t->scanned;

	for (uint32_t i = 0; i < t->nr_free; i++)
		if (t->free_ino[i] < first)
			first = t->free_ino[i];
	/* Free on media, but not in free_ino yet. */
	return ddfs_icache_lowest_dead(fs, first);
}
