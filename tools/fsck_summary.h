/* SPDX-License-Identifier: BSD-3-Clause */
/* What fsck.devdaxfs prints at its end. */
#ifndef DDFS_TOOLS_FSCK_SUMMARY_H
#define DDFS_TOOLS_FSCK_SUMMARY_H

#include <stdbool.h>

struct ddfs_fsck_result;
struct fsck_options;

/* err: what the run returned. */
void fsck_summary_print(
	const struct fsck_options *o, const char *name, int err, const struct ddfs_fsck_result *r);

/* Whether it did more than look. */
bool fsck_summary_is_modified(const struct fsck_options *o, const struct ddfs_fsck_result *r);

#endif
