/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/csum.h"
#include "fs/media.h"
#include "image/overlay.h"
#include "image/super.h"
#include "image/table.h"

int ddfs_image_open(struct ddfs_media *media, unsigned int flags, struct ddfs_image *out)
{
	struct ddfs_image img = { .media = media, .flags = flags };
	int err = ddfs_image_super_open(&img);

	if (err == -EFBIG)
		out->super = img.super;
	if (err)
		return err;
	if (flags & DDFS_IMAGE_REPLAY && ddfs_le32(img.super.state) != DDFS_STATE_CLEAN)
		err = ddfs_image_overlay_new(&img, &img.overlay);
	if (!err)
		err = ddfs_image_table_open(&img);
	if (err) {
		ddfs_image_overlay_delete(img.overlay);
		return err;
	}
	*out = img;
	return 0;
}

void ddfs_image_close(struct ddfs_image *img)
{
	ddfs_image_overlay_delete(img->overlay);
	free(img->table_blks);
	memset(img, 0, sizeof(*img));
}

int ddfs_image_read(const struct ddfs_image *img, uint64_t off, void *buf, size_t len)
{
	struct ddfs_media *m = img->media;

	if (off > m->size || len > m->size - off || m->ops->copy_out(m, buf, off, len))
		return -EIO;
	if (img->overlay)
		ddfs_image_overlay_apply(img->overlay, off, buf, len);
	return 0;
}

bool ddfs_image_sum_holds(const struct ddfs_image *img, uint64_t off, const void *p, size_t len)
{
	return ddfs_csum_holds(img->seed, off, p, len);
}
