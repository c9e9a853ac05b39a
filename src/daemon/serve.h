/* SPDX-License-Identifier: BSD-3-Clause */
/* What the main thread does while the workers serve: signals, ticks, holders that end. */
#ifndef DDFS_DAEMON_SERVE_H
#define DDFS_DAEMON_SERVE_H

struct ddfs_daemon;

/* Serves until a signal or umount(8) ends it; then has the mount taken out of the tree, lets pins
 * go or waits for them, and ends what waits. ready, unless NULL, is called once when the mount is
 * usable. */
void ddfs_serve(struct ddfs_daemon *d, int signal_fd, void (*ready)(void *arg), void *ready_arg);

#endif
