/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pins of a filesystem: its pagemap, its layouts, and what is recorded of them.
 *
 * A pin of a file holds a reference to its inode, so that the inode stays in memory and its
 * struct ddfs_layout with it. What an unlinked file has is freed when its last pin ends, as when
 * its last open file is closed.
 */
#ifndef DDFS_FS_PINS_H
#define DDFS_FS_PINS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/held.h"
#include "fs/pin_record.h"
#include "layout/layout.h"

struct ddfs_fs;
struct ddfs_inode;
struct ddfs_file_extent;

struct ddfs_pins {
	struct ddfs_pagemap *pagemap; /* of the whole device: a block is a page */
	struct ddfs_pagemaps set;     /* it alone */
	struct ddfs_layouts *layouts;
	struct ddfs_layout strays; /* of pins that no file answers for */
	struct ddfs_held held;
	struct ddfs_pin_records records;
	atomic_ulong nr;	 /* pins that are there or being made */
	_Atomic uint32_t mounts; /* writable ones, this one included: see ddfs_fs_epoch */
	atomic_bool frozen;	 /* a remount is under way: none is made */
	bool abandoned;		 /* unmounting: what is left is the next mount's */
	bool map_on_device;	 /* the pagemap's storage; fixed */
	/* of earlier mounts: what came back when they ended; changed by the tick alone */
	uint64_t nr_pages_back, nr_blocks_freed;
};

/* pin->priv: where the pin is recorded, and what of its range it does not hold. */
struct ddfs_pin_priv {
	uint32_t nr_slots, nr_gaps;
	uint32_t *slots; /* NULL: not recorded */
	struct ddfs_file_extent *gaps;
};
void ddfs_pin_priv_delete(struct ddfs_pin_priv *priv);

/* Before the first inode is brought in. -EINVAL: the pagemap is wanted on the device, where there
 * is no room for it. */
int ddfs_pins_init(struct ddfs_fs *fs);
void ddfs_pins_fini(struct ddfs_fs *fs);

/* A writable mount begins: take over what clients of earlier mounts hold, forget what they held.
 * Before orphans are freed. */
int ddfs_pins_recover(struct ddfs_fs *fs);
/* Before that: pins of read-only mounts are not recorded, and carry the epoch that comes next,
 * which is ours. -EBUSY if clients of one are left. */
int ddfs_pins_check_epoch(struct ddfs_fs *fs);
/* It ends: no pin can be made any more. Those that are left stay recorded. */
void ddfs_pins_kill(struct ddfs_fs *fs);
void ddfs_pins_abandon(struct ddfs_fs *fs);

/* A pin is about to be made, or has not been. -ESTALE: not now. */
int ddfs_pins_begin_one(struct ddfs_fs *fs);
void ddfs_pins_cancel_one(struct ddfs_fs *fs);
/* The mount becomes writable, or ceases to be: there is no pin, and from here to ddfs_pins_thaw
 * none is made, since it might be recorded or not. -EBUSY: there is one. */
int ddfs_pins_freeze(struct ddfs_fs *fs);
void ddfs_pins_thaw(struct ddfs_fs *fs);

/* A pin's record callback: one record for each run. arg is the filesystem. */
int ddfs_pin_store_records(struct ddfs_pin *pin, void *arg);

/* Somebody has it open or pinned. Its lock is held: with that exclusive, false stays false. */
bool ddfs_inode_in_use(const struct ddfs_inode *ip);

#endif
