/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on one name of a directory. Names are a letter and a number; operations that make
 * names make "n", those that change names take "n" and leave "r", those that remove take "r". */
#ifndef DDFS_BENCH_NAMES_H
#define DDFS_BENCH_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct names_op {
	const char *name;
	/* dir is open, n the number. 0 or -errno. */
	int (*run)(int dir, uint64_t n);
};

/* NULL if there is none of the name. */
const struct names_op *names_op_find(const char *name);

/* Open a directory, which is made if it is not there. */
int names_dir(const char *path);

#endif
