/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of mkfs.devdaxfs. */
#ifndef DDFS_TOOLS_MKFS_OPTIONS_H
#define DDFS_TOOLS_MKFS_OPTIONS_H

#include <stdbool.h>

#include "fs/mkfs.h"

struct mkfs_options {
	const char *source;
	struct ddfs_mkfs fs;
	bool force;
	bool dry_run;
	bool quiet;
	bool done; /* --help or --version: nothing is left to do */
};

/* 0, or -EINVAL after saying what is wrong. */
int mkfs_options_parse(int argc, char **argv, struct mkfs_options *out);

#endif
