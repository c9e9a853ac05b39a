/* SPDX-License-Identifier: BSD-3-Clause */
/* A FUSE daemon of somebody's own, which says of its one file that it lies on a device. */
#ifndef DDFS_TESTS_CLIENT_FAKE_H
#define DDFS_TESTS_CLIENT_FAKE_H

#include <stdint.h>
#include <sys/types.h>

#include "src/devdaxfs_ioctl.h"

struct fake {
	struct ddfs_ioc_info info;
	/* what any range is pinned at */
	uint64_t device_off;
	uint64_t len;
};

/* Mounts it for the user over a new file of that name, for all to use; returns that, open. It ends
 * with the calling process, whose namespace of mounts must be its own. */
int fake_mount(const char *name, uid_t user, const struct fake *fake);

#endif
