/* SPDX-License-Identifier: BSD-3-Clause */
/* What the builders of leaves share. */
#ifndef DDFS_FSCK_TREE_BUILD_PRIV_H
#define DDFS_FSCK_TREE_BUILD_PRIV_H

#include "fsck/tree_build.h"

/* References to the nodes of one level. Both kinds have the child behind an 8-byte key. */
struct fsck_refs {
	struct ddfs_name_ref *e;
	size_t nr, cap;
};

int fsck_node_begin(const struct fsck_builder *b, uint32_t owner, uint16_t type, uint8_t level,
	struct ddfs_node *n);
void fsck_node_end(const struct fsck_builder *b, struct ddfs_node *n);

int fsck_refs_add(struct fsck_refs *l, uint64_t key, uint64_t child);
/* Index levels of that type of node, until one node is left. Uses refs up, but for its memory. */
int fsck_refs_build(struct fsck_refs *refs, const struct fsck_builder *b, uint32_t owner,
	uint16_t type, struct fsck_tree *tree);

#endif
