/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/core.h"

#include <stdlib.h>
#include <string.h>

#include "fs/fixed.h"
#include "fs/tx.h"

int ddfs_lanes_init(struct ddfs_fs *fs)
{
	struct ddfs_lanes *l = &fs->lanes;

	l->nr = ddfs_le32(fs->super.nr_lanes);
	l->off = ddfs_le64(fs->super.lanes_off);
	l->tx = calloc(l->nr, sizeof(*l->tx));
	if (!l->tx)
		return -ENOMEM;
	l->usable = l->nr == 64 ? UINT64_MAX : (UINT64_C(1) << l->nr) - 1;
	atomic_init(&l->free, l->usable);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->freed, NULL);
	return 0;
}

void ddfs_lanes_fini(struct ddfs_fs *fs)
{
	struct ddfs_lanes *l = &fs->lanes;

	for (unsigned int i = 0; i < l->nr; i++)
		ddfs_tx_delete(l->tx[i]);
	free(l->tx);
	pthread_cond_destroy(&l->freed);
	pthread_mutex_destroy(&l->lock);
}

/* The lowest free lane, so that few lanes' memory is ever touched; -1 if there is none. */
static int lane_try(struct ddfs_lanes *l)
{
	uint64_t mask = atomic_load(&l->free);

	while (mask) {
		if (atomic_compare_exchange_weak(&l->free, &mask, mask & (mask - 1)))
			return __builtin_ctzll(mask);
	}
	return -1;
}

unsigned int ddfs_lane_get(struct ddfs_lanes *l)
{
	int lane = lane_try(l);

	if (lane >= 0)
		return (unsigned int)lane;
	pthread_mutex_lock(&l->lock);
	atomic_fetch_add(&l->waiters, 1);
	/* The waiter is counted before it looks again: who puts a lane afterwards sees it. */
	while ((lane = lane_try(l)) < 0)
		pthread_cond_wait(&l->freed, &l->lock);
	atomic_fetch_sub(&l->waiters, 1);
	pthread_mutex_unlock(&l->lock);
	return (unsigned int)lane;
}

void ddfs_lane_put(struct ddfs_lanes *l, unsigned int lane)
{
	atomic_fetch_or(&l->free, UINT64_C(1) << lane);
	if (!atomic_load(&l->waiters))
		return;
	pthread_mutex_lock(&l->lock);
	pthread_cond_signal(&l->freed);
	pthread_mutex_unlock(&l->lock);
}

static uint64_t lane_off(const struct ddfs_fs *fs, unsigned int lane)
{
	return fs->lanes.off + (uint64_t)lane * DDFS_LANE_BYTES;
}

int ddfs_lane_publish(struct ddfs_fs *fs, unsigned int lane, uint8_t *image, uint32_t nr_bytes,
	uint32_t nr_records)
{
	struct ddfs_lane_header *h = (struct ddfs_lane_header *)image;
	uint64_t off = lane_off(fs, lane);
	/* New blocks and data were stored outright. They are durable before the lane can be: its
	 * checksum says nothing of them. */
	int err = fs->media->ops->drain(fs->media);

	if (err)
		return err;
	*h = (struct ddfs_lane_header){
		.nr_bytes = ddfs_to32(nr_bytes),
		.nr_records = ddfs_to32(nr_records),
		.seq = ddfs_to64(atomic_fetch_add(&fs->lanes.seq, 1)),
		.state = ddfs_to64(DDFS_LANE_COMMITTED),
	};
	ddfs_csum_seal(fs->csum_seed, off, image, sizeof(*h) + nr_bytes);
	fs->media->ops->copy(fs->media, off, image, sizeof(*h) + nr_bytes);
	/* Publish point: from here on a crash replays the transaction. */
	return fs->media->ops->drain(fs->media);
}

/* All of the header: were its checksum left, the next commit's state alone, the rest of it lost,
 * would bring this one back. */
static int lane_clear(struct ddfs_fs *fs, unsigned int lane)
{
	fs->media->ops->set(fs->media, lane_off(fs, lane), 0, sizeof(struct ddfs_lane_header));
	return fs->media->ops->drain(fs->media);
}

static void lane_store_records(struct ddfs_fs *fs, const uint8_t *image)
{
	const struct ddfs_lane_header *h = (const struct ddfs_lane_header *)image;
	const uint8_t *p = image + sizeof(*h);
	const uint8_t *end = p + ddfs_le32(h->nr_bytes);

	while (p < end) {
		const struct ddfs_lane_record *r = (const struct ddfs_lane_record *)p;
		uint32_t len = ddfs_le32(r->len);

		fs->media->ops->copy(fs->media, ddfs_le64(r->off), p + sizeof(*r), len);
		p += sizeof(*r) + ((len + 7) & ~7u);
	}
}

int ddfs_lane_apply(struct ddfs_fs *fs, unsigned int lane, const uint8_t *image)
{
	int err;

	lane_store_records(fs, image);
	/* In place before the lane forgets them. */
	err = fs->media->ops->drain(fs->media);
	if (err)
		return err;
	/* Empty before the locks go: another lane may then change the same bytes, and replaying
	 * this one would undo that. */
	return lane_clear(fs, lane);
}

