/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bad blocks: those that hold poison, as far as it is known.
 *
 * They come from the device's own list at mount, from the table on media (what earlier mounts met),
 * and from what is hit now. A block stays bad until it is cleared: by the device
 * (media->ops->clear_poison), when it is overwritten as a whole or given up by its file. Where
 * the device can't, the data moves, and the block is kept from use for good: it is free in the
 * bitmaps, has its record in the table, and the allocator is never given it.
 *
 * A record is durable before anything relies on it, and goes only when what the block was
 * overwritten with is durable.
 */
#ifndef DDFS_FS_BAD_H
#define DDFS_FS_BAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/alloc.h"
#include "fs/fs.h"
#include "fs/rangeset.h"

struct ddfs_bad {
	pthread_mutex_t keep_lock; /* see fs/core.h */
	bool keeps;		   /* the mount may write; protected by keep_lock */
	pthread_mutex_t lock;	   /* a leaf: protects what follows */
	struct ddfs_rangeset known;
	struct ddfs_rangeset kept; /* of these, those that are free on media and nobody is given */
	struct ddfs_range *slots;  /* what each record of the table says; of length 0: it is free */
	bool full;		   /* the table has no room for all, and that was told */
	bool unsaved;		   /* the table on media lacks some of it, or has too many */
	atomic_bool any;	   /* known is not empty; changed under lock, read without */
	atomic_bool fresh;	   /* some was noted, and may be free and not kept yet */
	/* Bytes of the device that errors were told of, and how often its list will still be asked
	 * about them; of the thread that calls ddfs_bad_notice and ddfs_fs_writeback. */
	uint64_t noticed_off, noticed_end;
	unsigned int nr_asks;
};

/* Whether there is any at all: what reads and writes ask before they look further. */
static inline bool ddfs_bad_any(const struct ddfs_bad *bad)
{
	return atomic_load_explicit(&bad->any, memory_order_relaxed);
}

/* It was found bad. In memory alone, for it may be called with any lock held. */
void ddfs_bad_note(struct ddfs_fs *fs, struct ddfs_range r);
/* It is bad no more: what it was overwritten with is durable, or nobody's. In memory alone. */
void ddfs_bad_drop(struct ddfs_fs *fs, struct ddfs_range r);
/* What is known to be bad of r, the first run of it; of length 0 if nothing. */
struct ddfs_range ddfs_bad_find(struct ddfs_fs *fs, struct ddfs_range r);
uint64_t ddfs_bad_count(struct ddfs_fs *fs); /* blocks */

/* How many of the len bytes at off of media can be read: none of a block, from off on, that is
 * known to be bad, or is found so by reading it; that is noted, and told. */
size_t ddfs_bad_readable(struct ddfs_fs *fs, uint64_t off, size_t len);

/* To be called about once a second: the device's list may learn of an error later than we do. */
void ddfs_bad_ask_again(struct ddfs_fs *fs);

/* Have the device make the blocks readable again; their records stay. 0, or it can't. */
int ddfs_bad_clear(struct ddfs_fs *fs, struct ddfs_range r);

/* ---- the mount begins and ends -------------------------------------------------------------- */

int ddfs_bad_init(struct ddfs_fs *fs);
void ddfs_bad_fini(struct ddfs_fs *fs);
/* Read the table, ask the device. */
void ddfs_bad_load(struct ddfs_fs *fs);

/* ---- on media (bad_table.c) ----------------------------------------------------------------- */

void ddfs_bad_table_read(struct ddfs_fs *fs);
/* The table says what is known by now, durably. What it has no room for stays in memory. Any lock
 * may be held. */
int ddfs_bad_save(struct ddfs_fs *fs);

/* ---- and the allocator (bad_keep.c) --------------------------------------------------------- */

/* A mount begins to write: from here on what is bad and free is kept. */
void ddfs_bad_begin(struct ddfs_fs *fs);
/* Take what is known to be bad and is free from the allocator. No lock of it is held. */
void ddfs_bad_keep(struct ddfs_fs *fs);
/* It ends: what was kept is as free as the bitmaps say, before that is counted. */
void ddfs_bad_release(struct ddfs_fs *fs);
/* ddfs_alloc_put, where some block is known to be bad: those of r are cleared, or kept. */
void ddfs_bad_put(struct ddfs_fs *fs, struct ddfs_range r);

/* ---- told (bad_list.c, bad_owner.c) --------------------------------------------------------- */

/* What is told, in pieces of one owner each. */
struct ddfs_bad_told {
	struct ddfs_bad_range *piece; /* apart, in no order; UNKNOWN: not found yet */
	size_t nr, cap;
	int error; /* -ENOMEM: some are lost */
};

/* Those blocks belong to what owner says; its place in the file is that of the first of them. */
void ddfs_bad_claim(
	struct ddfs_bad_told *t, struct ddfs_range r, const struct ddfs_bad_range *owner);
/* Claim what belongs to the inode table and to inodes. */
void ddfs_bad_find_owners(struct ddfs_fs *fs, struct ddfs_bad_told *t);

#endif
