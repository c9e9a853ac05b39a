/* SPDX-License-Identifier: BSD-3-Clause */
/* A number for all that a user can see of a filesystem, but for times and allocation. */
#ifndef DDFS_TEST_DIGEST_H
#define DDFS_TEST_DIGEST_H

#include <stdint.h>

struct ddfs_fs;

uint64_t tree_digest(struct ddfs_fs *fs);

#endif
