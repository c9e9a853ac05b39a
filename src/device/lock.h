/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One owner a device: open-file-description locks on single bytes of it.
 *
 * They go with the open file description: a fork shares them, and the last close or exit lets
 * them go. They work on a device-dax character device as on a file.
 */
#ifndef DDFS_DEVICE_LOCK_H
#define DDFS_DEVICE_LOCK_H

#include <stdbool.h>

#include "src/device/say.h"

struct ddfs_source;

/* Which byte means what. */
enum ddfs_lock_byte {
	DDFS_LOCK_OWNER = 0,   /* exclusive: the mounting daemon, mkfs, fsck */
	DDFS_LOCK_CLIENTS = 1, /* shared: every client with a direct mapping */
};

/* Makes the open file fd the owner of src, called name by the user. An fd that is not open for
 * writing can only share it with others of its kind.
 *
 * While somebody else is: -EBUSY at once if that one has it mounted, and said with its pid and
 * mount point; also with no_wait. Otherwise it is about to go, or about to mount: waits until one
 * or the other, for at most a minute. */
int ddfs_lock_owner(int fd, bool writable, bool no_wait, const struct ddfs_source *src,
	const char *name, const struct ddfs_listener *to);

#endif
