/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/altmap.h"

#include <string.h>

#include "fs/core.h"

/* How much is looked at, and zeroed, at once. */
#define STEP_BYTES DDFS_BLOCK_BYTES

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

int ddfs_altmap_clear(struct ddfs_media *m, uint64_t off, uint64_t len)
{
	for (uint64_t at = off; at < off + len; at += STEP_BYTES)
		if (!is_zero(m->base + at, STEP_BYTES))
			m->ops->set(m, at, 0, STEP_BYTES);
	return m->ops->drain(m);
}

int ddfs_altmap_get(struct ddfs_fs *fs, void **out)
{
	uint64_t off = ddfs_le64(fs->super.pagemap_off);
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
		err = ddfs_altmap_clear(fs->media, off, ddfs_le64(fs->super.pagemap_bytes));
	/* Nor on a read-only mount, which leaves the filesystem as clean as it was while pages are
	 * held. */
	fs->pins.map_on_device = !err && fs->opt.map != DDFS_PAGEMAP_MEM && !ddfs_fs_writable(fs);
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
