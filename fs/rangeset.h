/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of blocks in memory, as sorted runs that do not touch. The caller has the lock. */
#ifndef DDFS_FS_RANGESET_H
#define DDFS_FS_RANGESET_H

#include <stddef.h>
#include <stdint.h>

#include "fs/alloc.h"

struct ddfs_rangeset_run {
	uint64_t start, len; /* blocks */
	uint64_t since;	     /* seconds since 1970: the oldest of those in the run */
};

struct ddfs_rangeset {
	struct ddfs_rangeset_run *run;
	size_t nr, cap;
};

void ddfs_rangeset_fini(struct ddfs_rangeset *s);

/* Both leave the set as it was with -ENOMEM. What is in it, or not, already is no error. */
int ddfs_rangeset_add(struct ddfs_rangeset *s, struct ddfs_range r, uint64_t since);
int ddfs_rangeset_del(struct ddfs_rangeset *s, struct ddfs_range r);

/* What the set has of r, first run first; of length 0 if nothing. */
struct ddfs_range ddfs_rangeset_find(const struct ddfs_rangeset *s, struct ddfs_range r);

uint64_t ddfs_rangeset_count(const struct ddfs_rangeset *s); /* blocks */

#endif
