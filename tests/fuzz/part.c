/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/part.h"

#include <stddef.h>

#include "fs/csum.h"
#include "tests/fuzz/stage.h"

#define SUPER_SEED  0x64646673u
#define TABLE_PARTS 12 /* of the tables that are mostly empty */

/* A fresh image has no node: then it is a block of something else. */
static uint64_t pick(const uint64_t *list, unsigned int nr, unsigned int index)
{
	return nr ? list[index % nr] : DDFS_ROOT_BLOCK_OFF;
}

struct part part_get(const struct stage *s, enum part_kind kind, unsigned int index)
{
	const struct ddfs_super *super = stage_super(s);
	uint64_t second = STAGE_BYTES - 2 * DDFS_BLOCK_BYTES;

	switch (kind) {
	case PART_SUPER:
		return (struct part){ kind, index % 2 ? STAGE_BYTES - DDFS_BLOCK_BYTES : 0,
			sizeof(struct ddfs_super) };
	case PART_ROOT_BLOCK:
		return (struct part){ kind, index % 2 ? second : DDFS_ROOT_BLOCK_OFF,
			DDFS_INODE_BYTES };
	case PART_GROUP:
		return (struct part){ kind,
			DDFS_GROUP_TABLE_OFF + index % ddfs_le32(super->nr_groups) * 64, 64 };
	case PART_CHUNK:
		return (struct part){ kind,
			ddfs_le64(super->chunk_table_off) +
				index % (STAGE_BYTES / DDFS_CHUNK_BYTES) * 128,
			128 };
	case PART_LANE:
		return (struct part){ kind,
			ddfs_le64(super->lanes_off) +
				(uint64_t)(index % ddfs_le32(super->nr_lanes)) * DDFS_LANE_BYTES,
			DDFS_LANE_BYTES };
	case PART_SLOT:
		return (struct part){ kind, pick(s->slots, s->nr_slots, index), DDFS_INODE_BYTES };
	case PART_NODE:
		return (struct part){ kind, pick(s->nodes, s->nr_nodes, index), DDFS_BLOCK_BYTES };
	case PART_PIN:
		return (struct part){ kind,
			ddfs_le64(super->pins_off) + (uint64_t)(index % TABLE_PARTS) * 64, 64 };
	default:
		return (struct part){ PART_BAD,
			ddfs_le64(super->bad_off) + (uint64_t)(index % TABLE_PARTS) * 32, 32 };
	}
}

/* A lane's checksum is of what its header announces. */
static uint32_t sealed_len(const struct stage *s, const struct part *p)
{
	const struct ddfs_lane_header *h = (const void *)(s->ram.writable + p->off);

	if (p->kind == PART_LANE && ddfs_le32(h->nr_bytes) <= DDFS_LANE_BYTES - sizeof(*h))
		return sizeof(*h) + ddfs_le32(h->nr_bytes);
	return p->len;
}

void part_seal(struct stage *s, const struct part *p)
{
	uint32_t seed = p->kind == PART_SUPER ? SUPER_SEED : stage_seed(s);

	stage_note(s, p->off, sizeof(uint32_t));
	ddfs_csum_seal(seed, p->off, s->ram.writable + p->off, sealed_len(s, p));
}
