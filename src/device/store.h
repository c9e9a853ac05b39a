/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The door's stores and fences: copy, set, flush and drain of struct ddfs_media_ops.
 *
 * What each does follows the policy of that moment (src/device/policy.h), which may change while
 * threads are between a store and their fence (src/device/switch.h).
 */
#ifndef DDFS_DEVICE_STORE_H
#define DDFS_DEVICE_STORE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ddfs_door;
struct ddfs_media;

#define DDFS_LINE_BYTES UINT64_C(64)

/* What threads have done, for struct ddfs_media_stats: an atomic addition takes as long as a small
 * store, so that each thread counts in a place of its own. */
#define DDFS_STORE_SHARDS 64
struct ddfs_store_counts {
	_Alignas(DDFS_LINE_BYTES) atomic_ullong bytes_stored;
	atomic_ullong lines_flushed;
	atomic_ullong lines_elided;
	atomic_ullong fences;
};

void ddfs_store_copy(struct ddfs_media *m, uint64_t off, const void *src, size_t len);
void ddfs_store_set(struct ddfs_media *m, uint64_t off, int c, size_t len);
void ddfs_store_flush(struct ddfs_media *m, uint64_t off, size_t len);
int ddfs_store_drain(struct ddfs_media *m);

/* Sums what was counted up into the door's media.stats. */
void ddfs_store_sum(struct ddfs_door *door);

/* The door closes: the calling thread's stores to it wait for nothing any more. Other threads have
 * drained theirs, or store to no other door. */
void ddfs_store_forget(const struct ddfs_door *door);

#endif
