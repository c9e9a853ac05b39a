/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that is there when it is whole, and else not at all.
 *
 *	ddfs_newfile_open("dump", &f);
 *	... write to f.fd
 *	ddfs_newfile_keep(&f) or ddfs_newfile_drop(&f);
 */
#ifndef DDFS_TOOLS_DDFS_NEWFILE_H
#define DDFS_TOOLS_DDFS_NEWFILE_H

#include <stdbool.h>

struct ddfs_newfile {
	const char *path;
	int fd;
	bool named; /* already: where files without a name can't be made */
};

/* For the caller alone to read. -EEXIST. Each says what is wrong. */
int ddfs_newfile_open(const char *path, struct ddfs_newfile *out);
int ddfs_newfile_keep(struct ddfs_newfile *f);
void ddfs_newfile_drop(struct ddfs_newfile *f);

#endif
