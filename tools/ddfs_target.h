/* SPDX-License-Identifier: BSD-3-Clause */
/* What a command was named: a file on a mounted devdaxfs, or its mount point. */
#ifndef DDFS_TOOLS_DDFS_TARGET_H
#define DDFS_TOOLS_DDFS_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "src/devdaxfs_ioctl.h"

struct ddfs_target {
	const char *path; /* as it was named */
	int fd;		  /* open for reading */
	struct stat st;
	struct ddfs_ioc_info info;
};

/* -errno after saying what is wrong. */
int ddfs_target_open(const char *path, struct ddfs_target *out);
void ddfs_target_close(struct ddfs_target *t);

/* The root directory of its mount, by the same name for messages; to be closed. -errno, and nothing
 * is said. */
int ddfs_target_open_root(const struct ddfs_target *t, struct ddfs_target *out);

/* An ioctl(2) of it: 0 or -errno. */
int ddfs_target_ioctl(const struct ddfs_target *t, unsigned long request, void *arg);

/* One line on standard error: the target, and why. */
void ddfs_target_complain(const struct ddfs_target *t, const char *why);

struct ddfs_node_name {
	char text[PATH_MAX]; /* a path, or "inode N" if no name can be found out */
	bool unlinked;	     /* it has none any more; text may be the last one */
};
/* How the node (generation << 32 | inode number) of the target's mount is called. The kernel knows
 * the names of files that are open; to ask it takes CAP_DAC_READ_SEARCH. */
void ddfs_target_name(const struct ddfs_target *t, uint64_t node, struct ddfs_node_name *out);

#endif
