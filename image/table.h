/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the inodes are. */
#ifndef DDFS_IMAGE_TABLE_H
#define DDFS_IMAGE_TABLE_H

struct ddfs_image;

/* Fills table, root_copy, nr_slots and table_blks, with what can be found. -ENOMEM. */
int ddfs_image_table_open(struct ddfs_image *img);

#endif
