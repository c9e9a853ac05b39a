/* SPDX-License-Identifier: BSD-3-Clause */
/* A few operations on a few names, as an input says. */
#ifndef DDFS_FUZZ_ACT_H
#define DDFS_FUZZ_ACT_H

struct ddfs_fs;
struct input;

/* Until the input says that it was the last. */
void act(struct ddfs_fs *fs, struct input *in);

#endif
