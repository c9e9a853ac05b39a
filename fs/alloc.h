/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Block allocator. What is free is kept twice: on media a bit a block, changed by transactions
 * only, and in memory the same plus what is promised to somebody. A block is taken in memory
 * first (get), then becomes used on media in the transaction that makes it part of something;
 * freed on media first, then given back in memory (put), when no page of it is held any more.
 *
 * Blocks lie in chunks of 2 MiB, chunks in groups. Small requests fill partly used chunks of the
 * calling CPU's group, so that whole chunks stay whole for large ones; and where the unit of DAX
 * inodes is larger than a chunk they fill units that are broken already. Requests that are large
 * or aligned get the longest runs there are, across groups. A group's index is built when it is
 * first looked at.
 */
#ifndef DDFS_FS_ALLOC_H
#define DDFS_FS_ALLOC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ddfs_fs;
struct ddfs_tx;

struct ddfs_range {
	uint64_t start; /* block */
	uint64_t len;	/* blocks */
};

struct ddfs_group {
	pthread_mutex_t media_lock; /* the group's chunk table entries and descriptor, from when a
				     * commit reads them until its lane is empty */
	atomic_bool loaded;	    /* the index below is there; set under media_lock */
	uint32_t first_chunk;	    /* fixed */
	uint32_t nr_chunks;	    /* fixed */
	pthread_mutex_t lock;	    /* protects the rest */
	uint32_t nr_free_chunks;
	uint32_t cursor; /* chunk where the last small request was served */
	uint64_t nr_free;
	/* No run of free blocks in the group, and none of wholly free chunks, is longer than so
	 * many blocks; 0: not known. */
	uint64_t longest_run, longest_row;
	uint64_t *used;	   /* 8 words a chunk */
	uint16_t *free_in; /* free blocks a chunk */
	uint16_t *run_in;  /* no run inside the chunk is longer; 0: not known */
	uint64_t *whole;   /* a bit a chunk: wholly free */
	uint64_t *partial; /* a bit a chunk: some blocks free, some not */
};

struct ddfs_alloc {
	struct ddfs_group *groups;
	uint32_t nr_groups;
	uint32_t group_shift; /* log2 of blocks a group */
	uint64_t chunk_table_off;
	uint64_t nr_usable; /* blocks that are not fixed structures */
	uint64_t reserve;   /* blocks that only DDFS_ALLOC_RESERVE may take */
	_Atomic int64_t nr_free;
};

enum ddfs_alloc_flags {
	DDFS_ALLOC_RESERVE = 1 << 0, /* for what must not fail, such as unlink's bookkeeping */
	DDFS_ALLOC_FEW = 1 << 1,     /* what is not there in one piece comes from the longest
				      * runs, as it does for what is aligned or a chunk long */
};

int ddfs_alloc_init(struct ddfs_fs *fs);
void ddfs_alloc_fini(struct ddfs_fs *fs);

/* Take up to want contiguous blocks: at goal if that is free (0: no preference), starting at a
 * multiple of align blocks, of which the result is a multiple too. align is a power of two.
 * -ENOSPC. */
int ddfs_alloc_get(struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align,
	unsigned int flags, struct ddfs_range *out);
/* What is bad of it is kept (fs/bad.h). */
void ddfs_alloc_put(struct ddfs_fs *fs, struct ddfs_range r);

/* Commit's part: add to tx the changes of chunk table entries that its allocated and freed ranges
 * ask for. Leaves the groups' media_locks held; ddfs_alloc_unlock drops them. */
int ddfs_alloc_prepare(struct ddfs_tx *tx);
void ddfs_alloc_unlock(struct ddfs_tx *tx);

/* Build every group's index and with it the exact count of free blocks. */
int ddfs_alloc_count(struct ddfs_fs *fs);
/* For a clean unmount: each group's free blocks, to its descriptor. */
int ddfs_alloc_save(struct ddfs_fs *fs);
/* Take over what a clean unmount saved. */
int ddfs_alloc_load_saved(struct ddfs_fs *fs);

#endif
