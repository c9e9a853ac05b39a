/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that are kept for who lost a race for them.
 *
 * The kernel looks a name up and then opens what it has found by its number, or reads its link, or
 * changes it. If the last name goes in between, so has the inode, and the answer is ESTALE. The
 * kernel then looks the name up once more, but gives up when that happens twice. So, for a while
 * behind such an answer, what is looked up is opened as well: if it is removed it lives on as an
 * orphan, and who comes back finds it.
 */
#ifndef DDFS_DAEMON_ESTALE_H
#define DDFS_DAEMON_ESTALE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"

/* How many are kept: when there are more, the one kept longest is let go. */
#define DDFS_ESTALE_KEPT 256u

struct ddfs_estale {
	_Atomic int64_t until; /* what is looked up by then is kept; CLOCK_MONOTONIC, ms */

	pthread_mutex_t lock;
	/* protected by lock */
	struct ddfs_estale_kept {
		struct ddfs_inode *ip; /* a reference, and an open counted; NULL: free */
		int64_t until;
	} kept[DDFS_ESTALE_KEPT]; /* a ring, next being the oldest */
	unsigned int next;
};

void ddfs_estale_init(struct ddfs_estale *e);
/* Lets go of all. */
void ddfs_estale_fini(struct ddfs_estale *e);

/* Somebody was told that an inode has gone. */
void ddfs_estale_told(struct ddfs_estale *e);
/* Whether what is looked up is to be kept now. */
bool ddfs_estale_is_wanted(struct ddfs_estale *e);
/* Keeps it for a second or two. -ESTALE: it has gone already. */
int ddfs_estale_keep(struct ddfs_estale *e, struct ddfs_fs *fs, ddfs_id id);
/* To be called about once a second: lets go of what was kept long enough. */
void ddfs_estale_tick(struct ddfs_estale *e);
/* Lets go of all, where it matters whether a file is open, or freed once it is removed. */
void ddfs_estale_let_go(struct ddfs_estale *e);

#endif
