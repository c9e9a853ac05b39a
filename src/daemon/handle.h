/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files: what the kernel's file handle is to us. Directories have none.
 *
 *	h = ddfs_handle_new(fi->flags);
 *	ddfs_open(ip, ...);
 *	ddfs_handle_open(&d->handles, h, ip);		the reference and the open are the handle's
 *	...
 *	ddfs_handle_close(h);
 */
#ifndef DDFS_DAEMON_HANDLE_H
#define DDFS_DAEMON_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "layout/layout.h"

struct ddfs_inode;
struct ddfs_handle_shard;
struct fuse_pollhandle;

struct ddfs_handle {
	struct ddfs_inode *ip; /* a reference, and an open counted */
	int flags;	       /* of open(2) */

	/* Nobody looks at the owner before has_pins is true; it then stays so. */
	struct ddfs_pin_owner owner;
	atomic_bool has_pins;

	pthread_mutex_t lock; /* a leaf, taken also with layouts->lock held */
	/* protected by lock */
	struct fuse_pollhandle *poll; /* whom to tell of a recall; NULL: nobody polls */

	struct ddfs_handle_shard *shard;
	LIST_ENTRY(ddfs_handle) link; /* protected by shard->lock */
};

/* All of them: what is still open at the end is never released by the kernel. */
#define DDFS_HANDLE_SHARDS 32
struct ddfs_handles {
	struct ddfs_handle_shard {
		pthread_mutex_t lock;
		LIST_HEAD(, ddfs_handle) open;
	} shards[DDFS_HANDLE_SHARDS];
};

void ddfs_handles_init(struct ddfs_handles *set);
/* Lets the pins of all open files go, as if they were closed now. */
void ddfs_handles_release(struct ddfs_handles *set);
/* Frees what was never closed. The filesystem is closed, which is what ended their pins. */
void ddfs_handles_fini(struct ddfs_handles *set);

/* NULL: no memory. */
struct ddfs_handle *ddfs_handle_new(int flags);
/* One that was never opened. */
void ddfs_handle_delete(struct ddfs_handle *h);
void ddfs_handle_open(struct ddfs_handles *set, struct ddfs_handle *h, struct ddfs_inode *ip);
/* Lets its pins go, closes the file, frees h. */
void ddfs_handle_close(struct ddfs_handle *h);

bool ddfs_handle_is_readable(const struct ddfs_handle *h);
bool ddfs_handle_is_writable(const struct ddfs_handle *h);

/* To be called before the handle's owner is given to a pin. */
void ddfs_handle_will_pin(struct ddfs_handle *h);

/* Takes ph (NULL: none): it is told when a recall comes. Whether one is pending already. */
bool ddfs_handle_poll(struct ddfs_handle *h, struct fuse_pollhandle *ph);

#endif
