/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One mounted filesystem: what every part of fs/ is handed.
 *
 * Lock order, outermost first:
 *
 *	fs->rename_lock			a directory moves to another parent
 *	inode->lock of directories	parent before child
 *	inode->lock of other inodes	by inode number
 *	itable.lock			kept over a transaction that makes the table grow
 *	orphan directory's inode->lock
 *	a lane				ddfs_tx_begin
 *	itable.map_lock
 *	bad.keep_lock
 *	group->media_lock		ascending, taken by commit
 *	fs->dirty_lock
 *	icache shard			itable.map_lock shared may follow
 *	layouts->lock			never with pins.held
 *	pins.held.lock
 *	group->lock | inode->tlock | pins.records.lock | bad.lock	leaves
 */
#ifndef DDFS_FS_CORE_H
#define DDFS_FS_CORE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "fs/alloc.h"
#include "fs/bad.h"
#include "fs/csum.h"
#include "fs/format.h"
#include "fs/fs.h"
#include "fs/guard.h"
#include "fs/inode.h"
#include "fs/itable.h"
#include "fs/lane.h"
#include "fs/media.h"
#include "fs/pins.h"

/* Most bytes that one read returns. */
#define DDFS_IO_MAX (1u << 20)

struct ddfs_fs {
	struct ddfs_media *media;
	const uint8_t *base;	    /* media->base */
	struct ddfs_fs_options opt; /* what remounts change is in the four below */
	atomic_bool readonly;
	atomic_bool lazytime;
	atomic_int atime;   /* enum ddfs_atime */
	atomic_int errors;  /* enum ddfs_errors */
	bool mounted;	    /* ddfs_fs_open is done */
	atomic_bool failed; /* only recovery may write now; never cleared */
	atomic_bool unsure; /* some of what is counted could not be read: never cleared */
	bool kernel_refs;   /* as opt.kernel_refs, once recovery is done */
	uint32_t csum_seed;
	uint64_t hash_seed;
	uint64_t nr_blocks;
	uint64_t data_block; /* first block behind the fixed structures */
	uint64_t end_block;  /* first block of the second superblock's pair */
	uint64_t dax_unit_bytes;
	struct ddfs_super super; /* as last read or written; protected by super_lock */
	pthread_mutex_t super_lock;
	pthread_mutex_t rename_lock;
	struct ddfs_lanes lanes;
	struct ddfs_alloc alloc;
	struct ddfs_itable itable;
	struct ddfs_icache icache;
	struct ddfs_pins pins;
	struct ddfs_bad bad;
	/* One bit a block: a tree node there has been checked since it was brought in. */
	_Atomic uint64_t *verified;
	/* One bit a chunk: some block of it may have that, so that others need not be looked at. */
	_Atomic uint64_t *node_chunks;
	struct ddfs_inode *orphans; /* the orphan directory */
	atomic_bool orphans_left;   /* some in it may have links: never cleared */
	pthread_mutex_t dirty_lock;
	struct ddfs_inode *dirty_head; /* oldest first; protected by dirty_lock */
	struct ddfs_inode *dirty_tail;
	unsigned int nr_dirty;
	struct ddfs_recovery recovery;
	const uint8_t *zeroes; /* what holes read as: DDFS_IO_MAX bytes */
};

__attribute__((format(printf, 3, 4))) void ddfs_log(
	struct ddfs_fs *fs, int priority, const char *fmt, ...);

/* A structure on media does not hold: says which, does what `errors` asks. Returns -EUCLEAN. */
__attribute__((format(printf, 2, 3))) int ddfs_corrupt(struct ddfs_fs *fs, const char *fmt, ...);

/* -EROFS on a read-only filesystem, else 0: the first thing every change asks. */
static inline int ddfs_fs_writable(struct ddfs_fs *fs)
{
	return atomic_load_explicit(&fs->readonly, memory_order_relaxed) ? -EROFS : 0;
}

/* Whether [start, start + n) lies where file data and nodes may. */
static inline bool ddfs_blocks_valid(const struct ddfs_fs *fs, uint64_t start, uint64_t n)
{
	return start >= fs->data_block && start < fs->end_block && n <= fs->end_block - start;
}

static inline uint64_t ddfs_block_off(uint64_t blk)
{
	return blk << DDFS_BLOCK_SHIFT;
}

#endif
