/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of inodes of a mount, found by walking it.
 *
 *	ddfs_names_add(&names, ino);
 *	...
 *	ddfs_names_find(&names, "/mnt");
 *	path = ddfs_names_get(&names, ino);
 *	ddfs_names_fini(&names);
 */
#ifndef DDFS_TOOLS_DDFS_NAMES_H
#define DDFS_TOOLS_DDFS_NAMES_H

#include <stddef.h>
#include <sys/types.h>

struct ddfs_names {
	struct ddfs_name {
		ino_t ino;
		char *path; /* NULL: none was found */
	} * name;
	size_t nr, cap;
};

/* An inode that a name is wanted for; often ones count once. -ENOMEM. */
int ddfs_names_add(struct ddfs_names *names, ino_t ino);
/* Walk what is mounted at root, and nothing that is mounted below it, until all have one. Of
 * several names of an inode it is the first that is met. Directories that can't be read are passed
 * over. -errno: it could not begin. */
int ddfs_names_find(struct ddfs_names *names, const char *root);
/* NULL: it has no name, or it is not known. */
const char *ddfs_names_get(const struct ddfs_names *names, ino_t ino);
void ddfs_names_fini(struct ddfs_names *names);

#endif
