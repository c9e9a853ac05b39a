/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of fsck.devdaxfs. */
#ifndef DDFS_TOOLS_FSCK_OPTIONS_H
#define DDFS_TOOLS_FSCK_OPTIONS_H

#include <stdbool.h>

#include "fsck/fsck.h"

#define FSCK_NO_PROGRESS (-1)

struct fsck_options {
	const char *source;
	enum ddfs_fsck_mode mode;
	bool has_mode; /* it was given: nobody is to be asked */
	bool force, verbose;
	int progress_fd; /* 0: a bar, on the terminal */
	bool done;	 /* -V or -h: nothing else is to be done */
};

/* -EINVAL, and says why. */
int fsck_options_parse(int argc, char **argv, struct fsck_options *out);

#endif
