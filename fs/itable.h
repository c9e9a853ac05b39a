/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inode table: a file of 256-byte slots whose inode lies in the root blocks. A number is an
 * index; a free slot has mode 0 and keeps its generation. The table grows when no slot is free,
 * and gives back blocks at its end when all of their slots are; numbers handed out again after
 * that start from a generation that no number had before (gen_floor).
 */
#ifndef DDFS_FS_ITABLE_H
#define DDFS_FS_ITABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/alloc.h"

struct ddfs_fs;
struct ddfs_inode_disk;
struct ddfs_tx;

struct ddfs_itable {
	uint64_t inode_off;	   /* the copy of the table's inode that is read; of the mount */
	uint64_t other_off;	   /* the one that changes with it; 0: it is left out */
	pthread_mutex_t lock;	   /* protects what follows but map_lock and nr_used */
	_Atomic uint32_t nr_slots; /* changed under lock */
	uint32_t scanned;	   /* free slots below are in free_ino or taken */
	uint32_t nr_free;	   /* in free_ino */
	uint32_t cap_free;
	uint32_t *free_ino;	   /* a stack */
	uint32_t nr_pending;	   /* numbers handed out whose slot on media may still look free */
	pthread_rwlock_t map_lock; /* the table's extents */
	_Atomic uint32_t nr_used;  /* slots in use on media, or about to be */
};

int ddfs_itable_init(struct ddfs_fs *fs);
void ddfs_itable_fini(struct ddfs_fs *fs);

/* Where the slot lies. -ESTALE: no such number. */
int ddfs_itable_find(struct ddfs_fs *fs, uint32_t ino, uint64_t *off);
/* With map_lock held: what lies there stays a slot of the table until it is dropped. */
int ddfs_itable_find_locked(struct ddfs_fs *fs, uint32_t ino, uint64_t *off);

/* A number that nobody has, for a transaction that is to use it. */
struct ddfs_ino_grant {
	uint32_t ino;
	uint32_t gen;
	uint64_t off;		  /* of the slot */
	struct ddfs_range growth; /* blocks that the table gains in the same transaction; while
				   * there are any, itable.lock is held until it is settled */
	bool joined;
};

/* Hold no lane. -ENOSPC. */
int ddfs_itable_get(struct ddfs_fs *fs, struct ddfs_ino_grant *g);
/* The growth, if there is one, becomes part of the transaction that uses the number. */
int ddfs_itable_join(struct ddfs_tx *tx, struct ddfs_ino_grant *g);
/* That transaction is over; used: it was committed. */
void ddfs_itable_settle(struct ddfs_fs *fs, struct ddfs_ino_grant *g, bool used);
/* A slot that was in use is free on media. */
void ddfs_itable_drop(struct ddfs_fs *fs);
/* Its number may be used again: no object in memory has it. */
void ddfs_itable_put(struct ddfs_fs *fs, uint32_t ino);
/* With itable.lock held, since before the object went: whoever looks for free slots finds either
 * the object or the number here. */
void ddfs_itable_put_locked(struct ddfs_fs *fs, uint32_t ino);

/* Give back blocks at the end that hold no inode, if there are many. Hold no lock. */
int ddfs_itable_shrink(struct ddfs_fs *fs);

/* Count the slots in use. */
int ddfs_itable_count(struct ddfs_fs *fs);
/* A number below which none is free, for the superblock. */
uint32_t ddfs_itable_first_free(struct ddfs_fs *fs);
/* The table's own inode. map_lock is held, or itable.lock. */
const struct ddfs_inode_disk *ddfs_itable_inode(const struct ddfs_fs *fs);

#endif
