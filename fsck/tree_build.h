/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trees made in one go, from a list of all that they are to hold.
 *
 *	struct fsck_names names = { 0 };
 *
 *	err = fsck_names_add(&names, &rec);		in any order, for each
 *	err = fsck_names_build(&names, &builder, owner, &tree);
 *	fsck_names_fini(&names);
 *
 * Nodes are packed full. Functions return 0 or -errno: -ENOMEM, or what the builder's get returned;
 * then blocks that it has given are lost to whoever keeps count of them.
 */
#ifndef DDFS_FSCK_TREE_BUILD_H
#define DDFS_FSCK_TREE_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "fs/format.h"

/* Where nodes go. */
struct fsck_builder {
	void *arg;
	int (*get)(void *arg, uint64_t *blk); /* a block that nothing uses; -ENOSPC */
	/* Seal the node, of block blk, and store it. */
	void (*put)(void *arg, uint64_t blk, struct ddfs_node *n);
};

struct fsck_tree {
	uint64_t root; /* 0: empty */
	uint8_t depth; /* index levels above the leaves */
	uint64_t nr_nodes;
};

/* ---- extents -------------------------------------------------------------------------------- */

struct fsck_extents {
	struct ddfs_extent *e;
	size_t nr, cap;
};

/* Behind all that were added before, in the file. Neighbours that can be one extent become one. */
int fsck_extents_add(struct fsck_extents *x, uint32_t lblk, uint32_t len, uint64_t start);
void fsck_extents_fini(struct fsck_extents *x);

/* Fills nr_extents, depth and body of di. */
int fsck_extents_build(const struct fsck_extents *x, const struct fsck_builder *b, uint32_t owner,
	struct ddfs_inode_disk *di, uint64_t *nr_nodes);

/* ---- names ---------------------------------------------------------------------------------- */

struct fsck_name {
	uint64_t key; /* the hash, and a number that may change if another has it */
	uint8_t type;
	uint8_t name_len;
	uint16_t val_len;
	size_t at; /* name and value, in bytes[] */
};

struct fsck_names {
	struct fsck_name *e;
	size_t nr, cap;
	uint8_t *bytes;
	size_t nr_bytes, cap_bytes;
	size_t nr_dropped; /* by build: there before, or no room for more of that hash */
};

int fsck_names_add(struct fsck_names *l, const struct fsck_name *n, const void *name,
	const void *value); /* n->at is not looked at */
void fsck_names_fini(struct fsck_names *l);
const uint8_t *fsck_names_bytes(const struct fsck_names *l, const struct fsck_name *n);

/* Sorts the list, drops what can't be, and makes the tree. */
int fsck_names_build(
	struct fsck_names *l, const struct fsck_builder *b, uint32_t owner, struct fsck_tree *out);

/* ---- values --------------------------------------------------------------------------------- */

/* A chain of value nodes with len bytes, at least one. */
int fsck_value_build(const void *value, uint32_t len, const struct fsck_builder *b, uint32_t owner,
	struct ddfs_xattr_ref *out, uint64_t *nr_nodes);

#endif
