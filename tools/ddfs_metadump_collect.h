/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding the metadata of an image: every block of it, once, to a metadump. */
#ifndef DDFS_TOOLS_DDFS_METADUMP_COLLECT_H
#define DDFS_TOOLS_DDFS_METADUMP_COLLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

struct ddfs_metadump_writer;
struct ddfs_scramble;

struct ddfs_collect {
	const struct ddfs_image *img;  /* whose structures are followed */
	const struct ddfs_image *from; /* what blocks are read from */
	struct ddfs_metadump_writer *to;
	struct ddfs_scramble *scramble; /* NULL: everything as it is */
	uint64_t *done;			/* a bit for each block: written, or not to be */
	uint64_t *seen;			/* nodes that walks of img have been at */
	uint64_t nr_unreadable;
	uint64_t nr_left_out; /* what is damaged so that it can't be scrambled, or may be data */
};

/* Write a block, unless it has been. */
void ddfs_collect_put(struct ddfs_collect *c, uint64_t blk, const uint8_t block[DDFS_BLOCK_BYTES]);
/* Read it first; false: it can't be, and is counted; or it is done. */
bool ddfs_collect_read(struct ddfs_collect *c, uint64_t blk, uint8_t block[DDFS_BLOCK_BYTES]);

/* What lies in fixed places. -ENOMEM. */
int ddfs_collect_fixed(struct ddfs_collect *c);
/* The inode table, and all that the inodes lead to but the contents of files. */
void ddfs_collect_inodes(struct ddfs_collect *c);

#endif
