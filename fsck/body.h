/* SPDX-License-Identifier: BSD-3-Clause */
/* A walk over something that an inode has: blocks are claimed and counted, faults told. */
#ifndef DDFS_FSCK_BODY_H
#define DDFS_FSCK_BODY_H

#include "fsck/state.h"

struct fsck_body {
	struct fsck *f;
	uint32_t ino;
	const struct ddfs_inode_disk *di;
	const char *part;   /* of the inode, for sentences */
	uint16_t flag;	    /* for faults in it */
	uint16_t faults;    /* flags that were set so far */
	uint64_t nr_blocks; /* found */
	uint64_t nr_extents;
	uint64_t end; /* of a file: the first block behind those that are written */
	void *arg;
};

/* A walk with all of these; what is told to extent and record is the caller's. */
struct ddfs_image_walk fsck_body_walk(struct fsck_body *b);

/* Claims the blocks and counts them. */
void fsck_body_claim(struct fsck_body *b, uint64_t start, uint64_t len);
__attribute__((format(printf, 3, 4))) void fsck_body_problem(
	struct fsck_body *b, uint16_t flag, const char *fmt, ...);

/* The attributes. */
void fsck_body_xattrs(struct fsck_body *b);
/* nr_blocks is what was found; tells it unless something is missing. */
void fsck_body_count(struct fsck_body *b);

#endif
