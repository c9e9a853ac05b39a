/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A FUSE session: libfuse's low-level one, mounted, with what libfuse 3.14 cannot negotiate
 * negotiated behind its back. Knows nothing of the filesystem; the benchmark's floor uses it too.
 *
 *	ddfs_session_new(&ops, sizeof(ops), userdata, &params, &session);
 *	ddfs_session_mount(session);
 *	ddfs_loop_start(session, 0, &loop);		see loop.h
 *	...
 *	ddfs_session_detach(session);
 *	ddfs_loop_stop(loop);
 *	ddfs_session_delete(session);
 */
#ifndef DDFS_DAEMON_SESSION_H
#define DDFS_DAEMON_SESSION_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>

#include "src/daemon/mount.h"

struct ddfs_session;

struct ddfs_session_params {
	struct ddfs_mount_params mount; /* its strings must outlive the session */
	bool no_acl;			/* leave POSIX ACLs alone */
	bool debug;			/* libfuse prints each request to stderr */

	/* Called once by a worker, when the kernel has the answer to INIT: from then on the
	 * mount is usable. May be NULL. */
	void (*ready)(void *arg);
	void *ready_arg;
};

/* The operations get a struct ddfs_session as their request's userdata, see ddfs_session_data;
 * ops->init is not called. 0 or -errno. */
int ddfs_session_new(const struct fuse_lowlevel_ops *ops, size_t ops_size, void *data,
	const struct ddfs_session_params *params, struct ddfs_session **out);

/* Closes the connection: what still waits for an answer gets ENOTCONN. */
void ddfs_session_delete(struct ddfs_session *s);

/* Mounts, as root with mount(2), as anybody else through fusermount3. */
int ddfs_session_mount(struct ddfs_session *s);

/* The root directory of the mount, which can still be used when it is detached; -1 if it is gone
 * already. To be closed while the workers run, which they must. */
int ddfs_session_open_root(const struct ddfs_session *s);

/* Takes the mount out of the tree, lazily if it is in use, so that what is done with it ends while
 * the workers still serve. Left to ddfs_session_delete for anybody but root: libfuse closes the
 * connection first. */
void ddfs_session_detach(struct ddfs_session *s);

/* A request that was read from the channel (ddfs_request_channel) is to wait for long; it has been
 * answered. */
void ddfs_session_park(struct ddfs_session *s, unsigned int channel);
void ddfs_session_unpark(struct ddfs_session *s, unsigned int channel);

/* The data that was given to ddfs_session_new. */
void *ddfs_session_data(fuse_req_t req);

struct fuse_session *ddfs_session_fuse(struct ddfs_session *s);

/* Absolute, once mounted. */
const char *ddfs_session_mountpoint(const struct ddfs_session *s);

#endif
