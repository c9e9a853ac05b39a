/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/walk.h"

void ddfs_image_trip_fault(const struct ddfs_image_trip *t, enum ddfs_image_fault fault,
	uint64_t blk, uint64_t from, uint64_t to)
{
	if (t->walk->fault)
		t->walk->fault(t->walk->arg, fault, blk, from, to);
}

int ddfs_image_trip_node(struct ddfs_image_trip *t, uint64_t blk, uint16_t type, unsigned int level,
	uint64_t from, uint64_t to, struct ddfs_node *n)
{
	const struct ddfs_image *img = t->img;
	enum ddfs_image_fault fault = DDFS_FAULT_NODE;
	int ret;

	if (!t->left || !ddfs_image_blocks_valid(img, blk, 1)) {
		ddfs_image_trip_fault(t, DDFS_FAULT_BLOCK, blk, from, to);
		return 1;
	}
	t->left--;
	ret = t->walk->visit ? t->walk->visit(t->walk->arg, blk) : 0;
	if (ret)
		return ret;
	if (ddfs_image_read(img, blk * DDFS_BLOCK_BYTES, n, sizeof(*n)))
		fault = DDFS_FAULT_UNREADABLE;
	else if (ddfs_image_sum_holds(img, blk * DDFS_BLOCK_BYTES, n, sizeof(*n)) &&
		 ddfs_le64(n->self) == blk && ddfs_le16(n->type) == type && n->level == level)
		return 0;
	ddfs_image_trip_fault(t, fault, blk, from, to);
	return 1;
}
