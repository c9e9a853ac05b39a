/* SPDX-License-Identifier: BSD-3-Clause */
/* An inode of an image whose trees are to be damaged, and what a walk of them finds. */
#ifndef DDFS_TEST_IMAGE_PATIENT_H
#define DDFS_TEST_IMAGE_PATIENT_H

#include "tests/unit/image_stage.h"

#define MAX_NODES 64u
#define BIT(f)	  (1u << DDFS_FAULT_##f)

/* A walk. */
struct found {
	unsigned int faults; /* a bit for each kind */
	unsigned int nr_faults, nr_nodes, nr;
	uint64_t node[MAX_NODES];
	uint64_t last; /* key, or first block behind the last extent */
	bool disorder;
	bool (*leave_out)(const struct found *f, uint64_t blk);
	uint64_t left_out;
};

enum tree { EXTENTS, NAMES, XATTRS };

struct patient {
	struct ram r;
	struct ddfs_image img;
	uint32_t ino;
	enum tree tree;
	struct ddfs_inode_disk *di; /* its slot */
	struct found healthy;
	/* Of the tree: the root, and the first leaf or, of xattrs, the first value node. */
	struct ddfs_node *root, *leaf, *value;
};

/* -errno of the walk. */
int patient_walk(const struct ddfs_image *img, const struct ddfs_inode_disk *di, enum tree tree,
	struct found *f);

/* A populated image, and the inode of that name; fails the test unless its tree is whole. */
void patient_begin(struct patient *p, const char *name, enum tree tree);
void patient_end(struct patient *p);

struct ddfs_node *patient_node(struct patient *p, uint64_t blk);

#endif
