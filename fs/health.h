/* SPDX-License-Identifier: BSD-3-Clause */
/* What the device says of itself, against what it said at the mount before. */
#ifndef DDFS_FS_HEALTH_H
#define DDFS_FS_HEALTH_H

struct ddfs_fs;
struct ddfs_super;

/* Finds out what has become of the filesystem since its last mount, for fs->recovery. To be called
 * with the superblock as that mount left it. */
void ddfs_health_look(struct ddfs_fs *fs);

/* Says so, and what recovery did about it. */
void ddfs_health_report(struct ddfs_fs *fs);

/* Records what the device says now; super_lock is held. */
void ddfs_health_record(const struct ddfs_fs *fs, struct ddfs_super *s);

#endif
