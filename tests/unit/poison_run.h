/* SPDX-License-Identifier: BSD-3-Clause */
/* All operations of poison_ops.h on all objects of a mounted image, and what they may say. */
#ifndef DDFS_TEST_POISON_RUN_H
#define DDFS_TEST_POISON_RUN_H

#include "tests/unit/poison_ops.h"
#include "tests/unit/poison_stage.h"

#define POISON_NAMES_MAX 16

struct poison_world {
	struct poison_stage *s;
	struct ddfs_fs *fs;
	struct ddfs_inode *root, *dir;
	struct ddfs_inode *ip[POISON_NAMES_MAX]; /* of poison_names */
	unsigned int round;
	bool poisoned; /* -EIO is an answer */
	/* Around each operation; NULL: nothing. */
	void (*before)(struct poison_world *w);
	void (*after)(struct poison_world *w);
};

/* References to all objects that can be had, which poison_world_close puts. */
void poison_world_open(struct poison_world *w);
void poison_world_close(struct poison_world *w);

void poison_run_all(struct poison_world *w);

#endif
