/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the walks: one that is under way, and what they all do with a block. */
#ifndef DDFS_IMAGE_WALK_H
#define DDFS_IMAGE_WALK_H

#include "image/image.h"

#define DDFS_IMAGE_MAX_DEPTH 8u

struct ddfs_image_trip {
	const struct ddfs_image *img;
	const struct ddfs_image_walk *walk;
	uint64_t left; /* references that may still be followed: a DAG of nodes would have no end */
};

static inline struct ddfs_image_trip ddfs_image_trip_init(
	const struct ddfs_image *img, const struct ddfs_image_walk *walk)
{
	return (struct ddfs_image_trip){ img, walk, img->nr_blocks };
}

void ddfs_image_trip_fault(const struct ddfs_image_trip *t, enum ddfs_image_fault fault,
	uint64_t blk, uint64_t from, uint64_t to);

/* Follow a reference to blk. 0: *n is a node that holds as such; 1: go on without it, all is told;
 * negative: end the walk. from and to are for the fault. */
int ddfs_image_trip_node(struct ddfs_image_trip *t, uint64_t blk, uint16_t type, unsigned int level,
	uint64_t from, uint64_t to, struct ddfs_node *n);

static inline void ddfs_image_trip_holds(
	const struct ddfs_image_trip *t, uint64_t blk, const struct ddfs_node *n)
{
	if (t->walk->node)
		t->walk->node(t->walk->arg, blk, n);
}

/* A tree of names from its root on. check, if not NULL, says of a record what does not hold; tell
 * is told of the others. */
struct ddfs_image_names {
	struct ddfs_image_trip *trip;
	bool (*check)(const struct ddfs_image_record *r);
	enum ddfs_image_fault refused; /* by check */
	int (*tell)(struct ddfs_image_trip *t, const struct ddfs_image_record *r);
};
int ddfs_image_names_walk(const struct ddfs_image_names *names, uint64_t root, unsigned int depth);

#endif
