/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A count of those who need a thing to live on, which can be made to come to an end: the kernel's
 * percpu_ref. Part of the thing; see layout/pagemap.h for what the functions promise.
 */
#ifndef DDFS_LAYOUT_LIVE_H
#define DDFS_LAYOUT_LIVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ddfs_live {
	_Atomic uint64_t word; /* the top bit: dying; the rest: references */
	pthread_mutex_t lock;  /* of the last put against drain */
	pthread_cond_t last;   /* dying, and no reference is left */
};

int ddfs_live_init(struct ddfs_live *live); /* -ENOMEM */
/* No reference is left. */
void ddfs_live_fini(struct ddfs_live *live);

bool ddfs_live_tryget(struct ddfs_live *live);
void ddfs_live_put(struct ddfs_live *live);
void ddfs_live_kill(struct ddfs_live *live);
bool ddfs_live_is_dying(const struct ddfs_live *live);
int ddfs_live_drain(struct ddfs_live *live, int timeout_msec);

#endif
