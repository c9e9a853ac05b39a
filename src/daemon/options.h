/* SPDX-License-Identifier: BSD-3-Clause */
/* Mount options, as devdaxfs(5) lists them. */
#ifndef DDFS_DAEMON_OPTIONS_H
#define DDFS_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "fs/fs.h"
#include "src/device/device.h"

struct ddfs_log;

struct ddfs_options {
	struct ddfs_fs_options fs; /* but for log, memory and clients */
	enum ddfs_persistence persistence;
	unsigned int nr_threads;   /* 0: one for each CPU */
	unsigned long mount_flags; /* MS_* for mount(2) */
	char context[1024];	   /* SELinux options, for the kernel as they are */
	bool allow_other;
	bool no_user_xattr;
	bool nonempty;
	bool remount;
	bool sloppy; /* ignore what is not known, as mount -s asks */
};

/* Everything's default for this user. */
void ddfs_options_init(struct ddfs_options *opt);

/* Apply a comma-separated list. -EINVAL after a line that names the option and says what it
 * allows; opt may be half changed then. */
int ddfs_options_parse(struct ddfs_options *opt, const char *list, struct ddfs_log *log);

/* What -EINVAL is for: an option that a remount cannot change differs. */
int ddfs_options_check_remount(
	const struct ddfs_options *now, const struct ddfs_options *wanted, struct ddfs_log *log);

#endif
