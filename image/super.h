/* SPDX-License-Identifier: BSD-3-Clause */
/* The pair of superblocks, and what they promise. */
#ifndef DDFS_IMAGE_SUPER_H
#define DDFS_IMAGE_SUPER_H

struct ddfs_image;

/* Chooses img->super and fills super_copy and all that follows from it alone. media is set. Errors
 * as ddfs_image_open. */
int ddfs_image_super_open(struct ddfs_image *img);

#endif
