/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/altmap.h"

#include <string.h>

#include "fs/core.h"
#include "fs/fixed.h"

/* How much is looked at, and zeroed, at once. */
#define STEP_BYTES DDFS_BLOCK_BYTES

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

int ddfs_altmap_clear(struct ddfs_media *m, uint64_t off, uint64_t len)
{
	uint8_t now[STEP_BYTES];

	for (uint64_t at = off; at < off + len; at += STEP_BYTES) {
		bool lost = m->ops->copy_out(m, now, at, STEP_BYTES) != 0;

		/* Where the device can't clear it, a store of whole lines may. */
		if (lost)
			m->ops->clear_poison(m, at, STEP_BYTES);
		if (lost || !is_zero(now, STEP_BYTES))
			m->ops->set(m, at, 0, STEP_BYTES);
	}
	return m->ops->drain(m);
}

/* No page is held yet: what is known to be bad may be written anew. */
static int repair(struct ddfs_fs *fs, struct ddfs_range r)
{
	static const uint8_t zeroes[DDFS_BLOCK_BYTES];
	struct ddfs_range bad;
	int err = 0;

	while (!err && (bad = ddfs_bad_find(fs, r)).len)
		err = ddfs_fixed_repair(fs, ddfs_block_off(bad.start), zeroes);
	return err;
}

/* Counts are changed in place, where no guard is. All of it is read after a crash alone, else a
 * mount would take the longer the larger the device is; what is known to be bad is so always. */
static bool can_hold(struct ddfs_fs *fs, uint64_t off, uint64_t len)
{
	struct ddfs_range r = { off >> DDFS_BLOCK_SHIFT, len >> DDFS_BLOCK_SHIFT };
	struct ddfs_media *m = fs->media;

	if (!repair(fs, r) && (fs->recovery.was_clean || !m->ops->probe(m, off, len)))
		return true;
	ddfs_log(fs, LOG_WARNING,
		"some of the pagemap on the device can't be read: it is kept in memory, as with "
		"map=mem");
	return false;
}

int ddfs_altmap_get(struct ddfs_fs *fs, void **out)
{
	uint64_t off = ddfs_le64(fs->super.pagemap_off);
	uint64_t len = ddfs_le64(fs->super.pagemap_bytes);
	int err = 0;

	*out = NULL;
	if (!off && fs->opt.map == DDFS_PAGEMAP_DEV) {
		ddfs_log(fs, LOG_ERR,
			"map=dev: mkfs reserved no room for the pagemap (mkfs.devdaxfs "
			"--map=dev does)");
		return -EINVAL;
	}
	if (!off || fs->media->readonly)
		return 0;
	/* Pages that were held when the daemon or the machine stopped are told by the records. Also
	 * if it is kept in DRAM this time: the next mount may find the filesystem clean. */
	if (!fs->recovery.was_clean)
		err = DDFS_GUARDED_STORE(fs, ddfs_altmap_clear(fs->media, off, len));
	/* Nor on a read-only mount, which leaves the filesystem as clean as it was while pages are
	 * held. */
	fs->pins.map_on_device = !err && fs->opt.map != DDFS_PAGEMAP_MEM && !ddfs_fs_writable(fs) &&
				 can_hold(fs, off, len);
	if (fs->pins.map_on_device)
		*out = fs->media->ops->scratch(fs->media, off, ddfs_pagemap_bytes(fs->nr_blocks));
	return err;
}

void ddfs_altmap_flush(struct ddfs_fs *fs)
{
	if (fs->pins.map_on_device)
		fs->media->ops->flush(fs->media, ddfs_le64(fs->super.pagemap_off),
			ddfs_le64(fs->super.pagemap_bytes));
}
