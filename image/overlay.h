/* SPDX-License-Identifier: BSD-3-Clause */
/* What committed lanes hold, laid over the device. */
#ifndef DDFS_IMAGE_OVERLAY_H
#define DDFS_IMAGE_OVERLAY_H

#include <stddef.h>
#include <stdint.h>

struct ddfs_image;
struct ddfs_image_overlay;

/* From the lanes of an image whose superblock is open; *out NULL if none is committed. -ENOMEM. */
int ddfs_image_overlay_new(const struct ddfs_image *img, struct ddfs_image_overlay **out);
void ddfs_image_overlay_delete(struct ddfs_image_overlay *o);

/* Change what was read from byte off to what it will be. */
void ddfs_image_overlay_apply(
	const struct ddfs_image_overlay *o, uint64_t off, void *buf, size_t len);

#endif
