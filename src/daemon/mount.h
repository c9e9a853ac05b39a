/* SPDX-License-Identifier: BSD-3-Clause */
/* Mount points: looking at one, mounting FUSE there as root, letting go of it. */
#ifndef DDFS_DAEMON_MOUNT_H
#define DDFS_DAEMON_MOUNT_H

#include <stdbool.h>
#include <stddef.h>

#define DDFS_MOUNT_TYPE "fuse.devdaxfs"

struct ddfs_mount_params {
	const char *source; /* as /proc/mounts shows it, whatever characters are in it */
	const char *target;
	unsigned long flags;	/* MS_* */
	const char *extra_data; /* further options for the kernel, or NULL */
	bool allow_other;
};

/* Opens /dev/fuse and mounts it on a directory; needs CAP_SYS_ADMIN. The descriptor of the
 * connection leaves through fd. Negative errno of the step that failed. */
int ddfs_mount(const struct ddfs_mount_params *p, int *fd);

enum ddfs_mount_state {
	DDFS_MOUNT_READY,     /* an empty directory */
	DDFS_MOUNT_NOT_EMPTY, /* a directory with something in it */
	DDFS_MOUNT_DEAD,      /* a FUSE mount whose daemon is gone */
};
/* What a mount would find at target. -ENOENT, -ENOTDIR, -EACCES, ... */
int ddfs_mount_look(const char *target, enum ddfs_mount_state *out);

/* Lazily unmounts the topmost mount at target if it is a devdaxfs of source; for use when it is
 * DDFS_MOUNT_DEAD. -ENOENT if something else is mounted there. */
int ddfs_mount_clear(const char *target, const char *source);

/* The absolute path of target with links and dots resolved, also if a dead mount lies there; to be
 * freed. NULL and errno on failure. */
char *ddfs_mount_path(const char *target);

/* Identity of the mount at an absolute path, for ddfs_mount_detach to recognise. 0 if unknown. */
unsigned long long ddfs_mount_id(const char *path);

/* The root directory of the mount at path, if it is still the one with this id; -1: not, or errno.
 * The session must be served meanwhile. */
int ddfs_mount_open(const char *path, unsigned long long id);

/* Lazily unmounts path if the mount there is still the one with this id. */
void ddfs_mount_detach(const char *path, unsigned long long id);

#endif
