/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a metadump lies in fixed places. Much of that was never written, and holds anything: only
 * what means something is taken. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ddfs_metadump_collect.h"
#include "tools/ddfs_metadump_scramble.h"

/* ---- superblocks, root blocks --------------------------------------------------------------- */

static void put_super(struct ddfs_collect *c, unsigned int which)
{
	uint64_t blk = which ? c->img->end_block + 1 : 0;
	uint8_t block[DDFS_BLOCK_BYTES];

	if (c->scramble && c->img->super_copy[which] != DDFS_COPY_GOOD) {
		c->nr_left_out++;
		return;
	}
	if (!ddfs_collect_read(c, blk, block))
		return;
	if (c->scramble)
		ddfs_scramble_super(blk * DDFS_BLOCK_BYTES, (struct ddfs_super *)block);
	ddfs_collect_put(c, blk, block);
}

static void put_root_block(struct ddfs_collect *c, uint64_t blk)
{
	uint8_t block[DDFS_BLOCK_BYTES];

	if (!ddfs_collect_read(c, blk, block))
		return;
	memset(block + DDFS_INODE_BYTES, 0, sizeof(block) - DDFS_INODE_BYTES);
	ddfs_collect_put(c, blk, block);
}

/* ---- tables --------------------------------------------------------------------------------- */

/* Records of one size, in blocks of their own. */
struct table {
	uint64_t off, bytes; /* off: on a block boundary */
	size_t record;	     /* bytes */
	bool (*means_something)(const struct ddfs_image *img, const struct table *t, uint64_t off);
};

static void put_table_block(struct ddfs_collect *c, const struct table *t, uint64_t off)
{
	static const uint8_t zeroes[DDFS_BLOCK_BYTES];
	uint64_t end = t->off + t->bytes;
	uint8_t block[DDFS_BLOCK_BYTES];

	if (!ddfs_collect_read(c, off / DDFS_BLOCK_BYTES, block))
		return;
	for (size_t at = 0; at < sizeof(block); at += t->record)
		if (off + at >= end || !t->means_something(c->from, t, off + at))
			memset(block + at, 0, t->record);
	/* Restored, what is not there reads as zeroes. */
	if (memcmp(block, zeroes, sizeof(block)) != 0)
		ddfs_collect_put(c, off / DDFS_BLOCK_BYTES, block);
}

static void put_table(struct ddfs_collect *c, const struct table *t)
{
	for (uint64_t off = t->off; off < t->off + t->bytes; off += DDFS_BLOCK_BYTES)
		put_table_block(c, t, off);
}

static bool always(const struct ddfs_image *img, const struct table *t, uint64_t off)
{
	(void)img;
	(void)t;
	(void)off;
	return true;
}

static bool is_sealed(const struct ddfs_image *img, const struct table *t, uint64_t off)
{
	uint8_t record[128];

	return !ddfs_image_read(img, off, record, t->record) &&
	       ddfs_image_sum_holds(img, off, record, t->record);
}

/* The head of the pin table may be damaged. */
static bool is_pin(const struct ddfs_image *img, const struct table *t, uint64_t off)
{
	return off == t->off || is_sealed(img, t, off);
}

/* Below the watermark of its group, or whole. */
static bool is_chunk(const struct ddfs_image *img, const struct table *t, uint64_t off)
{
	uint64_t chunk = (off - t->off) / t->record, per = ddfs_le32(img->super.group_chunks);
	uint64_t at = DDFS_GROUP_TABLE_OFF + chunk / per * sizeof(struct ddfs_group_desc);
	struct ddfs_group_desc d;

	if (!ddfs_image_read(img, at, &d, sizeof(d)) &&
		ddfs_image_sum_holds(img, at, &d, sizeof(d)) && chunk % per < ddfs_le32(d.nr_init))
		return true;
	return is_sealed(img, t, off);
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static void put_lane(struct ddfs_collect *c, uint32_t lane, uint8_t *buf)
{
	uint64_t off = ddfs_le64(c->img->super.lanes_off) + lane * (uint64_t)DDFS_LANE_BYTES;
	struct ddfs_lane_header h;
	enum ddfs_image_lane is = ddfs_image_lane_read(c->img, lane, buf, &h);
	uint64_t end, at;

	if (is == DDFS_IMAGE_LANE_UNREADABLE)
		c->nr_unreadable++;
	if (is == DDFS_IMAGE_LANE_UNREADABLE || is == DDFS_IMAGE_LANE_EMPTY)
		return;
	end = sizeof(h) + ddfs_le32(h.nr_bytes);
	if (end > DDFS_LANE_BYTES)
		end = sizeof(h);
	if (ddfs_image_read(c->from, off, buf, end)) {
		c->nr_unreadable++;
		return;
	}
	memset(buf + end, 0, DDFS_LANE_BYTES - end);
	for (at = 0; at < end; at += DDFS_BLOCK_BYTES)
		ddfs_collect_put(c, (off + at) / DDFS_BLOCK_BYTES, buf + at);
}

static int put_lanes(struct ddfs_collect *c)
{
	uint8_t *buf = malloc(DDFS_LANE_BYTES);

	if (!buf)
		return -ENOMEM;
	for (uint32_t i = 0; i < ddfs_le32(c->img->super.nr_lanes); i++)
		put_lane(c, i, buf);
	free(buf);
	return 0;
}

int ddfs_collect_fixed(struct ddfs_collect *c)
{
	const struct ddfs_super *s = &c->img->super;
	const struct table tables[] = {
		{ DDFS_GROUP_TABLE_OFF, ddfs_le32(s->nr_groups) * sizeof(struct ddfs_group_desc),
			sizeof(struct ddfs_group_desc), always },
		{ ddfs_le64(s->chunk_table_off), c->img->nr_chunks * sizeof(struct ddfs_chunk),
			sizeof(struct ddfs_chunk), is_chunk },
		{ ddfs_le64(s->pins_off), ddfs_le64(s->pins_bytes), sizeof(struct ddfs_pin_record),
			is_pin },
		{ ddfs_le64(s->bad_off), ddfs_le64(s->bad_bytes), sizeof(struct ddfs_bad_record),
			is_sealed },
	};
	int err;

	put_super(c, 0);
	put_root_block(c, DDFS_ROOT_BLOCK_OFF / DDFS_BLOCK_BYTES);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		put_table(c, &tables[i]);
	/* Scrambled, it is as if they had been replayed. */
	err = c->scramble ? 0 : put_lanes(c);
	put_root_block(c, c->img->end_block);
	put_super(c, 1);
	return err;
}
