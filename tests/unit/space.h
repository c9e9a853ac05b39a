/* SPDX-License-Identifier: BSD-3-Clause */
/* A filesystem without files, of whose blocks the test decides which are free. */
#ifndef DDFS_TEST_SPACE_H
#define DDFS_TEST_SPACE_H

#include "fs/core.h"
#include "tests/unit/mounted.h"

#define MIB   (UINT64_C(1) << 20)
#define GIB   (UINT64_C(1) << 30)
#define CHUNK ((uint64_t)DDFS_CHUNK_BLOCKS)

struct space {
	struct mounted m;
	struct ddfs_fs *fs;
	int64_t nr_free; /* to begin with */
	bool *is_ours;	 /* a bool a block: the test has taken it, and may give it back */
	bool *is_free;
};

/* Take all blocks. */
void space_begin(struct space *s, uint64_t size, uint64_t align);
/* Give all back. */
void space_end(struct space *s);

/* Blocks that are free by the test's own account, in as few extents as the allocator can; of length
 * 0: -ENOSPC. */
struct ddfs_range space_get(struct space *s, uint64_t goal, uint64_t want, uint64_t align);
void space_put(struct space *s, uint64_t start, uint64_t len);
/* All of [from, to) that are the test's and taken. */
void space_put_all(struct space *s, uint64_t from, uint64_t to);

/* Take want blocks as fallocate does it; returns how many extents they are. */
unsigned int space_count_extents(struct space *s, uint64_t want, uint64_t align);

/* The index of each group is what its bitmap says; nothing is being taken. */
void ck_groups(struct ddfs_fs *fs);

#endif
