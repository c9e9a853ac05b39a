/* SPDX-License-Identifier: BSD-3-Clause */
/* A device or image file that is looked at, whoever has it. */
#ifndef DDFS_TOOLS_DDFS_SOURCE_H
#define DDFS_TOOLS_DDFS_SOURCE_H

#include "image/image.h"

struct ddfs_device;

struct ddfs_source_image {
	struct ddfs_device *dev;
	struct ddfs_media *media;
	struct ddfs_image img;
	int err; /* why img is not open: only media can be looked at then */
};

/* Opens source for reading, and what image there is; flags: enum ddfs_image_flags. 0 also if there
 * is none. Says what is wrong, and if it may change underneath. */
int ddfs_source_open(const char *source, unsigned int flags, struct ddfs_source_image *out);
void ddfs_source_close(struct ddfs_source_image *s);

/* Says why img is not open, and returns it. */
int ddfs_source_complain(const struct ddfs_source_image *s, const char *source);

#endif
