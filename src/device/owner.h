/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has a device, when its lock is taken. */
#ifndef DDFS_DEVICE_OWNER_H
#define DDFS_DEVICE_OWNER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct ddfs_source;

struct ddfs_owner {
	pid_t pid;		   /* 0: not known, since no live process is on record */
	char mountpoint[PATH_MAX]; /* "": it has it mounted nowhere (yet, or any more) */
};

/* Open-file-description locks give no pid: it comes from the mount record in the superblock, and
 * the mount point from the owner's mountinfo. fd is open for reading. */
void ddfs_owner_find(int fd, const struct ddfs_source *src, struct ddfs_owner *out);

/* Whether process pid has the device mounted; where, if so. The mount's own idea of its SOURCE
 * may be any spelling of it. file is a mountinfo, as in proc(5). */
bool ddfs_owner_find_mount(
	const char *file, const struct ddfs_source *src, char mountpoint[PATH_MAX]);

#endif
