/* SPDX-License-Identifier: BSD-3-Clause */
/* What there is two of, and the lanes. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fs/media.h"
#include "fsck/passes.h"
#include "fsck/state.h"

static const char *const which[2] = { "first", "second" };

/* ---- superblocks ---------------------------------------------------------------------------- */

static bool copy_holds(struct fsck *f, enum ddfs_image_copy copy, unsigned int i,
	unsigned int whole, const char *what)
{
	if (copy == DDFS_COPY_GOOD)
		return true;
	fsck_problem(f, true, "the %s %s %s", which[i], what,
		copy == DDFS_COPY_UNREADABLE ? "can't be read" : "fails its checksum");
	fsck_whole_flag(f, whole);
	return false;
}

static bool read_supers(const struct fsck *f, struct ddfs_super s[2])
{
	return !ddfs_image_read(&f->img, DDFS_SUPER_OFF, &s[0], sizeof(s[0])) &&
	       !ddfs_image_read(
		       &f->img, (f->img.nr_blocks - 1) * DDFS_BLOCK_BYTES, &s[1], sizeof(s[1]));
}

static bool is_same(const struct ddfs_super s[2], size_t from, size_t to)
{
	return !memcmp((const uint8_t *)&s[0] + from, (const uint8_t *)&s[1] + from, to - from);
}

/* A crash between their two writes leaves one of them a write ahead, in what a write changes. */
static bool is_half_written(const struct ddfs_super s[2])
{
	uint64_t a = ddfs_le64(s[0].seq), b = ddfs_le64(s[1].seq);
	size_t seq = offsetof(struct ddfs_super, seq);

	return is_same(s, offsetof(struct ddfs_super, version), seq) &&
	       is_same(s, offsetof(struct ddfs_super, reserved), sizeof(*s)) &&
	       (a == b + 1 || b == a + 1);
}

bool fsck_supers_agree(const struct fsck *f)
{
	struct ddfs_super s[2];

	return f->img.super_copy[0] == DDFS_COPY_GOOD && f->img.super_copy[1] == DDFS_COPY_GOOD &&
	       read_supers(f, s) && is_same(s, offsetof(struct ddfs_super, version), sizeof(*s));
}

/* A crash in the midst of a write leaves it torn; the next mount writes it anew. That it may be
 * damage as well makes no difference. */
static bool is_torn(const struct fsck *f)
{
	const enum ddfs_image_copy *c = f->img.super_copy;
	unsigned int i = c[0] == DDFS_COPY_GOOD;

	return c[i] == DDFS_COPY_BAD && c[!i] == DDFS_COPY_GOOD &&
	       ddfs_le32(f->img.super.state) != DDFS_STATE_CLEAN;
}

static void check_supers(struct fsck *f)
{
	const enum ddfs_image_copy *c = f->img.super_copy;
	struct ddfs_super s[2];
	bool hold;

	if (is_torn(f))
		return;
	hold = copy_holds(f, c[0], 0, FSCK_WHOLE_SUPER, "superblock");
	hold = copy_holds(f, c[1], 1, FSCK_WHOLE_SUPER, "superblock") && hold;
	if (!hold || !read_supers(f, s))
		return;
	if (is_same(s, offsetof(struct ddfs_super, version), sizeof(*s)) || is_half_written(s))
		return;
	fsck_problem(f, true, "the two superblocks differ");
	fsck_whole_flag(f, FSCK_WHOLE_SUPER);
}

/* ---- root blocks ---------------------------------------------------------------------------- */

static void check_roots(struct fsck *f)
{
	const enum ddfs_image_copy *c = f->img.root_copy;
	uint32_t sole = ddfs_le32(f->img.super.sole_root_block);
	struct ddfs_inode_disk di[2];
	bool hold = true;

	for (unsigned int i = 0; i < 2; i++)
		if (!sole || sole == i + 1)
			hold = copy_holds(f, c[i], i, FSCK_WHOLE_ROOT, "root block") && hold;
	if (sole || !hold || ddfs_image_read(&f->img, DDFS_ROOT_BLOCK_OFF, &di[0], sizeof(di[0])) ||
		ddfs_image_read(
			&f->img, f->img.end_block * DDFS_BLOCK_BYTES, &di[1], sizeof(di[1])) ||
		!memcmp((const uint8_t *)&di[0] + 4, (const uint8_t *)&di[1] + 4,
			sizeof(di[0]) - 4))
		return;
	fsck_problem(f, true, "the two root blocks differ");
	fsck_whole_flag(f, FSCK_WHOLE_ROOT);
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static const char *lane_fault(const struct fsck *f, enum ddfs_image_lane lane)
{
	switch (lane) {
	case DDFS_IMAGE_LANE_BAD:
		return "holds what cannot be";
	case DDFS_IMAGE_LANE_UNREADABLE:
		return "can't be read";
	case DDFS_IMAGE_LANE_COMMITTED:
	case DDFS_IMAGE_LANE_TORN:
		/* no mount would look at it */
		return ddfs_le32(f->img.super.state) == DDFS_STATE_CLEAN
			       ? "is not empty, and the filesystem is marked clean"
			       : NULL;
	default:
		return NULL;
	}
}

static bool lane_is_empty(const struct fsck *f, uint32_t i)
{
	uint64_t off = ddfs_le64(f->img.super.lanes_off) + (uint64_t)i * DDFS_LANE_BYTES;
	struct ddfs_lane_header h;

	return !f->media->ops->copy_out(f->media, &h, off, sizeof(h)) &&
	       ddfs_le64(h.state) == DDFS_LANE_EMPTY;
}

static void check_lane(struct fsck *f, uint32_t i, uint8_t *buf)
{
	struct ddfs_lane_header h;
	const char *fault = lane_fault(f, ddfs_image_lane_read(&f->img, i, buf, &h));

	f->out->nr_lanes_busy++;
	if (!fault)
		return;
	fsck_problem(f, false, "lane %u of the log %s", i, fault);
	fsck_whole_flag(f, FSCK_WHOLE_LANE);
}

static void check_lanes(struct fsck *f)
{
	uint8_t *buf = NULL;

	for (uint32_t i = 0; i < ddfs_le32(f->img.super.nr_lanes); i++) {
		if (lane_is_empty(f, i))
			continue;
		if (!buf)
			buf = malloc(DDFS_LANE_BYTES);
		if (!buf) {
			fsck_fail(f, -ENOMEM);
			return;
		}
		check_lane(f, i, buf);
	}
	free(buf);
}

void fsck_check_supers(struct fsck *f)
{
	check_supers(f);
	check_roots(f);
	check_lanes(f);
}
