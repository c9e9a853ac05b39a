/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs dump: lanes, groups and chunks. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/ddfs_dump.h"
#include "tools/ddfs_dump_out.h"

/* ---- lanes ---------------------------------------------------------------------------------- */

static const char *lane_state(enum ddfs_image_lane is)
{
	static const char *const names[] = {
		[DDFS_IMAGE_LANE_EMPTY] = "empty",
		[DDFS_IMAGE_LANE_COMMITTED] = "committed",
		[DDFS_IMAGE_LANE_TORN] = "torn",
		[DDFS_IMAGE_LANE_BAD] = "bad",
		[DDFS_IMAGE_LANE_UNREADABLE] = "unreadable",
	};

	return names[is];
}

static void put_lanes(const struct ddfs_image *img, uint8_t *buf, struct ddfs_dump_out *o)
{
	static const struct ddfs_dump_column columns[] = { { "lane", 4 }, { "state", -10 },
		{ "seq", 10 }, { "bytes", 10 }, { "records", 10 } };
	struct ddfs_lane_header h;

	ddfs_dump_out_list(o, "lanes", columns, sizeof(columns) / sizeof(*columns));
	for (uint32_t i = 0; i < ddfs_le32(img->super.nr_lanes); i++) {
		enum ddfs_image_lane is = ddfs_image_lane_read(img, i, buf, &h);

		ddfs_dump_out_row(o);
		ddfs_dump_out_number(o, "lane", i);
		ddfs_dump_out_text(o, "state", lane_state(is));
		if (is == DDFS_IMAGE_LANE_UNREADABLE)
			continue;
		ddfs_dump_out_number(o, "seq", ddfs_le64(h.seq));
		ddfs_dump_out_number(o, "bytes", ddfs_le32(h.nr_bytes));
		ddfs_dump_out_number(o, "records", ddfs_le32(h.nr_records));
	}
}

static void put_records(const struct ddfs_image *img, uint8_t *buf, struct ddfs_dump_out *o)
{
	static const struct ddfs_dump_column columns[] = { { "lane", 4 }, { "offset", 16 },
		{ "length", 10 } };
	struct ddfs_lane_header h;

	ddfs_dump_out_list(o, "records", columns, sizeof(columns) / sizeof(*columns));
	for (uint32_t i = 0; i < ddfs_le32(img->super.nr_lanes); i++) {
		const struct ddfs_lane_record *r = NULL;

		if (ddfs_image_lane_read(img, i, buf, &h) != DDFS_IMAGE_LANE_COMMITTED)
			continue;
		while ((r = ddfs_image_lane_next(buf, r))) {
			ddfs_dump_out_row(o);
			ddfs_dump_out_number(o, "lane", i);
			ddfs_dump_out_number(o, "offset", ddfs_le64(r->off));
			ddfs_dump_out_number(o, "length", ddfs_le32(r->len));
		}
	}
}

int ddfs_dump_lanes(const struct ddfs_image *img, struct ddfs_dump_out *o)
{
	uint8_t *buf = malloc(DDFS_LANE_BYTES);

	if (!buf) {
		fprintf(stderr, "ddfs: out of memory\n");
		return -ENOMEM;
	}
	put_lanes(img, buf, o);
	put_records(img, buf, o);
	free(buf);
	return 0;
}

/* ---- groups and chunks ---------------------------------------------------------------------- */

/* Reads a structure with a checksum, and says how that went. */
static const char *read_sealed(const struct ddfs_image *img, uint64_t off, void *buf, size_t len)
{
	if (ddfs_image_read(img, off, buf, len))
		return "unreadable";
	return ddfs_image_sum_holds(img, off, buf, len) ? "good" : "bad";
}

static const char *read_group(
	const struct ddfs_image *img, uint32_t group, struct ddfs_group_desc *d)
{
	return read_sealed(img, DDFS_GROUP_TABLE_OFF + group * (uint64_t)sizeof(*d), d, sizeof(*d));
}

