/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks that nothing leads to and that can be read, for what is made anew. */
#include <errno.h>
#include <stdlib.h>

#include "fs/csum.h"
#include "fs/media.h"
#include "fsck/repair_priv.h"
#include "fsck/room.h"

/* Blocks that were noted as bad, and can be read all the same, are the last to be used. */
static int note_suspects(struct fsck_repair *r)
{
	const struct ddfs_image *img = r->img;
	uint64_t off = ddfs_le64(img->super.bad_off);

	r->suspect = calloc(img->nr_blocks / 64 + 1, sizeof(*r->suspect));
	if (!r->suspect)
		return -ENOMEM;
	for (unsigned int i = 0; i < DDFS_BAD_BYTES / sizeof(struct ddfs_bad_record); i++) {
		struct ddfs_bad_record rec;
		uint64_t at = off + i * sizeof(rec), start, len;

		if (ddfs_image_read(img, at, &rec, sizeof(rec)) || !ddfs_le32(rec.len) ||
			!ddfs_image_sum_holds(img, at, &rec, sizeof(rec)))
			continue;
		start = ddfs_le64(rec.start);
		len = ddfs_le32(rec.len);
		for (uint64_t b = start; b < img->nr_blocks && b < start + len; b++)
			r->suspect[b / 64] |= UINT64_C(1) << (b % 64);
	}
	return 0;
}

static bool is_spare(struct fsck_repair *r, uint64_t blk, bool suspect)
{
	struct ddfs_media *m = r->f->media;

	if (fsck_bit(r->taken, blk) || (!suspect && fsck_bit(r->suspect, blk)))
		return false;
	fsck_take(r, blk, 1);
	return !m->ops->probe(m, blk * DDFS_BLOCK_BYTES, DDFS_BLOCK_BYTES);
}

/* Block at *from, or behind it. */
static bool search(struct fsck_repair *r, uint64_t *from, bool suspect, uint64_t *blk)
{
	for (; *from < r->img->end_block; ++*from) {
		if (!is_spare(r, *from, suspect))
			continue;
		*blk = (*from)++;
		return true;
	}
	return false;
}

static int note_got(struct fsck_repair *r, uint64_t blk)
{
	uint64_t *got = fsck_room(r->got, r->nr_got, &r->cap_got, sizeof(*got));

	if (!got)
		return -ENOMEM;
	r->got = got;
	r->got[r->nr_got++] = blk;
	return 0;
}

int fsck_spare_get(struct fsck_repair *r, uint64_t *blk)
{
	int err = fsck_taken_collect(r);

	if (!err && !r->suspect) {
		err = note_suspects(r);
		r->spare[0] = r->spare[1] = r->img->data_block;
	}
	if (err)
		return err;
	if (search(r, &r->spare[0], false, blk) || search(r, &r->spare[1], true, blk))
		return note_got(r, *blk);
	r->f->full = true;
	return -ENOSPC;
}

void fsck_spare_begin(struct fsck_repair *r)
{
	r->nr_got = 0;
}

void fsck_spare_abort(struct fsck_repair *r)
{
	for (size_t i = 0; i < r->nr_got; i++) {
		uint64_t blk = r->got[i];

		r->taken[blk / 64] &= ~(UINT64_C(1) << (blk % 64));
		for (unsigned int k = 0; k < 2; k++)
			if (blk < r->spare[k])
				r->spare[k] = blk;
	}
	r->nr_got = 0;
}

/* ---- trees ---------------------------------------------------------------------------------- */

static int reuse_node(struct fsck_repair *r, uint64_t *blk)
{
	const struct fsck_walk *old = r->reuse;

	/* A lane does not hold more. */
	if (!old || r->nr_reused == old->nr_own ||
		r->nr_waiting + 2 * (DDFS_BLOCK_BYTES + 16) > DDFS_LANE_BYTES - 1024)
		return -ENOSPC;
	*blk = old->own[r->nr_reused++];
	return 0;
}

static bool is_reused(const struct fsck_repair *r, uint64_t blk)
{
	for (size_t i = 0; i < r->nr_reused; i++)
		if (r->reuse->own[i] == blk)
			return true;
	return false;
}

static int builder_get(void *arg, uint64_t *blk)
{
	struct fsck_repair *r = arg;
	int err = fsck_spare_get(r, blk);

	if (err == -ENOSPC)
		err = reuse_node(r, blk);
	return err ? err : fsck_mark(r);
}

static void builder_put(void *arg, uint64_t blk, struct ddfs_node *n)
{
	struct fsck_repair *r = arg;
	uint64_t off = blk * DDFS_BLOCK_BYTES;

	ddfs_csum_seal(r->img->seed, off, n, sizeof(*n));
	if (!is_reused(r, blk))
		r->f->media->ops->copy(r->f->media, off, n, sizeof(*n));
	else if (fsck_lane_wait(r, off, n, sizeof(*n)))
		fsck_fail(r->f, -ENOMEM);
}

struct fsck_builder fsck_spare_builder(struct fsck_repair *r, const struct fsck_walk *old)
{
	r->reuse = old;
	r->nr_reused = 0;
	return (struct fsck_builder){ .arg = r, .get = builder_get, .put = builder_put };
}
