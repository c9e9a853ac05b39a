/* SPDX-License-Identifier: BSD-3-Clause */
/* What clients hold: the pin table, and the page map on the device. */
#include "tests/unit/check_priv.h"

static void check_record(struct check *c, uint32_t slot, const struct ddfs_pin_record *r)
{
	uint64_t start = ddfs_le64(r->start), len = ddfs_le32(r->len);
	uint32_t ino = ddfs_le32(r->ino), mode = ddfs_le32(r->mode);

	if (start < c->data_block || start >= c->nr_blocks - 2 || !len ||
		len > c->nr_blocks - 2 - start || !mode || mode > 3) {
		check_say(c, "pin record %u: blocks %llu+%llu, mode %u", slot,
			(unsigned long long)start, (unsigned long long)len, mode);
		return;
	}
	for (uint64_t b = start; b < start + len && !(c->flags & IMAGE_STRAY_PINS); b++) {
		if (c->owner[b] == OWNER(ino))
			continue;
		check_say(c, "pin record %u: block %llu is not inode %u's", slot,
			(unsigned long long)b, ino);
		return;
	}
}

static void check_table(struct check *c)
{
	uint64_t off = ddfs_le64(c->super.pins_off), bytes = ddfs_le64(c->super.pins_bytes);
	const struct ddfs_pin_table *head = (const void *)(c->base + off);
	uint32_t nr = ddfs_le32(head->nr_slots);

	if (!check_sum_holds(c->seed, off, head, sizeof(*head)) ||
		nr > bytes / sizeof(struct ddfs_pin_record) - 1) {
		check_say(c, "pin table: its head");
		return;
	}
	for (uint32_t i = 0; i < nr; i++) {
		const struct ddfs_pin_record *r;

		off += sizeof(*r);
		r = (const void *)(c->base + off);
		if (ddfs_le32(r->epoch) && check_sum_holds(c->seed, off, r, sizeof(*r)))
			check_record(c, i, r);
	}
}

static void check_map(struct check *c)
{
	uint64_t bytes = ddfs_le64(c->super.pagemap_bytes);
	const uint64_t *word = (const void *)(c->base + ddfs_le64(c->super.pagemap_off));

	for (uint64_t i = 0; i < bytes / sizeof(*word); i++)
		if (word[i]) {
			check_say(c, "page map: a page is held, word %llu", (unsigned long long)i);
			return;
		}
}

void check_pins(struct check *c)
{
	uint64_t off = ddfs_le64(c->super.pins_off), bytes = ddfs_le64(c->super.pins_bytes);
	uint64_t data = ddfs_le64(c->super.data_off), map = ddfs_le64(c->super.pagemap_off);

	if (off % DDFS_BLOCK_BYTES || bytes < DDFS_BLOCK_BYTES || off > data ||
		bytes > data - off || off < map + ddfs_le64(c->super.pagemap_bytes)) {
		check_say(c, "superblock: pins_off, pins_bytes");
		return;
	}
	check_table(c);
	if (c->out->clean)
		check_map(c);
}
