/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inodes in memory. The truth is on media and read there; what is kept here is the lock, who uses
 * it, and timestamps that are not written yet.
 */
#ifndef DDFS_FS_INODE_H
#define DDFS_FS_INODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "fs/format.h"
#include "fs/fs.h"

struct ddfs_ino_grant;
struct ddfs_tx;

enum ddfs_lazy {
	DDFS_LAZY_ATIME = 1 << 0,
	DDFS_LAZY_MTIME = 1 << 1, /* and ctime */
};

struct ddfs_inode {
	struct ddfs_fs *fs;
	uint32_t ino;
	uint32_t gen;
	uint64_t off;		 /* of the slot, bytes */
	uint32_t type;		 /* S_IFMT bits of its mode; fixed */
	bool dax;		 /* fixed while open or pinned; changed with lock held exclusive */
	atomic_bool told_misfit; /* that it can't be mapped as it is laid out */
	atomic_bool dead;	 /* gone from media; set under lock, never cleared */
	bool forgotten; /* dead, and the kernel's reference is gone; protected by shard lock */
	bool outlived;	/* dead, and its number is another's since the table was cut and grew again;
			 * protected by shard lock */
	atomic_uint opens;
	struct ddfs_layout layout; /* who has pages of it, and who waits for them */
	pthread_rwlock_t lock; /* everything of the inode on media; see fs/core.h for the order */

	pthread_mutex_t tlock; /* protects what follows, up to times */
	atomic_uint lazy;      /* enum ddfs_lazy: which of the times are newer than media */
	struct timespec atime, mtime, ctime;
	struct ddfs_attr last; /* of a dead inode; fixed once dead is set */

	/* protected by fs->dirty_lock; on the list the inode holds a reference */
	atomic_bool on_dirty;
	time_t dirty_since;
	struct ddfs_inode *dirty_next;

	/* protected by the shard's lock */
	unsigned int refs;
	struct ddfs_inode *hash_next;
	struct ddfs_inode *lru_next, *lru_prev; /* while refs is 0 */
};

#define DDFS_ICACHE_SHARDS  64u
#define DDFS_ICACHE_BUCKETS 256u

struct ddfs_icache_shard {
	pthread_mutex_t lock;
	struct ddfs_inode *bucket[DDFS_ICACHE_BUCKETS];
	struct ddfs_inode *lru_head, *lru_tail; /* head: used least recently */
	unsigned int nr_idle;
};

struct ddfs_icache {
	struct ddfs_icache_shard *shards;
};

int ddfs_icache_init(struct ddfs_fs *fs);
void ddfs_icache_fini(struct ddfs_fs *fs);

static inline ddfs_id ddfs_id_make(uint32_t ino, uint32_t gen)
{
	return (uint64_t)gen << 32 | ino;
}

/* By number alone, whatever its generation. Takes a reference. -ESTALE: not in use. */
int ddfs_inode_get_ino(struct ddfs_fs *fs, uint32_t ino, struct ddfs_inode **out);
void ddfs_inode_hold(struct ddfs_inode *ip);
/* Whether number ino has an object, live or dead. */
bool ddfs_icache_has(struct ddfs_fs *fs, uint32_t ino);
bool ddfs_icache_has_live(struct ddfs_fs *fs, uint32_t ino);
/* The least number whose inode is gone from media but not from memory, if that is below. */
uint32_t ddfs_icache_lowest_dead(struct ddfs_fs *fs, uint32_t otherwise);

/* For an inode that a transaction is about to make: in memory, held, locked exclusive. On failure
 * the number is settled and given back. */
int ddfs_inode_new(struct ddfs_fs *fs, struct ddfs_ino_grant *g, uint32_t mode, bool dax,
	struct ddfs_inode **out);
/* The transaction failed and was aborted: settle the number, unlock, drop and unmake the inode. */
void ddfs_inode_cancel(struct ddfs_inode *ip, struct ddfs_ino_grant *g);
/* The transaction that frees it is done: keep what fstat may still ask. Locked exclusive. */
void ddfs_inode_bury(struct ddfs_inode *ip, const struct ddfs_inode_disk *last);

/* The inode on media, as tx (NULL: nobody) sees it; its lock is held. */
const struct ddfs_inode_disk *ddfs_inode_view(
	const struct ddfs_inode *ip, const struct ddfs_tx *tx);
/* The inode's shadow, with its lazy times; its lock is held exclusive. */
struct ddfs_inode_disk *ddfs_inode_edit(struct ddfs_tx *tx, struct ddfs_inode *ip);

/* Whether the mount's dax= and the inode's attribute make it a DAX inode. */
bool ddfs_inode_wants_dax(const struct ddfs_fs *fs, const struct ddfs_inode_disk *di);

/* Check a slot that is in use. -EUCLEAN, -ESTALE if it is free. */
int ddfs_inode_check(struct ddfs_fs *fs, uint32_t ino, uint64_t off);

void ddfs_attr_fill(struct ddfs_attr *a, const struct ddfs_inode_disk *di);
/* getattr, the lock being held. */
void ddfs_inode_attr(struct ddfs_inode *ip, struct ddfs_attr *out);

/* ---- times (inode_time.c) ---- */

struct timespec ddfs_now(void);
void ddfs_set_time(struct le64 *sec, struct le32 *ns, struct timespec t);
/* mtime and ctime (or ctime only) of a shadow become now. */
void ddfs_touch(struct ddfs_inode_disk *di, bool mtime);
/* The file was read: atime, if the mount asks for it. Lock held shared. */
void ddfs_inode_accessed(struct ddfs_inode *ip);
/* The file was overwritten in place, or may be by who has it pinned: mtime and ctime, lazily. Lock
 * held. */
void ddfs_inode_modified(struct ddfs_inode *ip);
/* Write lazy times now. No lock is held. */
int ddfs_inode_write_times(struct ddfs_inode *ip);
/* A transaction that had these lazy times in its shadow was aborted. */
void ddfs_inode_keep_times(struct ddfs_inode *ip, unsigned int lazy);
/* Write all that are older than age seconds. */
int ddfs_dirty_write(struct ddfs_fs *fs, time_t age);

#endif
