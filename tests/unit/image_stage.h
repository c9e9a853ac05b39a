/* SPDX-License-Identifier: BSD-3-Clause */
/* A filesystem with every kind of structure, for tests of what reads it without mounting it. */
#ifndef DDFS_TEST_IMAGE_STAGE_H
#define DDFS_TEST_IMAGE_STAGE_H

#include "image/image.h"
#include "tests/unit/ram.h"

#define STAGE_SIZE    (UINT64_C(16) << 20)
#define STAGE_NAMES   150u
#define STAGE_EXTENTS 300u
#define STAGE_LARGE   9000u /* bytes of an xattr's value */

/* In the root: "dir" with STAGE_NAMES names, "link" (300 bytes) and "short link", "pipe", "extents"
 * of as many extents, "file" with a large xattr, "inline" with a small one. */
void stage_populate(struct ddfs_inode *root);

/* mkfs, mount, populate, unmount. */
void stage_make(struct ram *r);

/* The inode number that a name in the root leads to, by the image alone; 0: there is none. */
uint32_t stage_find(const struct ddfs_image *img, const char *name);

/* The inode of that name. */
struct ddfs_inode_disk stage_inode(const struct ddfs_image *img, const char *name);

/* Change both superblocks; their checksums fit. */
void stage_change_super(struct ram *r, void (*change)(struct ddfs_super *s));

/* Make the checksum of the block's node right again. */
void stage_seal_node(struct ram *r, uint64_t blk);
/* And that of an inode's slot. */
void stage_seal_inode(struct ram *r, const struct ddfs_image *img, uint32_t ino);

#endif
