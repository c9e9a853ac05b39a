/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The repairs: what a round of the passes has noted, made right.
 *
 * Each store goes through the door and is drained before what refers to it. From before the first
 * one until the end the filesystem is marked as not cleanly unmounted, so that a mount in between
 * believes no counts. New blocks come from those that nothing claims.
 */
#ifndef DDFS_FSCK_REPAIR_H
#define DDFS_FSCK_REPAIR_H

struct fsck;

/* Before the image is opened for the first round: superblocks, lanes (replayed, torn ones cleared),
 * root blocks, the inode table's map. Preening: only what a crash leaves. Sets out->was_clean and
 * nr_lanes_replayed. The errors of ddfs_image_open come back untold. */
int fsck_repair_start(struct fsck *f);

/* After a round that found something: the inodes, by their flags; names, lost+found; when there is
 * nothing of that left to do, bitmaps and counts from what is claimed. 1: something was changed,
 * look again; 0: nothing more can be repaired; -ENOMEM, -EIO. */
int fsck_repair(struct fsck *f);

/* After the last round: mark it clean, with the counts that a clean one has, unless it is marked so
 * and nothing was stored, or problems are left (nr_round); deep flush. */
int fsck_repair_finish(struct fsck *f);

#endif
