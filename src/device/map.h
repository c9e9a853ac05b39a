/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two views of a device, through libpmem2: one that everybody reads, one that only the door
 * stores to.
 */
#ifndef DDFS_DEVICE_MAP_H
#define DDFS_DEVICE_MAP_H

#include <libpmem2.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/device/say.h"

struct ddfs_source;

#define DDFS_HEAD_BYTES 4096 /* what ddfs_probe_super wants */

struct ddfs_map {
	struct pmem2_source *source;
	struct pmem2_map *readable;
	struct pmem2_map *writable; /* NULL if opened read-only */
};

/* Maps the readable view. fd may be closed once the map is gone. -ENOMEM, -EACCES, ...; the
 * sentence is said. */
int ddfs_map_init(struct ddfs_map *map, int fd, const struct ddfs_source *src,
	const struct ddfs_listener *to);

/* Maps the writable view, for which fd must be open. */
int ddfs_map_writable(
	struct ddfs_map *map, const struct ddfs_source *src, const struct ddfs_listener *to);

/* libpmem2's functions for memory of one granularity: the same for every map of it. */
struct ddfs_map_functions {
	pmem2_memcpy_fn memcpy;
	pmem2_memset_fn memset;
	pmem2_flush_fn flush;
	pmem2_drain_fn drain;
};
/* Those of a granularity, whatever libpmem2 would choose for this map by itself. Changes the
 * environment for a moment: no other thread may be reading it. */
int ddfs_map_functions(struct ddfs_map *map, const struct ddfs_source *src,
	enum pmem2_granularity granularity, struct ddfs_map_functions *out,
	const struct ddfs_listener *to);

void ddfs_map_fini(struct ddfs_map *map);

/* The first DDFS_HEAD_BYTES of an open device into head. -EINVAL if it is smaller; -EIO: they are
 * poisoned. */
int ddfs_map_read_head(int fd, const struct ddfs_source *src, void *head);
/* As many from off on, a multiple of that. */
int ddfs_map_read_block(int fd, const struct ddfs_source *src, uint64_t off, void *block);

/* What libpmem2 returned as 0 or -errno. It declares such a function but does not export it. */
int ddfs_pmem2_errno(int ret);

#endif
