/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a directory can be mounted on. */
#ifndef DDFS_DAEMON_TARGET_H
#define DDFS_DAEMON_TARGET_H

#include <stdbool.h>

struct ddfs_log;

/* An empty directory, or with nonempty any. What a killed devdaxfs of the same source has left
 * mounted there is unmounted. Else -errno with the reason, and what to do, logged. */
int ddfs_target_check(const char *target, const char *source, bool nonempty, struct ddfs_log *log);

#endif
