/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks that no file owns but a pin holds: kept from the allocator until it lets go.
 *
 * Only a damaged record or map makes any. A record of an earlier mount that no file answers for is
 * a *stray*: its pages are busy all the same, its blocks are taken out of the free ones, and those
 * that some file has are kept back when that file gives them up.
 */
#ifndef DDFS_FS_HELD_H
#define DDFS_FS_HELD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/alloc.h"

struct ddfs_fs;

struct ddfs_ranges {
	struct ddfs_range *r;
	size_t nr, cap;
};

struct ddfs_held {
	pthread_mutex_t lock;
	struct ddfs_ranges back;	   /* given back, but held; protected by lock */
	struct ddfs_ranges strays;	   /* what strays cover, one each; protected by lock */
	_Atomic size_t nr_back, nr_strays; /* of the two; changed under lock, read without */
};

void ddfs_held_init(struct ddfs_held *h);
void ddfs_held_fini(struct ddfs_held *h);

/* The blocks are free on media: give back to the allocator what is idle of them, and the rest when
 * it gets so. */
void ddfs_held_put(struct ddfs_fs *fs, struct ddfs_range r);
/* A pin has ended: give back what has gone idle. */
void ddfs_held_release(struct ddfs_fs *fs);
/* Give back all, idle or not: nobody will ask the allocator any more. */
void ddfs_held_release_all(struct ddfs_fs *fs);

/* Its pages are held: take what is free of it from the allocator. -ENOMEM. */
int ddfs_held_add_stray(struct ddfs_fs *fs, struct ddfs_range r);
/* Its pages are held no more. */
void ddfs_held_del_stray(struct ddfs_fs *fs, struct ddfs_range r);
bool ddfs_held_has_stray(struct ddfs_fs *fs, uint64_t block);

#endif
