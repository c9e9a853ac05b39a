/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon of one mount: device, filesystem, session and workers, from start to end. */
#ifndef DDFS_DAEMON_DAEMON_H
#define DDFS_DAEMON_DAEMON_H

#include <pthread.h>
#include <stdbool.h>

#include "src/daemon/dircache.h"
#include "src/daemon/estale.h"
#include "src/daemon/handle.h"
#include "src/daemon/log.h"
#include "src/daemon/options.h"

struct ddfs_daemon {
	struct ddfs_log log;
	const char *source;
	const char *target;
	bool debug;

	struct ddfs_device *device;
	struct ddfs_fs *fs;
	struct ddfs_session *session;
	struct ddfs_loop *loop; /* NULL until the workers are running */
	struct ddfs_jobs *jobs;
	struct ddfs_handles handles;
	struct ddfs_dircache dircache;
	struct ddfs_estale estale;
	int ready_fd; /* eventfd: the kernel has the answer to INIT */

	pthread_mutex_t remount_lock;
	struct ddfs_options options; /* fs, mount_flags and persistence protected by remount_lock */
};

/* Mounts and serves until a signal or umount(8) ends it. ready, unless NULL, is called once when
 * the mount is usable. 0 after a clean end, else -errno with the reason logged. */
int ddfs_daemon_run(struct ddfs_daemon *d, void (*ready)(void *arg), void *ready_arg);

/* Changes what a persist is; -errno as ddfs_device_set_persistence, logged. */
int ddfs_daemon_set_persistence(struct ddfs_daemon *d, enum ddfs_persistence wanted);

/* The daemon's half of a remount. */
int ddfs_daemon_remount(struct ddfs_daemon *d, const char *options);

#endif
