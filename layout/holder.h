/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that holds pins, known by a pidfd taken when it first pinned: a reused pid is never
 * mistaken for it, nor killed in its place.
 *
 *	err = ddfs_holders_get(holders, tid, &h);	the process that thread tid belongs to
 *	ddfs_holder_put(h);
 *
 * poll(2) ddfs_holders_fd() for POLLIN; then ddfs_holders_collect() gives the holders that are
 * wholly gone since, one a call.
 */
#ifndef DDFS_LAYOUT_HOLDER_H
#define DDFS_LAYOUT_HOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ddfs_holder;
struct ddfs_holders;

int ddfs_holders_new(struct ddfs_holders **out);
/* Every holder has been put. */
void ddfs_holders_delete(struct ddfs_holders *hs);

/* The process of thread tid, which the caller knows to be alive: it waits for our answer. A
 * reference. A thread that has pinned before costs two system calls that only look, a new one
 * reads /proc. -ESRCH: there is none, or it is in a pid namespace that we do not see (tid 0). */
int ddfs_holders_get(struct ddfs_holders *hs, pid_t tid, struct ddfs_holder **out);
void ddfs_holder_get(struct ddfs_holder *h);
void ddfs_holder_put(struct ddfs_holder *h);

pid_t ddfs_holder_pid(const struct ddfs_holder *h); /* of the process */
/* Its program as /proc/PID/comm said when it was first seen; at most 15 bytes, terminated. */
const char *ddfs_holder_comm(const struct ddfs_holder *h);

/* How many of its pins are recalled: kept by the layouts, protected by their lock. */
unsigned int *ddfs_holder_nr_recalled(struct ddfs_holder *h);

/* Its pidfd reads ready: no thread of it is left, all it had open is closed. */
bool ddfs_holder_is_gone(const struct ddfs_holder *h);
/* It is exiting, or gone: every thread of it exits or is killed, by a signal or by another's exit,
 * so that files which close now close for that reason. In doubt true. Reads /proc. */
bool ddfs_holder_is_dying(const struct ddfs_holder *h);
/* SIGKILL by pidfd. -ESRCH: gone already. -EPERM: also if it is ourselves. */
int ddfs_holder_kill(struct ddfs_holder *h);

/* An epoll descriptor: readable when some holder is gone that has not been collected. */
int ddfs_holders_fd(const struct ddfs_holders *hs);
/* One such holder, with a reference; NULL: none. Each holder is given once. */
struct ddfs_holder *ddfs_holders_collect(struct ddfs_holders *hs);

#endif
