/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

#define LINE_SHIFT 6
#define LINE_BYTES (1u << LINE_SHIFT)

/* Bytes of a record, none past a line. Records may overlap: the later one holds. */
struct piece {
	uint64_t off;
	uint32_t seq;
	uint32_t len;
	const uint8_t *bytes;
};

struct ddfs_image_overlay {
	struct piece *piece; /* by line, and in a line as recovery stores them */
	size_t nr, cap;
	uint8_t *lane[DDFS_MAX_LANES];
	unsigned int nr_lanes;
};

static int add_piece(struct ddfs_image_overlay *o, uint64_t off, const uint8_t *bytes, uint32_t len)
{
	if (o->nr == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 256;
		struct piece *p = realloc(o->piece, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		o->piece = p;
		o->cap = cap;
	}
	o->piece[o->nr] = (struct piece){ off, (uint32_t)o->nr, len, bytes };
	o->nr++;
	return 0;
}

static int add_record(struct ddfs_image_overlay *o, const struct ddfs_lane_record *r)
{
	uint64_t off = ddfs_le64(r->off), end = off + ddfs_le32(r->len);
	const uint8_t *bytes = (const uint8_t *)(r + 1);
	int err = 0;

	while (off < end && !err) {
		uint64_t stop = (off | (LINE_BYTES - 1)) + 1;
		uint32_t len = (uint32_t)((stop < end ? stop : end) - off);

		err = add_piece(o, off, bytes, len);
		off += len;
		bytes += len;
	}
	return err;
}

/* buf is the overlay's once the lane counts. */
static int add_lane(struct ddfs_image_overlay *o, uint8_t *buf)
{
	const struct ddfs_lane_record *r = NULL;
	int err = 0;

	o->lane[o->nr_lanes++] = buf;
	while (!err && (r = ddfs_image_lane_next(buf, r)))
		err = add_record(o, r);
	return err;
}

static int add_lanes(struct ddfs_image_overlay *o, const struct ddfs_image *img)
{
	struct ddfs_lane_header h;
	uint8_t *buf = NULL;
	int err = 0;

	for (uint32_t i = 0; i < ddfs_le32(img->super.nr_lanes) && !err; i++) {
		if (!buf)
			buf = malloc(DDFS_LANE_BYTES);
		if (!buf)
			return -ENOMEM;
		if (ddfs_image_lane_read(img, i, buf, &h) != DDFS_IMAGE_LANE_COMMITTED)
			continue;
		err = add_lane(o, buf);
		buf = NULL;
	}
	free(buf);
	return err;
}

static int by_line(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	uint64_t lx = x->off >> LINE_SHIFT, ly = y->off >> LINE_SHIFT;

	if (lx != ly)
		return lx < ly ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

int ddfs_image_overlay_new(const struct ddfs_image *img, struct ddfs_image_overlay **out)
{
	struct ddfs_image_overlay *o = calloc(1, sizeof(*o));
	int err = o ? add_lanes(o, img) : -ENOMEM;

	if (err || !o->nr) {
		ddfs_image_overlay_delete(o);
		if (!err)
			*out = NULL;
		return err;
	}
	qsort(o->piece, o->nr, sizeof(*o->piece), by_line);
	*out = o;
	return 0;
}

void ddfs_image_overlay_delete(struct ddfs_image_overlay *o)
{
	if (!o)
		return;
	for (unsigned int i = 0; i < o->nr_lanes; i++)
		free(o->lane[i]);
	free(o->piece);
	free(o);
}

/* The first piece that is not in a line before that of off. */
static size_t find(const struct ddfs_image_overlay *o, uint64_t off)
{
	size_t lo = 0, hi = o->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (o->piece[mid].off >> LINE_SHIFT < off >> LINE_SHIFT)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void ddfs_image_overlay_apply(
	const struct ddfs_image_overlay *o, uint64_t off, void *buf, size_t len)
{
	uint64_t end = off + len;

	for (size_t i = find(o, off);
		i < o->nr && o->piece[i].off >> LINE_SHIFT <= end >> LINE_SHIFT; i++) {
		const struct piece *p = &o->piece[i];
		uint64_t from = p->off > off ? p->off : off;
		uint64_t to = p->off + p->len < end ? p->off + p->len : end;

		if (from < to)
			memcpy((uint8_t *)buf + (from - off), p->bytes + (from - p->off),
				to - from);
	}
}
