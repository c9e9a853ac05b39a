/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/tx.h"

#include <stdlib.h>
#include <string.h>

#include "fs/core.h"
#include "fs/node.h"

/* Differences closer than this are logged as one: a record's head costs as much. */
#define DIFF_GAP_WORDS 2

static struct ddfs_tx *tx_new(struct ddfs_fs *fs, unsigned int lane)
{
	struct ddfs_tx *tx = malloc(sizeof(*tx));

	if (!tx)
		return NULL;
	tx->fs = fs;
	tx->lane = lane;
	tx->arena = aligned_alloc(64, DDFS_TX_ARENA + DDFS_TX_SPILL);
	tx->image = aligned_alloc(64, DDFS_LANE_BYTES);
	if (tx->arena && tx->image)
		return tx;
	ddfs_tx_delete(tx);
	return NULL;
}

void ddfs_tx_delete(struct ddfs_tx *tx)
{
	if (!tx)
		return;
	free(tx->arena);
	free(tx->image);
	free(tx);
}

struct ddfs_tx *ddfs_tx_begin(struct ddfs_fs *fs)
{
	unsigned int lane = ddfs_lane_get(&fs->lanes);
	struct ddfs_tx *tx = fs->lanes.tx[lane];

	if (!tx) {
		tx = tx_new(fs, lane);
		if (!tx) {
			ddfs_lane_put(&fs->lanes, lane);
			return NULL;
		}
		fs->lanes.tx[lane] = tx;
	}
	tx->error = 0;
	tx->reserve = false;
	tx->closing = false;
	tx->nr_shadows = 0;
	tx->nr_allocs = 0;
	tx->nr_frees = 0;
	tx->nr_inodes = 0;
	tx->nr_groups = 0;
	tx->arena_used = 0;
	return tx;
}

static struct ddfs_shadow *shadow_find(const struct ddfs_tx *tx, uint64_t off)
{
	for (unsigned int i = 0; i < tx->nr_shadows; i++)
		if (tx->shadows[i].off == off)
			return (struct ddfs_shadow *)&tx->shadows[i];
	return NULL;
}

static void *shadow_add(struct ddfs_tx *tx, uint64_t off, uint32_t len, bool fresh)
{
	struct ddfs_shadow *s;
	size_t at = tx->arena_used;

	if (tx->nr_shadows == DDFS_TX_SHADOWS || at + len > DDFS_TX_ARENA) {
		tx->error = -E2BIG;
		/* All that do not fit lie there, one over the other, with room for what comes of
		 * that: the transaction can no longer commit, and follows no tree any more. */
		return tx->arena + DDFS_TX_ARENA;
	}
	s = &tx->shadows[tx->nr_shadows++];
	*s = (struct ddfs_shadow){ .off = off, .len = len, .fresh = fresh, .buf = tx->arena + at };
	tx->arena_used = at + ((len + 63) & ~63u);
	return s->buf;
}

void *ddfs_tx_edit(struct ddfs_tx *tx, uint64_t off, uint32_t len)
{
	struct ddfs_shadow *s = shadow_find(tx, off);
	void *buf;

	if (s)
		return s->buf;
	buf = shadow_add(tx, off, len, false);
	memcpy(buf, tx->fs->base + off, len);
	return buf;
}

void *ddfs_tx_fresh(struct ddfs_tx *tx, uint64_t blk)
{
	void *buf = shadow_add(tx, ddfs_block_off(blk), DDFS_BLOCK_BYTES, true);

	memset(buf, 0, DDFS_BLOCK_BYTES);
	return buf;
}

const void *ddfs_tx_view(const struct ddfs_fs *fs, const struct ddfs_tx *tx, uint64_t off)
{
	const struct ddfs_shadow *s = tx ? shadow_find(tx, off) : NULL;

	return s ? s->buf : fs->base + off;
}

void ddfs_tx_adopt(struct ddfs_tx *tx, struct ddfs_range r)
{
	struct ddfs_range *last = tx->nr_allocs ? &tx->allocs[tx->nr_allocs - 1] : NULL;

	if (last && last->start + last->len == r.start) {
		last->len += r.len;
		return;
	}
	if (tx->nr_allocs == DDFS_TX_RANGES) {
		tx->error = -E2BIG;
		ddfs_alloc_put(tx->fs, r);
		return;
	}
	tx->allocs[tx->nr_allocs++] = r;
}

int ddfs_tx_alloc(struct ddfs_tx *tx, uint64_t goal, uint64_t want, unsigned int flags,
	struct ddfs_range *out)
{
	int err = ddfs_alloc_get(tx->fs, goal, want, 1, flags, out);

	if (err)
		return err;
	ddfs_tx_adopt(tx, *out);
	return 0;
}

void ddfs_tx_free(struct ddfs_tx *tx, uint64_t start, uint64_t len)
{
	struct ddfs_range *last = tx->nr_frees ? &tx->frees[tx->nr_frees - 1] : NULL;
	struct ddfs_shadow *s = shadow_find(tx, ddfs_block_off(start));

	/* A node that was changed and then freed is not worth a record. */
	if (s && len == 1)
		*s = tx->shadows[--tx->nr_shadows];
	if (last && last->start + last->len == start) {
		last->len += len;
		return;
	}
	if (tx->nr_frees == DDFS_TX_RANGES) {
		tx->error = -E2BIG;
		return;
	}
	tx->frees[tx->nr_frees++] = (struct ddfs_range){ start, len };
}

/* The log being built. */
struct log {
	uint8_t *p, *end;
	uint32_t nr_records;
	bool full;
};

