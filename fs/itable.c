/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/itable.h"

#include <stdlib.h>
#include <string.h>

#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/itable_priv.h"
#include "fs/tx.h"

#define GROW_MAX_BLOCKS DDFS_CHUNK_BLOCKS
/* Free slots collected by one look; bounds how long a create can take. */
#define SCAN_BATCH 1024u

int ddfs_itable_init(struct ddfs_fs *fs)
{
	struct ddfs_itable *t = &fs->itable;
	uint64_t slots, max = (fs->end_block - fs->data_block) * DDFS_BLOCK_BYTES;
	const struct ddfs_inode_disk *di;
	int err;

	pthread_mutex_init(&t->lock, NULL);
	pthread_rwlock_init(&t->map_lock, NULL);
	err = ddfs_itable_root_load(fs);
	if (err)
		return err;
	di = ddfs_itable_inode(fs);
	slots = ddfs_le64(di->size) / DDFS_INODE_BYTES;
	/* Without a hole, hence no larger than the device: looking at all slots shall end. */
	if (ddfs_le64(di->size) > max || ddfs_le16(di->magic) != DDFS_INODE_MAGIC ||
		slots <= DDFS_INO_FIRST || slots > UINT32_MAX || !ddfs_extent_inline_valid(fs, di))
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
	const struct ddfs_inode_disk *di = ddfs_itable_inode(fs);
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
	err = DDFS_GUARDED(fs, ddfs_itable_find_locked(fs, ino, off));
	pthread_rwlock_unlock(&fs->itable.map_lock);
	return err;
}

static bool holds_free(const struct ddfs_fs *fs, uint64_t off)
{
	const struct ddfs_inode_disk *di = (const void *)(fs->base + off);

	if (ddfs_le16(di->mode))
		return false;
	return (!ddfs_le16(di->magic) && !ddfs_le32(di->crc)) ||
	       ddfs_csum_holds(fs->csum_seed, off, di, sizeof(*di));
}

bool ddfs_itable_slot_is_free(struct ddfs_fs *fs, uint64_t off)
{
	int ret = DDFS_GUARDED(fs, holds_free(fs, off));

	if (ret < 0)
		atomic_store(&fs->unsure, true);
	return ret == 1;
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

/* The first number behind ino's block. */
static uint32_t block_end(uint32_t ino)
{
	return (ino / DDFS_INODES_PER_BLOCK + 1) * DDFS_INODES_PER_BLOCK;
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
		if (err == -EIO) {
			/* Where its map can't be read, none of a block is to be had. */
			err = 0;
			t->scanned = block_end(t->scanned);
			atomic_store(&fs->unsure, true);
			continue;
		}
		/* One that was removed but is still known has its number until forgotten. */
		if (!err && !ddfs_icache_has(fs, t->scanned) && ddfs_itable_slot_is_free(fs, off))
			found[n++] = t->scanned;
		t->scanned++;
	}
	while (n && !err)
		err = push_free(t, found[--n]);
	return err;
}

/* Promise the blocks that the table gains next, zeroed. t->lock is held. */
static int promise_growth(struct ddfs_fs *fs, struct ddfs_range *r)
{
	struct ddfs_itable *t = &fs->itable;
	uint64_t want = t->nr_slots / DDFS_INODES_PER_BLOCK / 4;
	int err;

	if (want < DDFS_ITABLE_GROW_MIN_BLOCKS)
		want = DDFS_ITABLE_GROW_MIN_BLOCKS;
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
	struct ddfs_inode_disk *di;
	uint64_t blocks;
	struct ddfs_map m = { .kind = DDFS_MAP_WRITTEN };
	int err;

	if (!g->growth.len)
		return 0;
	ddfs_tx_adopt(tx, g->growth);
	pthread_rwlock_wrlock(&tx->fs->itable.map_lock);
	g->joined = true;
	di = ddfs_itable_root_edit(tx);
	blocks = ddfs_le64(di->size) >> DDFS_BLOCK_SHIFT;
	m.lblk = (uint32_t)blocks;
	m.len = (uint32_t)g->growth.len;
	m.pblk = g->growth.start;
	di->size = ddfs_to64((blocks + g->growth.len) << DDFS_BLOCK_SHIFT);
	err = ddfs_extent_insert(tx, di, &m);
	ddfs_itable_root_edited(tx, di);
	return err;
}

uint32_t ddfs_itable_nr_unused(const struct ddfs_fs *fs)
{
	const struct ddfs_itable *t = &fs->itable;

	return t->nr_slots - DDFS_INO_FIRST - atomic_load(&t->nr_used);
}

static uint32_t next_gen(const struct ddfs_fs *fs, uint32_t gen)
{
	uint32_t floor = ddfs_le32(ddfs_itable_inode(fs)->gen);

	gen = (gen > floor ? gen : floor) + 1;
	/* 0 is the root's alone: identity 1 must be nobody else's. */
	return gen ? gen : 1;
}

/* The first number of blocks that the table does not have yet. */
static int get_new(struct ddfs_fs *fs, struct ddfs_ino_grant *g)
{
	int err;

	/* Before there is anything to give back. */
	g->gen = next_gen(fs, 0);
	err = promise_growth(fs, &g->growth);
	if (err)
		return err;
	g->ino = fs->itable.nr_slots;
	g->off = ddfs_block_off(g->growth.start);
	return 0;
}

/* -EIO: the slot can't be read any more, and its number is nobody's until the next mount. */
static int get_free(struct ddfs_fs *fs, struct ddfs_ino_grant *g)
{
	struct ddfs_itable *t = &fs->itable;
	const struct ddfs_inode_disk *di;
	int err;

	g->ino = t->free_ino[--t->nr_free];
	err = ddfs_itable_find(fs, g->ino, &g->off);
	if (err)
		return err;
	di = (const void *)(fs->base + g->off);
	g->gen = next_gen(fs, ddfs_le32(di->gen));
	return 0;
}

/* t->lock is held. */
static int get(struct ddfs_fs *fs, struct ddfs_ino_grant *g)
{
	struct ddfs_itable *t = &fs->itable;
	int err;

	do {
		err = 0;
		while (!t->nr_free && t->scanned < t->nr_slots && !err)
			err = scan_some(fs);
		if (!err && !t->nr_free)
			return get_new(fs, g);
		if (!err)
			err = DDFS_GUARDED(fs, get_free(fs, g));
		if (err == -EIO)
			atomic_store(&fs->unsure, true);
	} while (err == -EIO);
	return err;
}

int ddfs_itable_get(struct ddfs_fs *fs, struct ddfs_ino_grant *g)
{
	struct ddfs_itable *t = &fs->itable;
	int err;

	*g = (struct ddfs_ino_grant){ 0 };
	pthread_mutex_lock(&t->lock);
	if (!t->nr_free && !ddfs_itable_nr_unused(fs))
		t->scanned = t->nr_slots;
	err = DDFS_GUARDED(fs, get(fs, g));
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

int ddfs_itable_count(struct ddfs_fs *fs)
{
	struct ddfs_itable *t = &fs->itable;
	uint32_t used = 0;

	for (uint32_t ino = DDFS_INO_FIRST; ino < t->nr_slots;) {
		uint64_t off = 0;
		int err = ddfs_itable_find(fs, ino, &off);

		if (err == -EIO) {
			/* Nobody knows: each is in use, as one that can't be read itself. */
			used += block_end(ino) - ino;
			ino = block_end(ino);
			atomic_store(&fs->unsure, true);
			continue;
		}
		if (err)
			return err;
		do {
			used += !ddfs_itable_slot_is_free(fs, off);
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
