/* SPDX-License-Identifier: BSD-3-Clause */
/* The log, and images read as if what it holds had been replayed. */
#include "fs/csum.h"
#include "tests/unit/image_stage.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* Takes a copy at the fence behind which a transaction is committed, before it is applied. */
struct spy {
	struct ram live, copy;
	unsigned int nr_copies, wanted;
	uint64_t lanes_off, lanes_end;
	bool lane_stored;
};

static void spy_store(void *arg, uint64_t off, size_t len)
{
	struct spy *s = arg;

	s->lane_stored = off >= s->lanes_off && off < s->lanes_end && len > 64;
}

static void spy_drain(void *arg)
{
	struct spy *s = arg;

	if (s->lane_stored && s->nr_copies++ == s->wanted)
		ram_copy_image(&s->copy, &s->live);
	s->lane_stored = false;
}

static void change_things(struct ddfs_inode *root)
{
	struct ddfs_inode *dir = tree_get(root, "dir"), *ip = tree_get(root, "file");

	ck_assert_int_eq(tree_make(dir, "a new one", S_IFREG | 0600), 0);
	ck_assert_int_eq(tree_rename(root, "pipe", dir, "moved", 0), 0);
	ck_assert_int_eq(tree_fill(ip, 50000, 9000, 'y'), 9000);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.x", "value", 5, 0, false), 0);
	ck_assert_int_eq(tree_unlink(root, "extents"), 0);
	ck_assert_int_eq(tree_unlink(dir, "a name of some length 7"), 0);
	ddfs_inode_put(ip);
	ddfs_inode_put(dir);
}
#define NR_CHANGES 6

static unsigned int count_committed(const struct ddfs_image *img)
{
	uint8_t *buf = malloc(DDFS_LANE_BYTES);
	struct ddfs_lane_header h;
	unsigned int n = 0;

	for (uint32_t i = 0; i < ddfs_le32(img->super.nr_lanes); i++)
		n += ddfs_image_lane_read(img, i, buf, &h) == DDFS_IMAGE_LANE_COMMITTED;
	free(buf);
	return n;
}

/* Byte for byte, but for the lanes and what a mount changes: the superblocks. */
static uint64_t count_differences(const struct spy *s, const struct ddfs_image *img)
{
	uint8_t *buf = malloc(4096);
	uint64_t n = 0;

	for (uint64_t off = 4096; off < STAGE_SIZE - 4096; off += 4096) {
		if (off >= s->lanes_off && off < s->lanes_end)
			continue;
		ck_assert_int_eq(ddfs_image_read(img, off, buf, 4096), 0);
		n += memcmp(buf, s->live.media.base + off, 4096) != 0;
		/* And piecewise, across the lines' ends. */
		ck_assert_int_eq(ddfs_image_read(img, off + 37, buf, 91), 0);
		n += memcmp(buf, s->live.media.base + off + 37, 91) != 0;
	}
	free(buf);
	return n;
}

static void recover(struct spy *s)
{
	struct ddfs_fs_options opt = { .readonly = true, .log = ram_log_nothing };
	struct ddfs_recovery rec;
	struct ddfs_fs *fs;

	ram_copy_image(&s->live, &s->copy);
	ck_assert_int_eq(ddfs_fs_open(&s->live.media, &opt, &fs), 0);
	ddfs_fs_recovery(fs, &rec);
	ck_assert_uint_eq(rec.nr_lanes_replayed, 1);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
}

START_TEST(overlay)
{
	struct spy *s = calloc(1, sizeof(*s));
	struct ram_ear ear = { spy_store, spy_drain, s };
	struct ddfs_image img;
	struct ddfs_inode *root;
	struct ddfs_fs *fs;

	stage_make(&s->live);
	ram_init(&s->copy, STAGE_SIZE, 4096);
	ck_assert_int_eq(ddfs_image_open(&s->live.media, 0, &img), 0);
	s->wanted = (unsigned int)_i;
	s->lanes_off = ddfs_le64(img.super.lanes_off);
	s->lanes_end = s->lanes_off + ddfs_le32(img.super.nr_lanes) * (uint64_t)DDFS_LANE_BYTES;
	ddfs_image_close(&img);

	fs = ram_mount(&s->live, NULL);
	root = ram_root(fs);
	s->live.ear = &ear;
	change_things(root);
	s->live.ear = NULL;
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ck_assert_uint_gt(s->nr_copies, s->wanted);

	recover(s);
	ck_assert_int_eq(ddfs_image_open(&s->copy.media, 0, &img), 0);
	ck_assert_ptr_null(img.overlay);
	ck_assert_uint_eq(count_committed(&img), 1);
	ck_assert_uint_gt(count_differences(s, &img), 0);
	ddfs_image_close(&img);
	ck_assert_int_eq(ddfs_image_open(&s->copy.media, DDFS_IMAGE_REPLAY, &img), 0);
	ck_assert_ptr_nonnull(img.overlay);
	ck_assert_uint_eq(count_differences(s, &img), 0);
	ddfs_image_close(&img);
	ram_fini(&s->copy);
	ram_fini(&s->live);
	free(s);
}
END_TEST

/* ---- lanes made by hand --------------------------------------------------------------------- */

struct log {
	uint8_t lane[DDFS_LANE_BYTES];
	uint32_t nr_bytes, nr_records;
};

