/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who mounted a filesystem. Any user can mount one with a daemon of his own, which says of its
 * files what he likes: that they lie on a device which is not his, at blocks of his choice. So what
 * a daemon says counts only if whoever mounted it could reach the device himself.
 */
#ifndef DDFS_CLIENT_MOUNT_H
#define DDFS_CLIENT_MOUNT_H

#include <sys/types.h>

/* 0 if the filesystem whose files have that st_dev was mounted by root, by the user that this
 * process runs as, or by owner, which is the device's. -EACCES, with the sentence: by somebody
 * else, or that cannot be told. */
int ddfs_client_mount_check(dev_t mount, uid_t owner);

#endif
