/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/walk.h"

void ddfs_image_trip_fault(const struct ddfs_image_trip *t, enum ddfs_image_fault fault,
	uint64_t blk, uint64_t from, uint64_t to)
{
	if (t->walk->fault)
		t->walk->fault(t->walk->arg, fault, blk, from, to);
}

static int left_out(const struct ddfs_image_trip *t, enum ddfs_image_fault fault, uint64_t blk,
	uint64_t from, uint64_t to)
{
	ddfs_image_trip_fault(t, fault, blk, from, to);
	return DDFS_IMAGE_NODE_NONE;
}

int ddfs_image_trip_node(struct ddfs_image_trip *t, uint64_t blk, uint16_t type, unsigned int level,
	uint64_t from, uint64_t to, struct ddfs_node *n)
{
	const struct ddfs_image *img = t->img;
	int ret;

	if (!t->left || !ddfs_image_blocks_valid(img, blk, 1))
		return left_out(t, DDFS_FAULT_BLOCK, blk, from, to);
	t->left--;
	ret = t->walk->visit ? t->walk->visit(t->walk->arg, blk) : 0;
	if (ret)
		return ret < 0 ? ret : DDFS_IMAGE_NODE_NONE;
	if (ddfs_image_read(img, blk * DDFS_BLOCK_BYTES, n, sizeof(*n)))
		return left_out(t, DDFS_FAULT_UNREADABLE, blk, from, to);
	if (ddfs_le64(n->self) != blk || ddfs_le16(n->type) != type || n->level != level ||
		(t->torn && ddfs_le32(n->owner) != t->owner))
		return left_out(t, DDFS_FAULT_NODE, blk, from, to);
	if (ddfs_image_sum_holds(img, blk * DDFS_BLOCK_BYTES, n, sizeof(*n)))
		return DDFS_IMAGE_NODE_HOLDS;
	ddfs_image_trip_fault(t, DDFS_FAULT_NODE, blk, from, to);
	return ddfs_le32(n->owner) == t->owner ? DDFS_IMAGE_NODE_TORN : DDFS_IMAGE_NODE_NONE;
}
