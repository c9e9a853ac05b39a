/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of bad blocks on media: a record for each run. It is outside of transactions: a slot is
 * only ever filled where it was free, and what a new record says is durable before the old one that
 * it replaces goes. So a crash leaves at most both. No record is told to cover what lies between
 * two: with it a file would lose blocks that are good.
 */
#include <time.h>

#include "fs/bad.h"
#include "fs/core.h"

#define NR_SLOTS  (DDFS_BAD_BYTES / sizeof(struct ddfs_bad_record))
#define PER_BLOCK (DDFS_BLOCK_BYTES / sizeof(struct ddfs_bad_record))

/* A slot that can't be read, and so is not written. */
#define UNUSABLE UINT64_MAX

static uint64_t slot_off(const struct ddfs_fs *fs, size_t slot)
{
	return ddfs_le64(fs->super.bad_off) + slot * sizeof(struct ddfs_bad_record);
}

/* ---- read ----------------------------------------------------------------------------------- */

static void read_slot(struct ddfs_fs *fs, size_t slot, const struct ddfs_bad_record *r)
{
	struct ddfs_range *s = &fs->bad.slots[slot];
	uint64_t start = ddfs_le64(r->start), len = ddfs_le32(r->len);

	if (!len || !ddfs_csum_holds(fs->csum_seed, slot_off(fs, slot), r, sizeof(*r)) ||
		start >= fs->nr_blocks || len > fs->nr_blocks - start)
		return;
	*s = (struct ddfs_range){ start, len };
	if (ddfs_rangeset_add(&fs->bad.known, *s, ddfs_le64(r->since)))
		ddfs_log(fs, LOG_ERR, "no memory to note that block %llu is bad",
			(unsigned long long)start);
}

/* A block of the table is bad itself: what it said is lost. */
static void lost_block(struct ddfs_fs *fs, size_t slot)
{
	uint64_t off = slot_off(fs, slot);
	struct ddfs_range r = { off >> DDFS_BLOCK_SHIFT, 1 };

	ddfs_log(fs, LOG_ERR, "block %llu of the table of bad blocks can't be read",
		(unsigned long long)r.start);
	if (!ddfs_fs_writable(fs) && !ddfs_bad_clear(fs, r)) {
		fs->media->ops->set(fs->media, off, 0, DDFS_BLOCK_BYTES);
		return;
	}
	for (size_t i = 0; i < PER_BLOCK; i++)
		fs->bad.slots[slot + i].len = UNUSABLE;
	ddfs_bad_note(fs, r);
}

void ddfs_bad_table_read(struct ddfs_fs *fs)
{
	struct ddfs_bad_record r[PER_BLOCK];

	for (size_t slot = 0; slot < NR_SLOTS; slot += PER_BLOCK) {
		if (fs->media->ops->copy_out(fs->media, r, slot_off(fs, slot), sizeof(r))) {
			lost_block(fs, slot);
			continue;
		}
		for (size_t i = 0; i < PER_BLOCK; i++)
			read_slot(fs, slot + i, &r[i]);
	}
	atomic_store(&fs->bad.any, fs->bad.known.nr > 0);
}

/* ---- written; bad.lock is held -------------------------------------------------------------- */

static bool has_slot(const struct ddfs_bad *bad, const struct ddfs_rangeset_run *run)
{
	for (size_t i = 0; i < NR_SLOTS; i++)
		if (bad->slots[i].start == run->start && bad->slots[i].len == run->len)
			return true;
	return false;
}

/* Whether the slot's record is one run of what is known. */
static bool is_current(const struct ddfs_bad *bad, const struct ddfs_range *slot)
{
	for (size_t i = 0; i < bad->known.nr; i++)
		if (bad->known.run[i].start == slot->start && bad->known.run[i].len == slot->len)
			return true;
	return false;
}

static void store(struct ddfs_fs *fs, size_t slot, const struct ddfs_rangeset_run *run)
{
	struct ddfs_bad_record r = { .len = ddfs_to32((uint32_t)run->len),
		.start = ddfs_to64(run->start),
		.since = ddfs_to64(run->since) };

	ddfs_csum_seal(fs->csum_seed, slot_off(fs, slot), &r, sizeof(r));
	fs->media->ops->copy(fs->media, slot_off(fs, slot), &r, sizeof(r));
	fs->bad.slots[slot] = (struct ddfs_range){ run->start, run->len };
}

/* Records for what has none, as long as there are free slots. False: not all have one. */
static bool add_missing(struct ddfs_fs *fs)
{
	struct ddfs_bad *bad = &fs->bad;
	size_t slot = 0;

	for (size_t i = 0; i < bad->known.nr; i++) {
		if (has_slot(bad, &bad->known.run[i]))
			continue;
		while (slot < NR_SLOTS && bad->slots[slot].len)
			slot++;
		if (slot == NR_SLOTS)
			return false;
		store(fs, slot, &bad->known.run[i]);
	}
	return true;
}

static void erase_stale(struct ddfs_fs *fs)
{
	struct ddfs_range *slots = fs->bad.slots;

	for (size_t i = 0; i < NR_SLOTS; i++) {
		if (!slots[i].len || slots[i].len == UNUSABLE || is_current(&fs->bad, &slots[i]))
			continue;
		fs->media->ops->set(fs->media, slot_off(fs, i), 0, sizeof(struct ddfs_bad_record));
		slots[i].len = 0;
	}
}

static void tell_full(struct ddfs_fs *fs, bool full)
{
	if (full && !fs->bad.full)
		ddfs_log(fs, LOG_CRIT,
			"the table of bad blocks is full, with %llu of them: the next mount will "
			"not know all; replace the device",
			(unsigned long long)ddfs_rangeset_count(&fs->bad.known));
	fs->bad.full = full;
}

static int save(struct ddfs_fs *fs)
{
	const struct ddfs_media_ops *ops = fs->media->ops;
	bool all = add_missing(fs);
	/* Published: from here on what is new is known to any later mount. */
	int err = ops->drain(fs->media);

	if (err)
		return err;
	erase_stale(fs);
	if (!all)
		all = add_missing(fs);
	/* And from here on what was dropped is good to any later mount. */
	err = ops->drain(fs->media);
	if (err)
		return err;
	tell_full(fs, !all);
	fs->bad.unsaved = false;
	return 0;
}

int ddfs_bad_save(struct ddfs_fs *fs)
{
	int err = 0;

	if (ddfs_fs_writable(fs))
		return -EROFS;
	pthread_mutex_lock(&fs->bad.lock);
	if (fs->bad.unsaved)
		err = save(fs);
	pthread_mutex_unlock(&fs->bad.lock);
	return err;
}
