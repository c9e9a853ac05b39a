/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the parts of the checker: what is known of an image so far. */
#ifndef DDFS_TEST_CHECK_PRIV_H
#define DDFS_TEST_CHECK_PRIV_H

#include "fs/format.h"
#include "tests/unit/check_image.h"

#define NOBODY	 0u
#define FIXED	 UINT32_MAX
#define OWNER(i) ((i) + 1u)

/* What the walk over all inodes has learnt of one. */
struct seen {
	uint32_t names;	  /* directory entries that lead to it */
	uint32_t subdirs; /* of a directory */
	uint32_t parent;  /* of a directory: where its name is */
	uint8_t type;	  /* S_IFMT >> 12, 0: free */
	uint8_t named_as; /* type that its names claim */
	bool orphan;
	uint64_t written; /* blocks of a file up to and with the last one that is written */
};

struct check {
	const uint8_t *base;
	uint64_t size;
	unsigned int flags;
	struct image_summary *out;
	struct ddfs_super super;
	uint32_t seed;
	uint64_t nr_blocks, data_block;
	uint32_t *owner;   /* of each block */
	uint64_t *ino_off; /* of each block of inodes */
	uint32_t nr_slots;
	struct seen *seen;
};

__attribute__((format(printf, 2, 3))) void check_say(struct check *c, const char *fmt, ...);

/* CRC32C, written anew. */
uint32_t check_crc(uint32_t seed, const void *p, size_t len);
bool check_sum_holds(uint32_t seed, uint64_t off, const void *p, size_t len);

/* Blocks of which the inode is the owner; false if they can't be. */
bool check_claim(struct check *c, uint32_t ino, uint64_t start, uint64_t len);

/* A node, with all that all nodes have in common; NULL if it is none. Claims its block. */
const struct ddfs_node *check_node(
	struct check *c, uint32_t ino, uint64_t blk, uint16_t type, unsigned int level);

/* Each returns the blocks that it found, data and nodes. */
typedef void (*check_extent_fn)(struct check *c, uint32_t ino, const struct ddfs_extent *e);
uint64_t check_extents(
	struct check *c, const struct ddfs_inode_disk *di, uint32_t ino, check_extent_fn fn);
uint64_t check_dir(struct check *c, const struct ddfs_inode_disk *di);
uint64_t check_xattrs(struct check *c, const struct ddfs_inode_disk *di);

/* The pin table and the page map, once every block has its owner. */
void check_pins(struct check *c);
/* The table of bad blocks. */
void check_bad(struct check *c);

static inline const struct ddfs_inode_disk *check_inode_at(const struct check *c, uint32_t ino)
{
	return (const void *)(c->base + c->ino_off[ino / DDFS_INODES_PER_BLOCK] +
			      ino % DDFS_INODES_PER_BLOCK * DDFS_INODE_BYTES);
}

#endif
