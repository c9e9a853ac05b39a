/* SPDX-License-Identifier: BSD-3-Clause */
/* The passes: one round of looking, without a store. */
#ifndef DDFS_FSCK_CHECK_H
#define DDFS_FSCK_CHECK_H

#include <stdbool.h>

struct fsck;

/* All passes, from nothing known. Fills inode[], the claims and *out. -ENOMEM, -EINTR. */
int fsck_check(struct fsck *f);
void fsck_check_fini(struct fsck *f);

/* Whether it says so itself, and what says so holds; fills in the counts of *out that it has. */
bool fsck_check_is_clean(struct fsck *f);

#endif
