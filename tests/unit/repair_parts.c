/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/repair_parts.h"

#include <check.h>

#include "fs/csum.h"

struct ddfs_image healed_image(struct healed *h)
{
	struct ddfs_image img;

	ck_assert_int_eq(ddfs_image_open(&h->r.media, 0, &img), 0);
	return img;
}

static struct part slot(const struct ddfs_image *img, uint32_t ino, bool dir)
{
	return (struct part){ ddfs_image_slot_off(img, ino), DDFS_INODE_BYTES, ino, dir };
}

static struct part named(const struct ddfs_image *img, const char *name, bool dir)
{
	return slot(img, stage_find(img, name), dir);
}

/* The first node of that kind in the data area. */
static struct part node_of(const struct ddfs_image *img, uint16_t type, bool leaf)
{
	for (uint64_t blk = img->data_block;; blk++) {
		struct ddfs_node n;

		ck_assert_uint_lt(blk, img->end_block);
		ck_assert_int_eq(ddfs_image_read(img, blk * 4096, &n, sizeof(n)), 0);
		if (ddfs_le16(n.type) == type && ddfs_le64(n.self) == blk && !n.level == leaf &&
			ddfs_image_sum_holds(img, blk * 4096, &n, sizeof(n)))
			return (struct part){ blk * 4096, 4096, ddfs_le32(n.owner),
				type == DDFS_NODE_NAME_LEAF || type == DDFS_NODE_NAME_INDEX };
	}
}

struct part part_get(struct healed *h, unsigned int kind)
{
	struct ddfs_image img = healed_image(h);
	uint64_t chunks = ddfs_le64(img.super.chunk_table_off);
	const struct part parts[NR_PARTS] = {
		{ DDFS_ROOT_BLOCK_OFF, DDFS_INODE_BYTES, 0, false },
		{ DDFS_GROUP_TABLE_OFF, sizeof(struct ddfs_group_desc), 0, false },
		{ chunks + img.data_block / 512 * sizeof(struct ddfs_chunk),
			sizeof(struct ddfs_chunk), 0, false },
		slot(&img, DDFS_INO_ROOT, true),
		slot(&img, DDFS_INO_ORPHAN, true),
		named(&img, "file", false),
		named(&img, "inline", false),
		named(&img, "dir", true),
		named(&img, "link", false),
		named(&img, "short link", false),
		named(&img, "pipe", false),
		node_of(&img, DDFS_NODE_EXTENT, true),
		node_of(&img, DDFS_NODE_EXTENT, false),
		node_of(&img, DDFS_NODE_NAME_INDEX, false),
		node_of(&img, DDFS_NODE_NAME_LEAF, true),
		node_of(&img, DDFS_NODE_VALUE, true),
	};

	ddfs_image_close(&img);
	return parts[kind];
}

void part_change(struct healed *h, struct rng *rng, const struct part *at, uint32_t byte, bool seal,
	uint32_t len)
{
	uint32_t seed = ddfs_le32(((const struct ddfs_super *)h->healthy)->csum_seed);

	healed_touch(h, at->off, at->len);
	for (uint32_t i = byte; i < byte + len && i < at->len; i++) {
		uint8_t *b = h->r.writable + at->off + i;

		*b ^= (uint8_t)(1 + rng_below(rng, 255));
	}
	if (seal)
		ddfs_csum_seal(seed, at->off, h->r.writable + at->off, at->len);
}
