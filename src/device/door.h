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

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/media.h"
#include "src/device/map.h"
#include "src/device/poison.h"
#include "src/device/policy.h"
#include "src/device/store.h"
#include "src/device/switch.h"
#include "src/device/turn.h"

struct ddfs_door {
	struct ddfs_media media; /* first: the ops are given this */
	_Atomic enum ddfs_policy policy;
	atomic_uint generation; /* how often it has changed; see src/device/switch.h */
	uint8_t *writable;	/* the other view of media.base; NULL if read-only */

	struct ddfs_map_functions flushed, elided;
	enum pmem2_granularity granularity; /* that libpmem2 finds; what "auto" goes by */
	bool in_memory;			    /* an image that has no disk behind it */

	int file_fd;		/* the image, if it is on a disk, else -1; the caller's */
	int hint_fd;		/* deep_flush of a region with flush hints, else -1 */
	struct ddfs_turn syncs; /* fdatasync of file_fd, for fences and deep flushes */
	struct ddfs_turn deeps;
	struct ddfs_turn catch_ups;
	struct ddfs_switch sw;
	struct ddfs_device_poison poison;
	struct ddfs_store_counts counts[DDFS_STORE_SHARDS];
};

static inline enum ddfs_policy ddfs_door_policy(const struct ddfs_door *door)
{
	return atomic_load_explicit(&door->policy, memory_order_relaxed);
}

/* Maps the writable view. fd and map stay the caller's and must outlive the door. */
int ddfs_door_init(struct ddfs_door *door, int fd, struct ddfs_map *map,
	const struct ddfs_source *src, enum ddfs_persistence wanted,
	const struct ddfs_listener *to);

/* One that lets no store through: media.ops has none. */
void ddfs_door_init_readonly(
	struct ddfs_door *door, const struct ddfs_map *map, const struct ddfs_source *src);
void ddfs_door_fini(struct ddfs_door *door);

/* What is in the page cache of the image goes to its disk. 0 or -EIO. */
int ddfs_door_sync_file(const struct ddfs_door *door);

#endif
