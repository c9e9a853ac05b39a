/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the passes: what each looks at. They tell what they find, and return nothing. */
#ifndef DDFS_FSCK_PASSES_H
#define DDFS_FSCK_PASSES_H

#include <stdbool.h>
#include <stdint.h>

struct fsck;
struct ddfs_inode_disk;

/* Both superblocks, both root blocks, the lanes. */
void fsck_check_supers(struct fsck *f);
/* Of the pair of superblocks: both hold and say the same. */
bool fsck_supers_agree(const struct fsck *f);

/* Pass 1. The inode table as a file; then its slots, and what files have. */
void fsck_check_table(struct fsck *f);
int fsck_check_slots(struct fsck *f);

/* What an inode has beside its names, xattrs included: claims it, and compares the count. */
void fsck_check_body(struct fsck *f, uint32_t ino, const struct ddfs_inode_disk *di);

/* Pass 2 */
int fsck_check_entries(struct fsck *f);
/* Pass 3 */
void fsck_check_reach(struct fsck *f);
/* Pass 4 */
int fsck_check_links(struct fsck *f);

/* Pass 5 */
int fsck_check_space(struct fsck *f);
void fsck_check_counts(struct fsck *f);
void fsck_check_pins(struct fsck *f);
void fsck_check_bad(struct fsck *f);

/* Reads the slot, if there is one: it may have been found bad before. */
bool fsck_read_slot(const struct fsck *f, uint32_t ino, struct ddfs_inode_disk *out);

#endif