static void log_add(struct log *l, uint64_t off, const void *bytes, uint32_t len)
{
	uint8_t *p = l->lane + sizeof(struct ddfs_lane_header) + l->nr_bytes;
	struct ddfs_lane_record r = { ddfs_to64(off), ddfs_to32(len), { 0 } };

	memcpy(p, &r, sizeof(r));
	memcpy(p + sizeof(r), bytes, len);
	l->nr_bytes += (uint32_t)sizeof(r) + ((len + 7) & ~7u);
	l->nr_records++;
}

static void log_store(struct log *l, struct ram *r, const struct ddfs_image *img, uint32_t lane)
{
	uint64_t off = ddfs_le64(img->super.lanes_off) + lane * (uint64_t)DDFS_LANE_BYTES;
	struct ddfs_lane_header h = {
		.nr_bytes = ddfs_to32(l->nr_bytes),
		.nr_records = ddfs_to32(l->nr_records),
		.state = ddfs_to64(DDFS_LANE_COMMITTED),
	};

	memcpy(l->lane, &h, sizeof(h));
	ddfs_csum_seal(img->seed, off, l->lane, sizeof(h) + l->nr_bytes);
	memcpy(r->writable + off, l->lane, sizeof(h) + l->nr_bytes);
}

static void mounted(struct ddfs_super *s)
{
	s->state = ddfs_to32(DDFS_STATE_MOUNTED);
}

/* Records that overlap are stored one after the other. */
START_TEST(overlapping_records)
{
	uint64_t at = STAGE_SIZE / 2;
	struct log *l = calloc(1, sizeof(*l));
	uint8_t a[300], want[400], got[400];
	struct ddfs_image img;
	struct ram r;

	stage_make(&r);
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
	memcpy(want, r.media.base + at - 50, sizeof(want));
	for (unsigned int i = 0; i < 3; i++) {
		memset(a, 'a' + (int)i, sizeof(a));
		log_add(l, at + i * 40, a, 300 - i * 110);
		memcpy(want + 50 + i * 40, a, 300 - i * 110);
	}
	log_store(l, &r, &img, 3);
	ddfs_image_close(&img);

	/* Clean, nothing is replayed: no recovery would. */
	ck_assert_int_eq(ddfs_image_open(&r.media, DDFS_IMAGE_REPLAY, &img), 0);
	ck_assert_ptr_null(img.overlay);
	ddfs_image_close(&img);
	stage_change_super(&r, mounted);
	ck_assert_int_eq(ddfs_image_open(&r.media, DDFS_IMAGE_REPLAY, &img), 0);
	ck_assert_int_eq(ddfs_image_read(&img, at - 50, got, sizeof(got)), 0);
	ck_assert_mem_eq(got, want, sizeof(got));
	for (unsigned int i = 0; i < sizeof(got); i += 7) {
		for (unsigned int len = 1; len <= sizeof(got) - i; len += 5) {
			ck_assert_int_eq(ddfs_image_read(&img, at - 50 + i, got, len), 0);
			ck_assert_mem_eq(got, want + i, len);
		}
	}
	ddfs_image_close(&img);
	ram_fini(&r);
	free(l);
}
END_TEST

static enum ddfs_image_lane lane_of(const struct ddfs_image *img, uint32_t lane)
{
	uint8_t *buf = malloc(DDFS_LANE_BYTES);
	struct ddfs_lane_header h;
	enum ddfs_image_lane is = ddfs_image_lane_read(img, lane, buf, &h);

	free(buf);
	return is;
}

START_TEST(lanes)
{
	struct log *l = calloc(1, sizeof(*l));
	struct ddfs_lane_header *h;
	struct ddfs_image img;
	uint64_t off;
	struct ram r;

	stage_make(&r);
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
	off = ddfs_le64(img.super.lanes_off);
	h = (void *)(r.writable + off);
	ck_assert_int_eq(lane_of(&img, 0), DDFS_IMAGE_LANE_EMPTY);
	log_add(l, 4096, "12345", 5);
	log_add(l, STAGE_SIZE - 5, "12345", 5);
	log_store(l, &r, &img, 0);
	ck_assert_int_eq(lane_of(&img, 0), DDFS_IMAGE_LANE_COMMITTED);
	r.writable[off + 90] ^= 1;
	ck_assert_int_eq(lane_of(&img, 0), DDFS_IMAGE_LANE_TORN);
	h->nr_bytes = ddfs_to32(65480);
	ck_assert_int_eq(lane_of(&img, 0), DDFS_IMAGE_LANE_TORN);
	h->nr_bytes = ddfs_to32(UINT32_MAX & ~7u);
	ck_assert_int_eq(lane_of(&img, 0), DDFS_IMAGE_LANE_TORN);
	h->state = ddfs_to64(2);
	ck_assert_int_eq(lane_of(&img, 0), DDFS_IMAGE_LANE_BAD);
	log_add(l, STAGE_SIZE - 4, "12345", 5);
	log_store(l, &r, &img, 0);
	ck_assert_int_eq(lane_of(&img, 0), DDFS_IMAGE_LANE_BAD);
	ram_poison(&r, off);
	ck_assert_int_eq(lane_of(&img, 0), DDFS_IMAGE_LANE_UNREADABLE);
	ddfs_image_close(&img);
	ram_fini(&r);
	free(l);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "overlay", overlay, NR_CHANGES },
		{ "overlapping records", overlapping_records, 0 },
		{ "lanes", lanes, 0 },
	};

	return suite_run("image_lane", cases, sizeof(cases) / sizeof(*cases));
}
