/* SPDX-License-Identifier: BSD-3-Clause */
/* The redo log. */
#include <string.h>

#include "fs/media.h"
#include "image/image.h"

#define ROOM (DDFS_LANE_BYTES - sizeof(struct ddfs_lane_header))

/* Of a record, with its padding. */
static uint64_t record_bytes(const struct ddfs_lane_record *r)
{
	return sizeof(*r) + ((ddfs_le32(r->len) + UINT64_C(7)) & ~UINT64_C(7));
}

static bool records_hold(const struct ddfs_image *img, const uint8_t *buf, uint32_t nr_bytes)
{
	const uint8_t *p = buf + sizeof(struct ddfs_lane_header), *end = p + nr_bytes;

	while (p < end) {
		const struct ddfs_lane_record *r = (const void *)p;
		uint64_t off, len;

		if ((size_t)(end - p) < sizeof(*r) || (size_t)(end - p) < record_bytes(r))
			return false;
		off = ddfs_le64(r->off);
		len = ddfs_le32(r->len);
		if (!ddfs_lane_may_store(off, len, img->media->size,
			    ddfs_le64(img->super.lanes_off), ddfs_le32(img->super.nr_lanes)))
			return false;
		p += record_bytes(r);
	}
	return true;
}

enum ddfs_image_lane ddfs_image_lane_read(
	const struct ddfs_image *img, uint32_t lane, uint8_t *buf, struct ddfs_lane_header *out)
{
	uint64_t off = ddfs_le64(img->super.lanes_off) + (uint64_t)lane * DDFS_LANE_BYTES;
	struct ddfs_media *m = img->media;
	uint32_t nr_bytes;

	memset(buf, 0, DDFS_LANE_BYTES);
	if (m->ops->copy_out(m, out, off, sizeof(*out)))
		return DDFS_IMAGE_LANE_UNREADABLE;
	memcpy(buf, out, sizeof(*out));
	if (ddfs_le64(out->state) == DDFS_LANE_EMPTY)
		return DDFS_IMAGE_LANE_EMPTY;
	if (ddfs_le64(out->state) != DDFS_LANE_COMMITTED)
		return DDFS_IMAGE_LANE_BAD;
	nr_bytes = ddfs_le32(out->nr_bytes);
	if (nr_bytes > ROOM || nr_bytes % 8)
		return DDFS_IMAGE_LANE_TORN;
	if (m->ops->copy_out(m, buf, off, sizeof(*out) + nr_bytes))
		return DDFS_IMAGE_LANE_UNREADABLE;
	if (!ddfs_image_sum_holds(img, off, buf, sizeof(*out) + nr_bytes))
		return DDFS_IMAGE_LANE_TORN;
	return records_hold(img, buf, nr_bytes) ? DDFS_IMAGE_LANE_COMMITTED : DDFS_IMAGE_LANE_BAD;
}

const struct ddfs_lane_record *ddfs_image_lane_next(
	const uint8_t *buf, const struct ddfs_lane_record *r)
{
	const struct ddfs_lane_header *h = (const void *)buf;
	const uint8_t *p = buf + sizeof(*h), *end = p + ddfs_le32(h->nr_bytes);

	if (r)
		p = (const uint8_t *)r + record_bytes(r);
	return p < end ? (const void *)p : NULL;
}
