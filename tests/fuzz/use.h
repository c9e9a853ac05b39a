/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything that can be done to a filesystem, done to one. */
#ifndef DDFS_FUZZ_USE_H
#define DDFS_FUZZ_USE_H

#include <stdbool.h>

struct ddfs_fs_options;
struct stage;

/* A byte of the input makes the mount's options. */
struct ddfs_fs_options use_options(unsigned int byte);

/* Mounts the image, reads, changes and removes what is there, unmounts. What the mount returned. */
int use_image(struct stage *s, const struct ddfs_fs_options *opt);

#endif