static void log_record(struct log *log, uint64_t off, const uint8_t *src, uint32_t len)
{
	struct ddfs_lane_record *r = (struct ddfs_lane_record *)log->p;

	if (sizeof(*r) + len > (size_t)(log->end - log->p)) {
		log->full = true;
		return;
	}
	*r = (struct ddfs_lane_record){ .off = ddfs_to64(off), .len = ddfs_to32(len) };
	memcpy(r + 1, src, len);
	log->p += sizeof(*r) + len;
	log->nr_records++;
}

/* Log the runs of words in which the shadow differs from media. */
static void log_shadow(struct log *log, const struct ddfs_fs *fs, const struct ddfs_shadow *s)
{
	const uint64_t *new = (const uint64_t *)s->buf;
	const uint64_t *old = (const uint64_t *)(fs->base + s->off);
	uint32_t nr = s->len / 8, i = 0;

	while (i < nr) {
		uint32_t first, last;

		if (i % 8 == 0 && i + 8 <= nr && memcmp(new + i, old + i, 64) == 0) {
			i += 8;
			continue;
		}
		if (new[i] == old[i]) {
			i++;
			continue;
		}
		first = last = i;
		for (i++; i < nr && i - last <= DIFF_GAP_WORDS + 1; i++)
			if (new[i] != old[i])
				last = i;
		log_record(log, s->off + first * 8, s->buf + first * 8, (last - first + 1) * 8);
	}
}

static int tx_build_log(struct ddfs_tx *tx, struct log *log)
{
	struct ddfs_fs *fs = tx->fs;

	*log = (struct log){ .p = tx->image + sizeof(struct ddfs_lane_header),
		.end = tx->image + DDFS_LANE_BYTES };
	for (unsigned int i = 0; i < tx->nr_shadows; i++) {
		struct ddfs_shadow *s = &tx->shadows[i];

		ddfs_csum_seal(fs->csum_seed, s->off, s->buf, s->len);
		if (s->fresh)
			fs->media->ops->copy(fs->media, s->off, s->buf, s->len);
		else
			log_shadow(log, fs, s);
	}
	return log->full ? -E2BIG : 0;
}

/* After the lane is empty: blocks change hands in memory too. */
static void tx_settle(struct ddfs_tx *tx)
{
	for (unsigned int i = 0; i < tx->nr_shadows; i++)
		if (tx->shadows[i].fresh)
			ddfs_node_set_verified(tx->fs, tx->shadows[i].off >> DDFS_BLOCK_SHIFT);
	for (unsigned int i = 0; i < tx->nr_frees; i++) {
		ddfs_node_forget(tx->fs, tx->frees[i]);
		ddfs_held_put(tx->fs, tx->frees[i]);
	}
}

/* All of a commit that reads media: nothing is published yet. */
static DDFS_GUARD_STEP int tx_prepare(struct ddfs_tx *tx, struct log *log)
{
	int err = ddfs_alloc_prepare(tx);

	if (!err)
		err = tx->error;
	return err ? err : tx_build_log(tx, log);
}

static DDFS_GUARD_STEP int tx_write(struct ddfs_tx *tx, const struct log *log)
{
	struct ddfs_fs *fs = tx->fs;
	int err;

	if (!log->nr_records)
		return fs->media->ops->drain(fs->media);
	err = ddfs_lane_publish(fs, tx->lane, tx->image,
		(uint32_t)(log->p - tx->image - sizeof(struct ddfs_lane_header)), log->nr_records);
	return err ? err : ddfs_lane_apply(fs, tx->lane, tx->image);
}

/* The platform could not make it durable. What is on media is unknown, and only recovery may touch
 * it now: the transaction may have happened, so its blocks are nobody else's. */
static void device_failed(struct ddfs_tx *tx)
{
	struct ddfs_fs *fs = tx->fs;

	tx->nr_allocs = 0;
	atomic_store(&fs->failed, true);
	atomic_store(&fs->readonly, true);
	ddfs_log(fs, LOG_CRIT,
		"the device failed while a transaction was written: read-only from "
		"now on; unmount, and mount again to recover");
}

int ddfs_tx_commit(struct ddfs_tx *tx)
{
	int err = tx->error;
	struct log log;

	/* Who makes the filesystem read-only waits for the lanes that are taken by now. */
	if (!err && !tx->closing)
		err = ddfs_fs_writable(tx->fs);
	if (!err)
		err = DDFS_GUARDED_BOTH(tx->fs, tx_prepare(tx, &log));
	/* Who failed meanwhile, with a lock that is ours now, may have left a lane to be replayed
	 * over what this one would change. */
	if (!err && atomic_load(&tx->fs->failed))
		err = -EROFS;
	if (!err) {
		err = DDFS_GUARDED_STORE(tx->fs, tx_write(tx, &log));
		if (err)
			device_failed(tx);
	}
	if (err == -E2BIG)
		ddfs_log(tx->fs, LOG_CRIT, "a transaction outgrew its lane and was not made");
	if (err) {
		ddfs_tx_abort(tx);
		return err;
	}
	ddfs_alloc_unlock(tx);
	tx_settle(tx);
	ddfs_lane_put(&tx->fs->lanes, tx->lane);
	return 0;
}

void ddfs_tx_abort(struct ddfs_tx *tx)
{
	ddfs_alloc_unlock(tx);
	for (unsigned int i = 0; i < tx->nr_allocs; i++)
		ddfs_alloc_put(tx->fs, tx->allocs[i]);
	for (unsigned int i = 0; i < tx->nr_inodes; i++)
		ddfs_inode_keep_times(tx->inodes[i].ip, tx->inodes[i].lazy);
	ddfs_lane_put(&tx->fs->lanes, tx->lane);
}
