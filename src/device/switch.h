/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing the policy of an open door.
 *
 * Where lines were not flushed and now are, those that were stored before must still be: the switch
 * flushes all that the device holds, a chunk at a time, since nothing more exact is noted. A thread
 * that is between its stores and their fence then has stored some lines by the old policy, perhaps
 * behind the switch's back; its fence sees that the door's generation has changed and flushes all
 * of that again.
 */
#ifndef DDFS_DEVICE_SWITCH_H
#define DDFS_DEVICE_SWITCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/device/device.h"

struct ddfs_door;
struct ddfs_listener;

#define DDFS_SWITCH_SHIFT 21 /* log2 of the bytes of a chunk */

/* Chunks that hold what was stored and not flushed. */
struct ddfs_switch {
	_Atomic uint64_t *chunks; /* a bit for each */
	uint64_t nr_chunks;
	atomic_ullong lines_flushed; /* by switches; the rest is in struct ddfs_store_counts */
	ddfs_device_used_fn used;    /* NULL: all of the device is */
	void *used_arg;
};

int ddfs_switch_init(struct ddfs_switch *sw, uint64_t size_bytes);
void ddfs_switch_fini(struct ddfs_switch *sw);

/* What wanted means there becomes the door's policy; all that was stored before is durable in its
 * terms on return. One caller at a time. -EOPNOTSUPP: not with this kind of device; -EROFS. The
 * sentence is said. */
int ddfs_switch_policy(struct ddfs_door *door, const struct ddfs_source *src,
	enum ddfs_persistence wanted, const struct ddfs_listener *to);

/* A range is about to be stored to, and not flushed. */
void ddfs_switch_note(struct ddfs_switch *sw, uint64_t off, size_t len);

/* Whether that was noted before: mostly. */
static inline bool ddfs_switch_is_noted(const struct ddfs_switch *sw, uint64_t off, size_t len)
{
	uint64_t c = off >> DDFS_SWITCH_SHIFT;

	return c == (off + len - 1) >> DDFS_SWITCH_SHIFT &&
	       atomic_load_explicit(&sw->chunks[c / 64], memory_order_relaxed) >> c % 64 & 1;
}

/* The calling thread's stores may have been made before a switch. */
void ddfs_switch_catch_up(struct ddfs_door *door);

#endif
