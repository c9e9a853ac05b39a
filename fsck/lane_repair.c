/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: what recovery does with it at a mount, and lanes that a mount would stop at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/csum.h"
#include "fs/media.h"
#include "fsck/repair_priv.h"

static uint64_t lane_off(const struct fsck_repair *r, uint32_t lane)
{
	return ddfs_le64(r->img->super.lanes_off) + (uint64_t)lane * DDFS_LANE_BYTES;
}

static int clear(struct fsck_repair *r, uint32_t lane)
{
	struct ddfs_media *m = r->f->media;
	int err = fsck_mark(r);

	if (err)
		return err;
	m->ops->set(m, lane_off(r, lane), 0, sizeof(struct ddfs_lane_header));
	r->changed = true;
	return fsck_drain(r);
}

/* In place before the lane forgets them. */
static int replay(struct fsck_repair *r, uint32_t lane, const uint8_t *buf)
{
	const struct ddfs_lane_record *rec = NULL;
	struct ddfs_media *m = r->f->media;
	int err;

	while ((rec = ddfs_image_lane_next(buf, rec)) != NULL)
		m->ops->copy(m, ddfs_le64(rec->off), rec + 1, ddfs_le32(rec->len));
	err = fsck_drain(r);
	if (err)
		return err;
	r->f->out->nr_lanes_replayed++;
	return clear(r, lane);
}

/* Telling is the first time; what is safe is what a mount would do. */
static int give_up(struct fsck_repair *r, uint32_t lane, const char *why)
{
	struct fsck *f = r->f;
	int err;

	fsck_problem(f, false, "lane %u of the log %s: what it held is lost", lane, why);
	if (f->opt->mode == DDFS_FSCK_PREEN ||
		!fsck_may(f, FSCK_KIND_LANES, "Clear lanes of the log that do not hold?"))
		return 0;
	err = fsck_make_readable(r, lane_off(r, lane), DDFS_LANE_BYTES);
	if (!err)
		err = clear(r, lane);
	return err == -ENODATA ? 0 : err;
}

static int repair_lane(struct fsck_repair *r, uint32_t lane, uint8_t *buf)
{
	bool clean = ddfs_le32(r->img->super.state) == DDFS_STATE_CLEAN && !r->f->marked;
	struct ddfs_lane_header h;

	switch (ddfs_image_lane_read(r->img, lane, buf, &h)) {
	case DDFS_IMAGE_LANE_COMMITTED:
		return clean ? give_up(r, lane, "is not empty, of a clean filesystem")
			     : replay(r, lane, buf);
	case DDFS_IMAGE_LANE_TORN:
		return clean ? give_up(r, lane, "is not empty, of a clean filesystem")
			     : clear(r, lane);
	case DDFS_IMAGE_LANE_BAD:
		return give_up(r, lane, "holds what cannot be");
	case DDFS_IMAGE_LANE_UNREADABLE:
		return give_up(r, lane, "can't be read");
	default:
		return 0;
	}
}

/* ---- stores of our own ---------------------------------------------------------------------- */

/* Bytes of records, so that the slot's has room behind them. */
#define WAITING_MAX                                                                                \
	(DDFS_LANE_BYTES - sizeof(struct ddfs_lane_header) - sizeof(struct ddfs_lane_record) -     \
		DDFS_INODE_BYTES)

static bool find_empty(const struct fsck_repair *r, uint32_t *lane)
{
	struct ddfs_lane_header h;

	for (*lane = 0; *lane < ddfs_le32(r->img->super.nr_lanes); ++*lane)
		if (!r->f->media->ops->copy_out(r->f->media, &h, lane_off(r, *lane), sizeof(h)) &&
			ddfs_le64(h.state) == DDFS_LANE_EMPTY)
			return true;
	return false;
}

static void add_record(struct fsck_repair *r, uint64_t off, const void *p, uint32_t len)
{
	uint8_t *at = r->waiting + sizeof(struct ddfs_lane_header) + r->nr_waiting;

	*(struct ddfs_lane_record *)at =
		(struct ddfs_lane_record){ .off = ddfs_to64(off), .len = ddfs_to32(len) };
	memcpy(at + sizeof(struct ddfs_lane_record), p, len);
	r->nr_waiting += (uint32_t)sizeof(struct ddfs_lane_record) + len;
}

int fsck_lane_wait(struct fsck_repair *r, uint64_t off, const void *p, uint32_t len)
{
	if (!r->waiting)
		r->waiting = calloc(1, DDFS_LANE_BYTES);
	if (!r->waiting)
		return -ENOMEM;
	if (r->nr_waiting + sizeof(struct ddfs_lane_record) + len > WAITING_MAX)
		return -ENOSPC;
	add_record(r, off, p, len);
	return 0;
}

/* Publish point: from its fence on recovery does the rest. */
static int publish(struct fsck_repair *r, uint32_t lane)
{
	struct ddfs_lane_header *h = (void *)r->waiting;

	*h = (struct ddfs_lane_header){ .nr_bytes = ddfs_to32(r->nr_waiting),
		.state = ddfs_to64(DDFS_LANE_COMMITTED) };
	ddfs_csum_seal(r->img->seed, lane_off(r, lane), h, sizeof(*h) + r->nr_waiting);
	r->f->media->ops->copy(r->f->media, lane_off(r, lane), h, sizeof(*h) + r->nr_waiting);
	return fsck_drain(r);
}

static int store_records(struct fsck_repair *r)
{
	const uint8_t *p = r->waiting + sizeof(struct ddfs_lane_header);
	const uint8_t *end = p + r->nr_waiting;

	while (p < end) {
		const struct ddfs_lane_record *rec = (const void *)p;

		r->f->media->ops->copy(
			r->f->media, ddfs_le64(rec->off), rec + 1, ddfs_le32(rec->len));
		p += sizeof(*rec) + ddfs_le32(rec->len);
	}
	return fsck_drain(r);
}

int fsck_lane_store(struct fsck_repair *r, uint64_t off, const void *p)
{
	uint32_t lane;
	bool found = find_empty(r, &lane);
	int err = 0;

	if (!r->waiting)
		r->waiting = calloc(1, DDFS_LANE_BYTES);
	if (!r->waiting)
		return -ENOMEM;
	add_record(r, off, p, DDFS_INODE_BYTES);
	if (found)
		err = publish(r, lane);
	if (!err)
		err = store_records(r);
	r->nr_waiting = 0;
	return err || !found ? err : clear(r, lane);
}

/* ---- all lanes ------------------------------------------------------------------------------ */

int fsck_lanes_repair(struct fsck_repair *r)
{
	uint8_t *buf = malloc(DDFS_LANE_BYTES);
	int err = buf ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < ddfs_le32(r->img->super.nr_lanes) && !err; i++)
		err = repair_lane(r, i, buf);
	free(buf);
	return err;
}
