/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workers of a session: each receives a request, carries it out, answers it, and receives the
 * next. There is no queue and no hand-over between them, since a wake-up on another CPU costs more
 * than most requests do.
 */
#ifndef DDFS_DAEMON_LOOP_H
#define DDFS_DAEMON_LOOP_H

#include <stdint.h>

struct ddfs_loop;
struct ddfs_session;

/* FUSE opcodes are below this. */
#define DDFS_LOOP_OPCODES 64

/* Start the workers of a mounted session; nr_threads 0: one on each CPU that the process may run
 * on. They inherit the caller's signal mask, which blocks whatever is meant for somebody else, but
 * not SIGUSR2, which wakes them. *out is set before the first of them runs, and is NULL after a
 * failure. 0 or -errno. */
int ddfs_loop_start(struct ddfs_session *s, unsigned int nr_threads, struct ddfs_loop **out);

/* Becomes readable when a worker has ended by itself: the filesystem was unmounted, or the
 * connection failed. */
int ddfs_loop_fd(const struct ddfs_loop *loop);

/* Wait until each worker has answered what it is working on and has ended. Frees the loop. */
void ddfs_loop_stop(struct ddfs_loop *loop);

unsigned int ddfs_loop_threads(const struct ddfs_loop *loop);

/* Requests received so far, by opcode; added to out. */
void ddfs_loop_requests(const struct ddfs_loop *loop, uint64_t out[DDFS_LOOP_OPCODES]);

#endif
