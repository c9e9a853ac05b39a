/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One owner a device, and its clients: open-file-description locks on single bytes of it.
 *
 *	DDFS_LOCK_OWNER			exclusive	the mounting daemon, mkfs, fsck
 *	DDFS_LOCK_CLIENTS		shared		every client with a direct mapping
 *	DDFS_LOCK_EPOCH + epoch		shared		those that pinned in the mount of that epoch
 *
 * They go with the open file description: a fork shares them, and the last close or exit lets
 * them go. They work on a device-dax character device as on a file.
 */
#ifndef DDFS_DEVICE_LOCK_H
#define DDFS_DEVICE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "src/devdaxfs_ioctl.h" /* the bytes of clients */
#include "src/device/say.h"

struct ddfs_source;

#define DDFS_LOCK_OWNER 0ull

/* Makes the open file fd the owner of src, called name by the user. An fd that is not open for
 * writing can only share it with others of its kind.
 *
 * While somebody else is: -EBUSY at once if that one has it mounted, and said with its pid and
 * mount point; also with no_wait. Otherwise it is about to go, or about to mount: waits until one
 * or the other, for at most a minute. */
int ddfs_lock_owner(int fd, bool writable, bool no_wait, const struct ddfs_source *src,
	const char *name, const struct ddfs_listener *to);

/* Whether another open file is the owner. True also if that cannot be found out. */
bool ddfs_lock_has_owner(int fd);

/* Whether any client has the device mapped. True also if that cannot be found out. */
bool ddfs_lock_has_clients(int fd);

/* Whether a client of the mount with that epoch has. Likewise. */
bool ddfs_lock_clients_alive(int fd, uint32_t epoch);

#endif
