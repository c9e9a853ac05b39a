/* SPDX-License-Identifier: BSD-3-Clause */
/* mount -o remount: the kernel's half by mount(2), the daemon's by ioctl on the mount's root. */
#ifndef DDFS_DAEMON_REMOUNT_H
#define DDFS_DAEMON_REMOUNT_H

struct ddfs_options;

/* list is what opt was parsed from. 0 or -errno, the reason printed to stderr. */
int ddfs_remount(const char *target, const struct ddfs_options *opt, const char *list);

#endif
