/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/edit.h"

#include <string.h>

#include "tests/fuzz/input.h"
#include "tests/fuzz/part.h"
#include "tests/fuzz/stage.h"

#define MAX_EDITS 64

/* Of the byte that begins an edit. */
#define EDIT_LAST  0xff
#define EDIT_RAW   NR_PART_KINDS /* no structure: a place on the device */
#define EDIT_KINDS (NR_PART_KINDS + 1)
/* Of its second byte. */
#define HOW_MASK    0x07
#define HOW_BOTH    0x40 /* both copies, of what there are two of */
#define HOW_NO_SEAL 0x80

/* Where in the structure: a few bytes, in place. */
static uint8_t *field(const struct stage *s, const struct part *p, uint32_t at, uint32_t width)
{
	uint32_t off = at % (p->len - width + 1);

	return s->ram.writable + p->off + off / width * width;
}

static void set_bytes(const struct stage *s, const struct part *p, struct input *in)
{
	uint8_t bytes[16];
	uint32_t at = input_16(in), len = 1 + input_8(in) % sizeof(bytes);

	input_bytes(in, bytes, len);
	memcpy(s->ram.writable + p->off + at % (p->len - len + 1), bytes, len);
}

/* The number of a block, or what is near it. */
static void set_block(const struct stage *s, const struct part *p, struct input *in)
{
	uint8_t *to = field(s, p, input_16(in), 8);
	unsigned int which = input_8(in);
	int8_t near = (int8_t)input_8(in);
	uint64_t block = STAGE_BLOCKS;

	if (which < s->nr_nodes)
		block = s->nodes[which] / DDFS_BLOCK_BYTES;
	else if (which & 1)
		block = ddfs_le64(stage_super(s)->data_off) / DDFS_BLOCK_BYTES;
	else if (which & 2)
		block = DDFS_EXTENT_UNWRITTEN;
	block += (uint64_t)(int64_t)near;
	memcpy(to, &block, sizeof(block));
}

static void set_32(const struct stage *s, const struct part *p, struct input *in)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 4, 16, 255, 256, 4095, 4096, 4097, 65535,
		65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, STAGE_BLOCKS,
		STAGE_BLOCKS - 2 };
	uint8_t *to = field(s, p, input_16(in), 4);

	memcpy(to, &values[input_8(in) % (sizeof(values) / sizeof(values[0]))], 4);
}

static void add_16(const struct stage *s, const struct part *p, struct input *in)
{
	uint8_t *to = field(s, p, input_16(in), 2);
	uint16_t value;

	memcpy(&value, to, sizeof(value));
	value = (uint16_t)(value + (int8_t)input_8(in));
	memcpy(to, &value, sizeof(value));
}

static void copy_other(const struct stage *s, const struct part *p, struct input *in)
{
	struct part from = part_get(s, p->kind, input_8(in));

	memmove(s->ram.writable + p->off, s->ram.writable + from.off, p->len);
}

static void set_all(const struct stage *s, const struct part *p, struct input *in)
{
	memset(s->ram.writable + p->off, input_8(in), p->len);
}

/* Entries of a node, or fields. */
static void swap_entries(const struct stage *s, const struct part *p, struct input *in)
{
	uint8_t *a = field(s, p, input_16(in), 16), *b = field(s, p, input_16(in), 16);
	uint8_t was[16];

	memcpy(was, a, sizeof(was));
	memmove(a, b, sizeof(was));
	memcpy(b, was, sizeof(was));
}

static void change(struct stage *s, const struct part *p, unsigned int how, struct input *in)
{
	stage_note(s, p->off, p->len);
	switch (how & HOW_MASK) {
	case 1:
		set_block(s, p, in);
		break;
	case 2:
		set_32(s, p, in);
		break;
	case 3:
		add_16(s, p, in);
		break;
	case 4:
		copy_other(s, p, in);
		break;
	case 5:
		set_all(s, p, in);
		break;
	case 6:
		swap_entries(s, p, in);
		break;
	default:
		set_bytes(s, p, in);
		break;
	}
	if (!(how & HOW_NO_SEAL))
		part_seal(s, p);
}

static void edit_part(struct stage *s, enum part_kind kind, struct input *in)
{
	unsigned int how = input_8(in), index = input_8(in);
	bool is_pair = kind == PART_SUPER || kind == PART_ROOT_BLOCK;
	struct input again = *in;
	struct part p = part_get(s, kind, index);

	change(s, &p, how, in);
	if (is_pair && how & HOW_BOTH) {
		p = part_get(s, kind, index + 1);
		change(s, &p, how, &again);
	}
}

static void edit_raw(struct stage *s, struct input *in)
{
	uint8_t bytes[8];
	uint64_t off = input_32(in) % (STAGE_BYTES - sizeof(bytes));

	input_bytes(in, bytes, sizeof(bytes));
	stage_store(s, off, bytes, sizeof(bytes));
}

void edit_image(struct stage *s, struct input *in)
{
	for (unsigned int i = 0; i < MAX_EDITS && !input_is_empty(in); i++) {
		uint8_t kind = input_8(in);

		if (kind == EDIT_LAST)
			return;
		if (kind % EDIT_KINDS == EDIT_RAW)
			edit_raw(s, in);
		else
			edit_part(s, (enum part_kind)(kind % EDIT_KINDS), in);
	}
}
