/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery of lanes. Of what an input makes up it replays or refuses, and stores nothing outside of
 * the device. What commits have really left when power is cut, with some of the records in place
 * already, or torn commits beside them, it makes whole.
 */
#include <string.h>

#include "fs/fs.h"
#include "tests/fuzz/act.h"
#include "tests/fuzz/clean.h"
#include "tests/fuzz/cut.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/part.h"
#include "tests/fuzz/stage.h"
#include "tests/fuzz/use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- lanes that are made up ----------------------------------------------------------------- */

/* Lanes matter only if the mount before did not end. */
static void mark_mounted(struct stage *s)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct part p = part_get(s, PART_SUPER, i);
		struct ddfs_super *super = (struct ddfs_super *)(s->ram.writable + p.off);

		stage_note(s, p.off, p.len);
		super->state = ddfs_to32(DDFS_STATE_MOUNTED);
		part_seal(s, &p);
	}
}

/* A place in a structure or, rarely, anywhere. */
static uint64_t record_off(const struct stage *s, struct input *in)
{
	unsigned int kind = input_8(in);
	struct part p;

	if (kind >= 0xf0)
		return input_64(in);
	p = part_get(s, (enum part_kind)(kind % NR_PART_KINDS), input_8(in));
	return p.off + input_16(in) % p.len;
}

/* Behind the records that are there; returns how many bytes there are then. */
static uint32_t put_record(const struct stage *s, struct input *in, uint8_t *lane, uint32_t nr)
{
	struct ddfs_lane_record r = { .off = ddfs_to64(record_off(s, in)) };
	uint32_t len = input_8(in), said = len;
	uint8_t bytes[256];

	if (len == 255)
		said = input_32(in);
	if (nr + sizeof(r) + 256 > DDFS_LANE_BYTES - sizeof(struct ddfs_lane_header))
		return nr;
	r.len = ddfs_to32(said);
	memset(bytes, 0, sizeof(bytes));
	input_bytes(in, bytes, len < 16 ? len : 16);
	memcpy(lane + sizeof(struct ddfs_lane_header) + nr, &r, sizeof(r));
	memcpy(lane + sizeof(struct ddfs_lane_header) + nr + sizeof(r), bytes, len);
	return nr + (uint32_t)sizeof(r) + ((len + 7) & ~7u);
}

static void make_lane(struct stage *s, struct input *in, unsigned int lane, unsigned int how)
{
	struct part p = part_get(s, PART_LANE, lane);
	struct ddfs_lane_header *h = (struct ddfs_lane_header *)(s->ram.writable + p.off);
	unsigned int nr_records = how & 7;
	uint32_t nr = 0;

	stage_note(s, p.off, p.len);
	for (unsigned int i = 0; i < nr_records; i++)
		nr = put_record(s, in, (uint8_t *)h, nr);
	if (how & 8)
		nr += input_8(in);
	*h = (struct ddfs_lane_header){ .nr_bytes = ddfs_to32(nr),
		.nr_records = ddfs_to32(nr_records),
		.state = ddfs_to64(how & 16 ? input_8(in) : DDFS_LANE_COMMITTED) };
	if (!(how & 32))
		part_seal(s, &p);
}

static void fuzz_made_up(struct stage *s, struct input *in)
{
	struct ddfs_fs_options opt = use_options(input_8(in));

	for (unsigned int i = 0; i < 8 && !input_is_empty(in); i++)
		make_lane(s, in, i, input_8(in));
	mark_mounted(s);
	if (!use_image(s, &opt))
		use_image(s, &opt);
}

/* ---- lanes that are real -------------------------------------------------------------------- */

static int open_stage(struct stage *s, struct ddfs_fs **out)
{
	struct ddfs_fs_options opt = use_options(0);

	return ddfs_fs_open(&s->ram.media, &opt, out);
}

/* Some of the records of a committed lane where they belong: applying them was under way. */
static void apply_some(struct stage *s, const uint8_t *lane, unsigned int which)
{
	const struct ddfs_lane_header *h = (const void *)lane;
	const uint8_t *at = lane + sizeof(*h), *end = at + ddfs_le32(h->nr_bytes);

	while (at < end) {
		const struct ddfs_lane_record *r = (const void *)at;

		if (which & 1)
			stage_store(s, ddfs_le64(r->off), r + 1, ddfs_le32(r->len));
		which >>= 1;
		at += sizeof(*r) + ((ddfs_le32(r->len) + 7) & ~7u);
	}
}

/* A commit of which not everything had arrived. */
static void tear(struct stage *s, const struct part *p, unsigned int how)
{
	struct ddfs_lane_header h = { .state = ddfs_to64(DDFS_LANE_COMMITTED),
		.nr_bytes = ddfs_to32(how * 8),
		.crc = ddfs_to32(how) };

	stage_store(s, p->off, &h, sizeof(h));
}

static void leave_lanes(struct stage *s, struct input *in)
{
	const struct ddfs_super *now = (const void *)s->ram.writable;
	uint32_t nr = ddfs_le32(now->nr_lanes);

	if (ddfs_le32(now->state) == DDFS_STATE_CLEAN) /* the unmount had come that far */
		return;
	for (uint32_t i = 0; i < nr; i++) {
		struct part p = part_get(s, PART_LANE, i);
		const struct ddfs_lane_header *h = (const void *)(s->ram.writable + p.off);
		unsigned int how = input_8(in);

		if (ddfs_le64(h->state) == DDFS_LANE_COMMITTED)
			apply_some(s, (const uint8_t *)h, how);
		else if (how & 1)
			tear(s, &p, how);
	}
}

static void fuzz_real(struct stage *s, struct input *in)
{
	struct cut *cut = malloc(sizeof(*cut));
	struct ddfs_fs *fs;

	fuzz_want(cut);
	fuzz_want(!open_stage(s, &fs));
	cut_begin(cut, s, input_8(in) % 128);
	act(fs, in);
	fuzz_want(!ddfs_fs_close(fs));
	if (cut_end(cut))
		leave_lanes(s, in);
	free(cut);
	fuzz_want(!open_stage(s, &fs));
	fuzz_want(!ddfs_fs_close(fs));
	clean_check(s, "recovered");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int first = input_8(&in);
	struct stage *s = stage_get(first >> 1);

	if (first & 1)
		fuzz_made_up(s, &in);
	else
		fuzz_real(s, &in);
	stage_mend(s);
	return 0;
}
