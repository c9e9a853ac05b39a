/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/pin_record.h"

#include <stdlib.h>

#include "fs/core.h"
#include "fs/fixed.h"

/* By how many slots nr_slots grows, so that the head is rarely written. */
#define HEAD_STEP 64u

static uint64_t slot_off(const struct ddfs_pin_records *t, uint32_t slot)
{
	return t->off + sizeof(struct ddfs_pin_table) +
	       (uint64_t)slot * sizeof(struct ddfs_pin_record);
}

static bool is_used(const struct ddfs_pin_records *t, uint32_t slot)
{
	return t->used[slot / 64] >> (slot % 64) & 1;
}

/* t->lock is held. */
static void mark(struct ddfs_pin_records *t, uint32_t slot, bool used)
{
	uint64_t bit = UINT64_C(1) << (slot % 64);

	if (used) {
		t->used[slot / 64] |= bit;
		t->nr_used++;
		return;
	}
	t->used[slot / 64] &= ~bit;
	t->nr_used--;
	if (slot < t->first_free)
		t->first_free = slot;
}

int ddfs_pin_records_init(struct ddfs_fs *fs)
{
	struct ddfs_pin_records *t = &fs->pins.records;
	uint64_t bytes = ddfs_le64(fs->super.pins_bytes) - sizeof(struct ddfs_pin_table);

	t->off = ddfs_le64(fs->super.pins_off);
	t->nr_max = (uint32_t)(bytes / sizeof(struct ddfs_pin_record));
	t->used = calloc((t->nr_max + 63) / 64, sizeof(*t->used));
	if (!t->used)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	return 0;
}

void ddfs_pin_records_fini(struct ddfs_fs *fs)
{
	if (fs->pins.records.used)
		pthread_mutex_destroy(&fs->pins.records.lock);
	free(fs->pins.records.used);
}

/* ---- the head ------------------------------------------------------------------------------- */

static int read_head(struct ddfs_fs *fs, uint32_t *nr_slots)
{
	struct ddfs_pin_records *t = &fs->pins.records;
	const struct ddfs_pin_table *head = (const void *)(fs->base + t->off);

	*nr_slots = ddfs_le32(head->nr_slots);
	if (*nr_slots > t->nr_max || !ddfs_csum_holds(fs->csum_seed, t->off, head, sizeof(*head)))
		return -EUCLEAN;
	return 0;
}

uint32_t ddfs_pin_records_load(struct ddfs_fs *fs)
{
	struct ddfs_pin_records *t = &fs->pins.records;

	if (DDFS_GUARDED(fs, read_head(fs, &t->nr_slots))) {
		ddfs_log(fs, LOG_WARNING,
			"the head of the pin table is damaged: looking at all of its slots");
		t->nr_slots = t->nr_max;
	}
	return t->nr_slots;
}

static void write_head(struct ddfs_fs *fs, uint32_t nr_slots)
{
	struct ddfs_pin_records *t = &fs->pins.records;
	struct ddfs_pin_table head = { .nr_slots = ddfs_to32(nr_slots) };

	ddfs_csum_seal(fs->csum_seed, t->off, &head, sizeof(head));
	fs->media->ops->copy(fs->media, t->off, &head, sizeof(head));
	t->nr_slots = nr_slots;
}

void ddfs_pin_records_close(struct ddfs_fs *fs)
{
	struct ddfs_pin_records *t = &fs->pins.records;

	pthread_mutex_lock(&t->lock);
	if (!t->nr_used && t->nr_slots)
		write_head(fs, 0);
	pthread_mutex_unlock(&t->lock);
}

/* ---- records -------------------------------------------------------------------------------- */

static int read_record(struct ddfs_fs *fs, uint64_t off, struct ddfs_pin_record *out)
{
	const struct ddfs_pin_record *r = (const void *)(fs->base + off);

	if (!ddfs_le32(r->epoch) || !ddfs_csum_holds(fs->csum_seed, off, r, sizeof(*r)))
		return 0;
	*out = *r;
	return 1;
}

int ddfs_pin_record_read(struct ddfs_fs *fs, uint32_t slot, struct ddfs_pin_record *out)
{
	return DDFS_GUARDED(fs, read_record(fs, slot_off(&fs->pins.records, slot), out));
}

void ddfs_pin_record_repair(struct ddfs_fs *fs, uint32_t slot)
{
	static const uint8_t zeroes[DDFS_BLOCK_BYTES];
	struct ddfs_pin_records *t = &fs->pins.records;
	uint64_t block = slot_off(t, slot) / DDFS_BLOCK_BYTES * DDFS_BLOCK_BYTES;

	if (ddfs_fixed_repair(fs, block, zeroes) && !is_used(t, slot))
		ddfs_pin_record_keep(fs, slot);
	if (block == t->off)
		write_head(fs, t->nr_slots);
}

void ddfs_pin_record_keep(struct ddfs_fs *fs, uint32_t slot)
{
	pthread_mutex_lock(&fs->pins.records.lock);
	mark(&fs->pins.records, slot, true);
	pthread_mutex_unlock(&fs->pins.records.lock);
}

/* The lowest free slot, marked. t->lock is held. */
static int take_slot(struct ddfs_fs *fs, uint32_t *slot)
{
	struct ddfs_pin_records *t = &fs->pins.records;
	uint32_t at = t->first_free, end;

	while (at < t->nr_max && is_used(t, at))
		at++;
	t->first_free = at;
	if (at == t->nr_max)
		return -ENOLCK;
	if (at >= t->nr_slots) {
		/* Before the slot is: a record behind nr_slots is none. */
		end = at - at % HEAD_STEP + HEAD_STEP;
		write_head(fs, end < t->nr_max ? end : t->nr_max);
	}
	mark(t, at, true);
	*slot = at;
	return 0;
}

int ddfs_pin_record_store(struct ddfs_fs *fs, struct ddfs_pin_record *r, uint32_t *slot)
{
	struct ddfs_pin_records *t = &fs->pins.records;
	uint64_t off;
	int err;

	pthread_mutex_lock(&t->lock);
	err = take_slot(fs, slot);
	pthread_mutex_unlock(&t->lock);
	if (err)
		return err;
	off = slot_off(t, *slot);
	ddfs_csum_seal(fs->csum_seed, off, r, sizeof(*r));
	fs->media->ops->copy(fs->media, off, r, sizeof(*r));
	return 0;
}

void ddfs_pin_record_drop(struct ddfs_fs *fs, uint32_t slot)
{
	fs->media->ops->set(
		fs->media, slot_off(&fs->pins.records, slot), 0, sizeof(struct ddfs_pin_record));
}

void ddfs_pin_record_erase(struct ddfs_fs *fs, uint32_t slot)
{
	if (!atomic_load(&fs->failed))
		ddfs_pin_record_drop(fs, slot);
	pthread_mutex_lock(&fs->pins.records.lock);
	mark(&fs->pins.records, slot, false);
	pthread_mutex_unlock(&fs->pins.records.lock);
}