/* The records of a lane come from media: check each before the first is stored. */
static bool lane_records_valid(struct ddfs_fs *fs, const uint8_t *image, uint32_t nr_bytes)
{
	const uint8_t *p = image + sizeof(struct ddfs_lane_header);
	const uint8_t *end = p + nr_bytes;

	while (p < end) {
		const struct ddfs_lane_record *r = (const struct ddfs_lane_record *)p;
		uint64_t off, len;

		if ((size_t)(end - p) < sizeof(*r))
			return false;
		off = ddfs_le64(r->off);
		len = ddfs_le32(r->len);
		if (len > (size_t)(end - p) - sizeof(*r) ||
			!ddfs_lane_may_store(
				off, len, fs->media->size, fs->lanes.off, fs->lanes.nr))
			return false;
		p += sizeof(*r) + ((len + 7) & ~UINT64_C(7));
	}
	return p == end;
}

static DDFS_GUARD_STEP int lane_recover(
	struct ddfs_fs *fs, unsigned int lane, bool dry_run, uint32_t *nr)
{
	uint64_t off = lane_off(fs, lane);
	const struct ddfs_lane_header *h = (const void *)(fs->base + off);
	uint32_t nr_bytes = ddfs_le32(h->nr_bytes);
	uint64_t state = ddfs_le64(h->state);

	if (state == DDFS_LANE_EMPTY)
		return 0;
	if (state != DDFS_LANE_COMMITTED)
		return ddfs_corrupt(
			fs, "lane %u: state %#llx is none", lane, (unsigned long long)state);
	if (nr_bytes <= DDFS_LANE_BYTES - sizeof(*h) && nr_bytes % 8 == 0 &&
		ddfs_csum_holds(fs->csum_seed, off, h, sizeof(*h) + nr_bytes)) {
		if (!lane_records_valid(fs, (const uint8_t *)h, nr_bytes))
			return ddfs_corrupt(fs, "lane %u: a record lies where none can", lane);
		++*nr;
		if (dry_run)
			return 0;
		return ddfs_lane_apply(fs, lane, (const uint8_t *)h);
	}
	/* A commit that a crash cut short never happened. */
	if (dry_run)
		return 0;
	return lane_clear(fs, lane);
}

/* Nobody knows whether it holds a change that is half done. */
static int lane_unreadable(struct ddfs_fs *fs, unsigned int lane)
{
	if (ddfs_fs_writable(fs)) {
		ddfs_log(fs, LOG_ERR,
			"lane %u of the log can't be read: the last changes before the crash may "
			"be there by half",
			lane);
		atomic_store(&fs->failed, true);
		return 0;
	}
	ddfs_log(fs, LOG_ERR,
		"lane %u of the log can't be read, and the filesystem was not unmounted cleanly: "
		"the last changes may be there by half. Mount it read-only (-o ro), copy what is "
		"needed, and make it anew",
		lane);
	return -EIO;
}

static int lane_recover_or_tell(struct ddfs_fs *fs, unsigned int lane, bool dry_run, uint32_t *nr)
{
	int err;

	ddfs_guard_keep(nr);
	err = DDFS_GUARDED(fs, lane_recover(fs, lane, dry_run, nr));
	return err == -EIO ? lane_unreadable(fs, lane) : err;
}

int ddfs_lanes_recover(struct ddfs_fs *fs, bool dry_run, uint32_t *nr_replayed)
{
	uint32_t nr = 0;

	for (unsigned int i = 0; i < fs->lanes.nr; i++) {
		int err = lane_recover_or_tell(fs, i, dry_run, &nr);

		if (err)
			return err;
	}
	*nr_replayed = nr;
	return 0;
}

static bool lane_is_readable(struct ddfs_fs *fs, unsigned int lane)
{
	return !fs->media->ops->probe(fs->media, lane_off(fs, lane), DDFS_LANE_BYTES);
}

/* Empty as it is, it can be made anew. */
static int lane_repair(struct ddfs_fs *fs, unsigned int lane)
{
	static const uint8_t zeroes[DDFS_BLOCK_BYTES];
	uint64_t off = lane_off(fs, lane), end = off + DDFS_LANE_BYTES;
	int err = 0;

	for (; off < end && !err; off += DDFS_BLOCK_BYTES)
		if (fs->media->ops->probe(fs->media, off, DDFS_BLOCK_BYTES))
			err = ddfs_fixed_repair(fs, off, zeroes);
	return err;
}

int ddfs_lanes_check(struct ddfs_fs *fs)
{
	struct ddfs_lanes *l = &fs->lanes;

	for (unsigned int i = 0; i < l->nr; i++) {
		if (!(l->usable >> i & 1) || lane_is_readable(fs, i))
			continue;
		if (!lane_repair(fs, i)) {
			ddfs_log(fs, LOG_WARNING, "lane %u of the log could not be read: made anew",
				i);
			continue;
		}
		ddfs_log(fs, LOG_ERR, "lane %u of the log can't be read: it is not used", i);
		l->usable &= ~(UINT64_C(1) << i);
	}
	atomic_fetch_and(&l->free, l->usable);
	if (l->usable)
		return 0;
	ddfs_log(fs, LOG_ERR, "no lane of the log can be read: only a read-only mount is possible");
	return -EIO;
}
