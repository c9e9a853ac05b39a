/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The door to media (fs/media.h), implemented with libpmem2.
 *
 * What a store and a fence are is the policy's matter. A deep flush follows the device alone,
 * whatever was elided: the region's flush hints where it has some, fdatasync for a file on a
 * disk, nothing where there is nothing behind the memory (CXL, tmpfs), which is no error.
 */
#ifndef DDFS_DEVICE_DOOR_H
#define DDFS_DEVICE_DOOR_H

#include <libpmem2.h>
#include <stdint.h>

#include "fs/media.h"
#include "src/device/policy.h"
#include "src/device/turn.h"

struct ddfs_map;

struct ddfs_door {
	struct ddfs_media media; /* first: the ops are given this */
	enum ddfs_policy policy;
	uint8_t *writable; /* the other view of media.base; NULL if read-only */

	/* libpmem2's, for memory of this policy's granularity */
	pmem2_memcpy_fn memcpy_fn;
	pmem2_memset_fn memset_fn;
	pmem2_flush_fn flush_fn;
	pmem2_drain_fn drain_fn;

	int file_fd;		/* the image, if it is on a disk, else -1; the caller's */
	int hint_fd;		/* deep_flush of a region with flush hints, else -1 */
	struct ddfs_turn syncs; /* fdatasync of file_fd, for fences and deep flushes */
	struct ddfs_turn deeps;
};

/* Maps the writable view. fd and map stay the caller's and must outlive the door. */
int ddfs_door_init(struct ddfs_door *door, int fd, struct ddfs_map *map,
	const struct ddfs_source *src, enum ddfs_persistence wanted,
	const struct ddfs_listener *to);

/* One that lets nothing through: media.ops is NULL. */
void ddfs_door_init_readonly(
	struct ddfs_door *door, const struct ddfs_map *map, const struct ddfs_source *src);
void ddfs_door_fini(struct ddfs_door *door);

#endif
