/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device that a mount lies on, opened by this process itself: the permissions of the device
 * decide who may map it, and the daemon hands nothing out. It may be anywhere, so what is opened is
 * believed only if it is the very device, by number, with the very filesystem on it. And who says
 * which one it is, a daemon, is believed only if mount.h trusts who mounted it.
 *
 * Leases of one mount share it, and with it the two locks by which the filesystem knows that
 * somebody may still reach the pages.
 */
#ifndef DDFS_CLIENT_DEVICE_H
#define DDFS_CLIENT_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct ddfs_ioc_info;

struct ddfs_client_device {
	int fd;	       /* carries the locks; -1 in a forked child */
	int inherited; /* in a forked child: its copy of fd */
	/* st_dev of the mount's files, so that what one mount was trusted with is not had by
	 * another that claims to be it. The number is not another mount's while this is here: each
	 * lease has its file open from before it has the device until after, and that keeps the
	 * superblock, lazily unmounted or not. */
	dev_t mount;
	bool writable;
	uint8_t uuid[16];
	uint32_t epoch;
	uint64_t number; /* st_rdev, or st_dev of the image */
	uint64_t inode;	 /* of the image, 0 for a device */
	uint64_t size_bytes;
	uint64_t align_bytes; /* of what mmap(2) takes */

	/* protected by the process's lock */
	unsigned int nr_users;
	LIST_ENTRY(ddfs_client_device) of_process;
};

/* The device of the mount that file is on, which says info of it, for a user more. file stays open
 * until that is put. -EACCES, -ENODEV: none is found that is the mount's, or who mounted it is not
 * trusted with it; -EBUSY, -ENOMEM, ...; with the sentence. */
int ddfs_client_device_get(
	int file, const struct ddfs_ioc_info *info, bool writable, struct ddfs_client_device **out);
/* NULL is allowed. */
void ddfs_client_device_put(struct ddfs_client_device *device);

/* In a forked child: the locks and the memory stay with the orphaned leases. */
void ddfs_client_device_orphan(struct ddfs_client_device *device);

/* Opens what fd is open on once more, as an open file of its own. -errno; -ENOENT also where /proc
 * is not mounted. */
int ddfs_client_reopen(int fd, int flags);

#endif
