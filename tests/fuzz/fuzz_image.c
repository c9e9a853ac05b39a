/* SPDX-License-Identifier: BSD-3-Clause */
/* Any image, read without mounting it: each walk ends, and nothing is stored. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/image.h"
#include "tests/fuzz/edit.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of a device of 16 MiB. A tree that leads to itself may be told more than once of a block, but no
 * walk goes on for ever. */
#define MAX_TOLD (64u * STAGE_BLOCKS)

struct walk {
	const struct ddfs_image *img;
	uint64_t told;
	uint64_t sum; /* every byte that is told of is looked at */
};

static void note(struct walk *w, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		w->sum += at[i];
	fuzz_want(++w->told < MAX_TOLD);
}

static void walk_node(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct walk *w = arg;

	fuzz_want(ddfs_image_blocks_valid(w->img, blk, 1));
	note(w, n, sizeof(*n));
}

static int walk_extent(void *arg, const struct ddfs_extent *e)
{
	struct walk *w = arg;

	fuzz_want(ddfs_image_blocks_valid(
		w->img, ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN, ddfs_le32(e->len)));
	note(w, e, sizeof(*e));
	return 0;
}

static int walk_record(void *arg, const struct ddfs_image_record *r)
{
	struct walk *w = arg;

	note(w, r->name, r->name_len);
	note(w, r->value, r->val_len);
	return 0;
}

static int walk_xattr(void *arg, const struct ddfs_image_record *r)
{
	static uint8_t value[65536];
	struct walk *w = arg;
	struct ddfs_xattr_ref ref;

	walk_record(arg, r);
	if (r->type != 1 || r->val_len != sizeof(ref))
		return 0;
	memcpy(&ref, r->value, sizeof(ref));
	if (ddfs_le32(ref.len) <= sizeof(value) &&
		!ddfs_image_xattr_value(w->img, r, value, ddfs_le32(ref.len)))
		note(w, value, ddfs_le32(ref.len));
	return 0;
}

static void walk_fault(
	void *arg, enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to)
{
	struct walk *w = arg;
	const char *text = ddfs_image_fault_text(fault);

	(void)blk;
	(void)from;
	(void)to;
	fuzz_want(text);
	note(w, text, strlen(text));
}

static void walk_inode(const struct ddfs_image *img, uint32_t ino)
{
	struct walk w = { .img = img };
	struct ddfs_image_walk walk = { .arg = &w,
		.node = walk_node,
		.extent = walk_extent,
		.record = walk_record,
		.fault = walk_fault };
	struct ddfs_inode_disk di;
	uint32_t type;

	if (ddfs_image_inode(img, ino, &di) || ddfs_image_inode_is_free(&di))
		return;
	type = ddfs_le16(di.mode) & S_IFMT;
	if (type == S_IFREG || !ino || (type == S_IFLNK && ddfs_le64(di.size) > 64))
		ddfs_image_walk_extents(img, &di, &walk);
	if (type == S_IFDIR)
		ddfs_image_walk_names(img, &di, &walk);
	walk.record = walk_xattr;
	ddfs_image_walk_xattrs(img, &di, &walk);
}

static void walk_lane(const struct ddfs_image *img, uint32_t lane)
{
	static uint8_t buf[DDFS_LANE_BYTES];
	const struct ddfs_lane_record *r = NULL;
	struct walk w = { .img = img };
	struct ddfs_lane_header h;

	if (ddfs_image_lane_read(img, lane, buf, &h) != DDFS_IMAGE_LANE_COMMITTED)
		return;
	while ((r = ddfs_image_lane_next(buf, r)))
		note(&w, r + 1, ddfs_le32(r->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct stage *s = stage_get(input_8(&in));
	unsigned int flags = input_8(&in) & 1 ? DDFS_IMAGE_REPLAY : 0;
	struct ddfs_image img;

	edit_image(s, &in);
	s->ram.media.readonly = true;
	if (!ddfs_image_open(&s->ram.media, flags, &img)) {
		for (uint32_t ino = 0; ino < img.nr_slots || !ino; ino++)
			walk_inode(&img, ino);
		for (uint32_t i = 0; i < ddfs_le32(img.super.nr_lanes); i++)
			walk_lane(&img, i);
		ddfs_image_close(&img);
	}
	stage_mend(s);
	return 0;
}
