/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptors of one FUSE connection. An answer goes to the descriptor that its request was
 * read from, and the kernel looks for the request in one of 256 lists that the descriptor has.
 * Requests that wait for long make these lists long: with 10,000 of them on one descriptor each
 * answer to anybody took a sixth longer. So when a descriptor has some, another one is read from.
 */
#ifndef DDFS_DAEMON_CHANNEL_H
#define DDFS_DAEMON_CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define DDFS_CHANNELS_MAX 128

struct ddfs_channels {
	int fd[DDFS_CHANNELS_MAX]; /* the first is the caller's */
	atomic_uint nr;		   /* changed with lock held; those below are fixed */
	atomic_uint current;	   /* that is read from */
	pthread_mutex_t lock;	   /* a leaf */
	unsigned int nr_parked[DDFS_CHANNELS_MAX]; /* protected by lock */
};

void ddfs_channels_init(struct ddfs_channels *c, int fd);
/* Closes all but the first. */
void ddfs_channels_fini(struct ddfs_channels *c);

/* Which one to read the next request from. */
unsigned int ddfs_channels_current(struct ddfs_channels *c);

/* Of the requests read from the channel one more waits for long, or no longer. */
void ddfs_channels_park(struct ddfs_channels *c, unsigned int channel);
void ddfs_channels_unpark(struct ddfs_channels *c, unsigned int channel);

/* writev(2) to the channel. unique is the answer's. */
ssize_t ddfs_channels_writev(struct ddfs_channels *c, unsigned int channel, uint64_t unique,
	const struct iovec *iov, int count);

#endif
