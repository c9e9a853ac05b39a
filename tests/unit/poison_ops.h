/* SPDX-License-Identifier: BSD-3-Clause */
/* Every public operation of fs/, on whatever objects the image of poison_stage.h has. */
#ifndef DDFS_TEST_POISON_OPS_H
#define DDFS_TEST_POISON_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"

/* What an operation is given. */
struct poison_target {
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
	const char *name;	/* in root */
	struct ddfs_inode *ip;	/* what it leads to; NULL: that can't be brought in */
	struct ddfs_inode *dir; /* another directory, likewise */
	unsigned int round;	/* names that are made differ */
};

struct poison_op {
	const char *name;
	int64_t (*run)(struct poison_target *t);
	bool steps; /* more than one transaction, or none that need be whole */
};
extern const struct poison_op poison_ops[];
extern const unsigned int poison_nr_ops;

/* Of root: what the image has. */
extern const char *const poison_names[];
extern const unsigned int poison_nr_names;

/* Fails the test if something can't be removed. */
void poison_remove_all(struct ddfs_inode *dir);

#endif
