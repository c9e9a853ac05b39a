/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What signal handlers look at. They cannot take a lock that the thread they interrupt may hold, so
 * they are counted instead: what is taken out of their sight is freed once none of them, begun
 * before that, is at it.
 */
#ifndef DDFS_CLIENT_READERS_H
#define DDFS_CLIENT_READERS_H

/* In front of what is freed that way. */
struct ddfs_client_retired {
	struct ddfs_client_retired *next;
};

/* Around a look, in any context; short, and with no jump out of it. Pointers are loaded in it by
 * atomic_load. */
void ddfs_client_readers_enter(void);
void ddfs_client_readers_leave(void);

/* With the process's lock held: no reader can find r, the start of what malloc(3) gave, any more.
 * NULL is allowed. */
void ddfs_client_readers_retire(struct ddfs_client_retired *r);

/* In a forked child: no other thread's look goes on here. */
void ddfs_client_readers_orphan(void);

#endif
