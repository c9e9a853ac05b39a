/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of repairs, and the end of them. */
#include "fsck/repair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/media.h"
#include "fsck/repair_priv.h"

void fsck_repair_fini(struct fsck_repair *r)
{
	free(r->taken);
	free(r->suspect);
	free(r->got);
	free(r->waiting);
	free(r->data_kept);
	free(r->node_owner);
}

/* One stage a round: each relies on what the ones before it have repaired, and been found to be
 * right. What can't be repaired, or may not be, does not keep the next stages from their turn. */
int fsck_repair(struct fsck *f)
{
	int (*const stages[])(struct fsck_repair *) = { fsck_slots_repair, fsck_shared_repair,
		fsck_trees_repair, fsck_lost_repair, fsck_links_repair, fsck_space_repair };
	struct fsck_repair r = { .f = f, .img = &f->img };
	int err = 0;

	f->full = false;
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]) && !err && !r.changed; i++)
		err = stages[i](&r);
	if (!err && r.changed)
		err = fsck_drain(&r);
	fsck_repair_fini(&r);
	return err ? err : r.changed;
}

/* ---- the end -------------------------------------------------------------------------------- */

/* The page map, if there is one: nobody holds anything. */
static int zero_pagemap(struct fsck_repair *r)
{
	static const uint8_t zeroes[DDFS_BLOCK_BYTES];
	const struct ddfs_super *s = &r->img->super;
	uint64_t off = ddfs_le64(s->pagemap_off), end = off + ddfs_le64(s->pagemap_bytes);
	struct ddfs_media *m = r->f->media;
	uint8_t now[DDFS_BLOCK_BYTES];

	for (; off < end; off += sizeof(now)) {
		if (!ddfs_image_read(r->img, off, now, sizeof(now)) &&
			memcmp(now, zeroes, sizeof(now)) == 0)
			continue;
		m->ops->clear_poison(m, off, sizeof(now));
		m->ops->set(m, off, 0, sizeof(now));
	}
	return fsck_drain(r);
}

static int mark_clean(struct fsck_repair *r)
{
	int err = zero_pagemap(r);

	if (!err)
		err = fsck_counts_store(r);
	if (err)
		return err;
	/* Publish point: all that the counts speak of is durable. */
	r->img->super.state = ddfs_to32(DDFS_STATE_CLEAN);
	err = fsck_super_store(r);
	r->f->marked = false;
	return err;
}

int fsck_repair_finish(struct fsck *f)
{
	struct fsck_repair r = { .f = f, .img = &f->img };
	int err;

	if (!f->marked && ddfs_le32(f->img.super.state) == DDFS_STATE_CLEAN)
		return 0;
	err = mark_clean(&r);
	fsck_repair_fini(&r);
	return err ? err : f->media->ops->deep_flush(f->media, DDFS_SYNC_MOUNT);
}