static void group_range(
	const struct ddfs_image *img, uint32_t group, uint64_t *first, uint64_t *end)
{
	uint64_t per = ddfs_le32(img->super.group_chunks);

	*first = group * per;
	*end = *first + per < img->nr_chunks ? *first + per : img->nr_chunks;
}

int ddfs_dump_groups(const struct ddfs_image *img, struct ddfs_dump_out *o)
{
	static const struct ddfs_dump_column columns[] = { { "group", 5 }, { "first_chunk", 11 },
		{ "chunks", 8 }, { "initialized", 11 }, { "free_blocks", 12 },
		{ "checksum", -10 } };

	ddfs_dump_out_list(o, "groups", columns, sizeof(columns) / sizeof(*columns));
	for (uint32_t g = 0; g < ddfs_le32(img->super.nr_groups); g++) {
		struct ddfs_group_desc d = { 0 };
		const char *sum = read_group(img, g, &d);
		uint64_t first, end;

		group_range(img, g, &first, &end);
		ddfs_dump_out_row(o);
		ddfs_dump_out_number(o, "group", g);
		ddfs_dump_out_number(o, "first_chunk", first);
		ddfs_dump_out_number(o, "chunks", end - first);
		ddfs_dump_out_number(o, "initialized", ddfs_le32(d.nr_init));
		ddfs_dump_out_number(o, "free_blocks", ddfs_le64(d.nr_free));
		ddfs_dump_out_text(o, "checksum", sum);
	}
	return 0;
}

static void put_chunk(const struct ddfs_image *img, uint64_t nr, struct ddfs_dump_out *o)
{
	uint64_t off = ddfs_le64(img->super.chunk_table_off) + nr * sizeof(struct ddfs_chunk);
	char used[DDFS_CHUNK_BLOCKS / 4 + 1];
	struct ddfs_chunk c = { 0 };
	const char *sum = read_sealed(img, off, &c, sizeof(c));
	unsigned int nr_used = 0;

	for (unsigned int i = 0; i < 8; i++) {
		nr_used += (unsigned int)__builtin_popcountll(ddfs_le64(c.used[i]));
		snprintf(used + (size_t)i * 16, 17, "%016" PRIx64, ddfs_le64(c.used[i]));
	}
	ddfs_dump_out_row(o);
	ddfs_dump_out_number(o, "chunk", nr);
	ddfs_dump_out_number(o, "first_block", nr * DDFS_CHUNK_BLOCKS);
	ddfs_dump_out_number(o, "used_blocks", nr_used);
	ddfs_dump_out_text(o, "checksum", sum);
	ddfs_dump_out_text(o, "used", used);
}

int ddfs_dump_chunks(const struct ddfs_image *img, uint32_t group, struct ddfs_dump_out *o)
{
	static const struct ddfs_dump_column columns[] = { { "chunk", 8 }, { "first_block", 12 },
		{ "used_blocks", 11 }, { "checksum", -10 }, { "used", 0 } };
	struct ddfs_group_desc d = { 0 };
	uint64_t first, end;
	const char *sum;

	if (group >= ddfs_le32(img->super.nr_groups)) {
		fprintf(stderr, "ddfs: there is no group %" PRIu32 ": there are %" PRIu32 "\n",
			group, ddfs_le32(img->super.nr_groups));
		return -ENOENT;
	}
	sum = read_group(img, group, &d);
	group_range(img, group, &first, &end);
	ddfs_dump_out_number(o, "group", group);
	ddfs_dump_out_number(o, "first_chunk", first);
	ddfs_dump_out_number(o, "chunks", end - first);
	ddfs_dump_out_number(o, "initialized", ddfs_le32(d.nr_init));
	ddfs_dump_out_number(o, "free_blocks", ddfs_le64(d.nr_free));
	ddfs_dump_out_text(o, "checksum", sum);
	ddfs_dump_out_list(o, "table", columns, sizeof(columns) / sizeof(*columns));
	for (uint64_t i = first; i < end && i - first < ddfs_le32(d.nr_init); i++)
		put_chunk(img, i, o);
	return 0;
}
