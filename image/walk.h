/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the walks: one that is under way, and what they all do with a block. */
#ifndef DDFS_IMAGE_WALK_H
#define DDFS_IMAGE_WALK_H

#include "image/image.h"

#define DDFS_IMAGE_MAX_DEPTH 8u

struct ddfs_image_trip {
	const struct ddfs_image *img;
	const struct ddfs_image_walk *walk;
	uint32_t owner; /* inode */
	uint64_t left; /* references that may still be followed: a DAG of nodes would have no end */
	unsigned int torn; /* nodes above that are TORN: their references may lead to another's */
};

static inline struct ddfs_image_trip ddfs_image_trip_init(
	const struct ddfs_image *img, const struct ddfs_image_walk *walk, uint32_t owner)
{
	return (struct ddfs_image_trip){ img, walk, owner, img->nr_blocks, 0 };
}

enum ddfs_image_node {
	DDFS_IMAGE_NODE_HOLDS,
	DDFS_IMAGE_NODE_NONE, /* it is left out */
	/* Its checksum alone does not hold: what in it says by itself that it is right may be kept,
	 * which are names by their hash, and children by their own checksum. */
	DDFS_IMAGE_NODE_TORN,
};

void ddfs_image_trip_fault(const struct ddfs_image_trip *t, enum ddfs_image_fault fault,
	uint64_t blk, uint64_t from, uint64_t to);

/* Follow a reference to blk, to *n. Returns enum ddfs_image_node, and has told what is wrong;
 * negative: end the walk. from and to are for the fault. */
int ddfs_image_trip_node(struct ddfs_image_trip *t, uint64_t blk, uint16_t type, unsigned int level,
	uint64_t from, uint64_t to, struct ddfs_node *n);

static inline void ddfs_image_trip_holds(
	const struct ddfs_image_trip *t, uint64_t blk, const struct ddfs_node *n)
{
	if (t->walk->node)
		t->walk->node(t->walk->arg, blk, n);
}

/* In the children of a node that is TORN, and behind them. */
static inline void ddfs_image_trip_enter(struct ddfs_image_trip *t, bool torn)
{
	t->torn += torn;
}
static inline void ddfs_image_trip_leave(struct ddfs_image_trip *t, bool torn)
{
	t->torn -= torn;
}

/* A tree of names from its root on. check, if not NULL, says of a record what does not hold; tell
 * is told of the others. */
struct ddfs_image_names {
	struct ddfs_image_trip *trip;
	bool (*check)(const struct ddfs_image_record *r);
	enum ddfs_image_fault refused; /* by check */
	int (*tell)(struct ddfs_image_trip *t, const struct ddfs_image_record *r);
	bool keeps_torn; /* records of a TORN leaf: the name, whose hash holds, is what matters */
};
int ddfs_image_names_walk(const struct ddfs_image_names *names, uint64_t root, unsigned int depth);

#endif
