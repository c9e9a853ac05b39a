/* SPDX-License-Identifier: BSD-3-Clause */
/* Lanes: where a transaction writes what it is about to do, so that a crash does all or nothing. */
#ifndef DDFS_FS_LANE_H
#define DDFS_FS_LANE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ddfs_fs;
struct ddfs_tx;

struct ddfs_lanes {
	uint64_t off; /* bytes */
	unsigned int nr;
	uint64_t usable;       /* a bit each: can be read; fixed once mounted */
	_Atomic uint64_t free; /* a bit each */
	_Atomic unsigned int waiters;
	atomic_ullong seq;
	pthread_mutex_t lock; /* for those who wait for a lane */
	pthread_cond_t freed;
	struct ddfs_tx **tx; /* of each lane; allocated at first use, by its holder */
};

int ddfs_lanes_init(struct ddfs_fs *fs);
void ddfs_lanes_fini(struct ddfs_fs *fs);

/* Take a lane, waiting for one if need be; whoever holds one waits for no inode lock. */
unsigned int ddfs_lane_get(struct ddfs_lanes *l);
void ddfs_lane_put(struct ddfs_lanes *l, unsigned int lane);

/* Make image (a header's room and nr_bytes of records) durable in the lane: on return the
 * transaction has happened. */
int ddfs_lane_publish(struct ddfs_fs *fs, unsigned int lane, uint8_t *image, uint32_t nr_bytes,
	uint32_t nr_records);
/* Store the records where they belong, then empty the lane. */
int ddfs_lane_apply(struct ddfs_fs *fs, unsigned int lane, const uint8_t *image);

/* Replay what is committed. -EUCLEAN if a lane makes no sense; -EIO if one can't be read, but on a
 * read-only mount, which then stays so. With dry_run only count. */
int ddfs_lanes_recover(struct ddfs_fs *fs, bool dry_run, uint32_t *nr_replayed);

/* All lanes are empty: those that recovery could not read after a crash are cleared, or not used.
 * -EIO: none is left. */
int ddfs_lanes_check(struct ddfs_fs *fs);

#endif
