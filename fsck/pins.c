/* SPDX-License-Identifier: BSD-3-Clause */
/* Pass 5: the pin table, and the page map on the device. */
#include <stdlib.h>
#include <string.h>

#include "fsck/passes.h"
#include "fsck/pin_list.h"
#include "fsck/state.h"

/* ---- the table ------------------------------------------------------------------------------ */

static void say_head(struct fsck *f, const char *fault)
{
	fsck_problem(f, true, "the pin table's head %s", fault);
	fsck_whole_flag(f, FSCK_WHOLE_PINS);
}

/* The slots to look at: as a mount does, all of them if the head does not say. */
static uint32_t read_head(struct fsck *f)
{
	const struct ddfs_super *s = &f->img.super;
	uint64_t off = ddfs_le64(s->pins_off);
	uint32_t room = (uint32_t)(ddfs_le64(s->pins_bytes) / sizeof(struct ddfs_pin_record)) - 1;
	struct ddfs_pin_table head;

	if (ddfs_image_read(&f->img, off, &head, sizeof(head)))
		say_head(f, "can't be read");
	else if (!ddfs_image_sum_holds(&f->img, off, &head, sizeof(head)))
		say_head(f, "fails its checksum");
	else if (ddfs_le32(head.nr_slots) > room)
		say_head(f, "has more slots than there is room for");
	else
		return ddfs_le32(head.nr_slots);
	return room;
}

static void say_record(struct fsck *f, const struct fsck_pin *p)
{
	fsck_problem(f, true, "pin record %u (blocks %llu+%u of inode %u) %s", p->slot,
		(unsigned long long)ddfs_le64(p->rec.start), ddfs_le32(p->rec.len),
		ddfs_le32(p->rec.ino), p->fault);
	fsck_whole_flag(f, FSCK_WHOLE_PINS);
}

static void check_table(struct fsck *f)
{
	struct fsck_pin *pin;
	size_t nr;
	int err = fsck_pin_list(f, read_head(f), &pin, &nr);

	if (err) {
		fsck_fail(f, err);
		return;
	}
	for (size_t i = 0; i < nr; i++)
		if (pin[i].fault)
			say_record(f, &pin[i]);
	free(pin);
}

/* ---- the page map --------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *buf, size_t len)
{
	return !buf[0] && !memcmp(buf, buf + 1, len - 1);
}

static void check_map(struct fsck *f)
{
	uint64_t off = ddfs_le64(f->img.super.pagemap_off), step;
	uint64_t end = off + ddfs_le64(f->img.super.pagemap_bytes);
	uint8_t buf[DDFS_BLOCK_BYTES];

	for (; off < end && !fsck_is_ending(f); off += step) {
		step = end - off < sizeof(buf) ? end - off : sizeof(buf);
		/* what can't be read is not used by a mount */
		if (ddfs_image_read(&f->img, off, buf, step) || is_zero(buf, step))
			continue;
		fsck_problem(f, true, "the page map has a page that is held, near byte %llu",
			(unsigned long long)off);
		fsck_whole_flag(f, FSCK_WHOLE_PAGEMAP);
		return;
	}
}

void fsck_check_pins(struct fsck *f)
{
	check_table(f);
	if (ddfs_le32(f->img.super.state) == DDFS_STATE_CLEAN)
		check_map(f);
}
