/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of ddfs dump: each prints one kind of structure. */
#ifndef DDFS_TOOLS_DDFS_DUMP_H
#define DDFS_TOOLS_DDFS_DUMP_H

#include <stdint.h>

#include "image/image.h"

struct ddfs_dump_out;

/* Each returns 0, or -errno after saying what is wrong: then there was nothing to print. What is
 * damaged is printed as far as it goes. */
int ddfs_dump_super(const struct ddfs_image *img, struct ddfs_dump_out *o);
/* Of a device on which no image opens (err says why): what its superblocks say of themselves. */
int ddfs_dump_super_raw(struct ddfs_media *media, int err, struct ddfs_dump_out *o);
int ddfs_dump_lanes(const struct ddfs_image *img, struct ddfs_dump_out *o);
int ddfs_dump_groups(const struct ddfs_image *img, struct ddfs_dump_out *o);
int ddfs_dump_chunks(const struct ddfs_image *img, uint32_t group, struct ddfs_dump_out *o);

int ddfs_dump_inode(const struct ddfs_image *img, uint32_t ino, struct ddfs_dump_out *o);
int ddfs_dump_extents(const struct ddfs_image *img, uint32_t ino, struct ddfs_dump_out *o);
int ddfs_dump_directory(const struct ddfs_image *img, uint32_t ino, struct ddfs_dump_out *o);
int ddfs_dump_xattrs(const struct ddfs_image *img, uint32_t ino, struct ddfs_dump_out *o);

/* A number, or a path from the root of the image on. -EINVAL, -ENOENT, ..., said. */
int ddfs_dump_find(const struct ddfs_image *img, const char *which, uint32_t *ino);

/* Of st_mode >> 12. */
const char *ddfs_dump_type_name(unsigned int type);

#endif
