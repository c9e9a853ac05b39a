/* SPDX-License-Identifier: BSD-3-Clause */
/* The pin table: records that name what can't be are given back. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fsck/repair_priv.h"

#define PIN_MODES  3u /* loads, stores */
#define SLOTS_STEP 64u

/* Whether a file has the blocks that a record names, counted while its map is walked. */
struct having {
	const struct ddfs_pin_record *pin;
	uint64_t nr;
};

static int count_extent(void *arg, const struct ddfs_extent *e)
{
	struct having *h = arg;
	uint64_t from = ddfs_le32(e->lblk), to = from + ddfs_le32(e->len);
	uint64_t first = ddfs_le32(h->pin->lblk), last = first + ddfs_le32(h->pin->len);
	uint64_t start = ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN;

	if (to <= first || from >= last || start - from != ddfs_le64(h->pin->start) - first)
		return 0;
	h->nr += (to < last ? to : last) - (from > first ? from : first);
	return 0;
}

static bool file_has(const struct fsck_repair *r, const struct ddfs_pin_record *pin)
{
	struct having h = { .pin = pin };
	struct ddfs_image_walk walk = { .arg = &h, .extent = count_extent };
	struct ddfs_inode_disk di;

	if (ddfs_le32(pin->ino) < DDFS_INO_FIRST ||
		ddfs_image_inode(r->img, ddfs_le32(pin->ino), &di) ||
		!S_ISREG(ddfs_le16(di.mode)) || di.gen.raw != pin->gen.raw)
		return false;
	ddfs_image_walk_extents(r->img, &di, &walk);
	return h.nr == ddfs_le32(pin->len);
}

static bool pin_holds(const struct fsck_repair *r, const struct ddfs_pin_record *pin)
{
	uint32_t mode = ddfs_le32(pin->mode);

	return ddfs_le32(pin->len) &&
	       ddfs_image_blocks_valid(r->img, ddfs_le64(pin->start), ddfs_le32(pin->len)) &&
	       mode && !(mode & ~PIN_MODES) &&
	       (r->f->opt->flags & DDFS_FSCK_STRAY_PINS || file_has(r, pin));
}

/* Of nr slots; *nr_used: behind the last that is in use. */
static int repair_pins(struct fsck_repair *r, uint32_t nr, uint32_t *nr_used)
{
	uint64_t off = ddfs_le64(r->img->super.pins_off) + sizeof(struct ddfs_pin_table);
	struct ddfs_pin_record pin;
	int err = 0;

	for (uint32_t i = 0; i < nr && !err; i++, off += sizeof(pin)) {
		if (ddfs_image_read(r->img, off, &pin, sizeof(pin)) || !ddfs_le32(pin.epoch) ||
			!ddfs_image_sum_holds(r->img, off, &pin, sizeof(pin)))
			continue;
		if (pin_holds(r, &pin))
			*nr_used = i + 1;
		else
			err = fsck_zero(r, off, sizeof(pin));
	}
	return err;
}

int fsck_pins_repair(struct fsck_repair *r)
{
	const struct ddfs_super *s = &r->img->super;
	uint64_t off = ddfs_le64(s->pins_off);
	uint32_t room = (uint32_t)(ddfs_le64(s->pins_bytes) / sizeof(struct ddfs_pin_record)) - 1;
	struct ddfs_pin_table head, fresh = { 0 };
	uint32_t nr_used = 0;
	bool holds = !ddfs_image_read(r->img, off, &head, sizeof(head)) &&
		     ddfs_image_sum_holds(r->img, off, &head, sizeof(head)) &&
		     ddfs_le32(head.nr_slots) <= room;
	int err = 0;

	if (!(r->f->whole & FSCK_WHOLE_PINS))
		return 0;
	err = repair_pins(r, holds ? ddfs_le32(head.nr_slots) : room, &nr_used);

	if (err || holds)
		return err;
	nr_used = (nr_used + SLOTS_STEP - 1) / SLOTS_STEP * SLOTS_STEP;
	fresh.nr_slots = ddfs_to32(nr_used < room ? nr_used : room);
	err = fsck_fixed_store(r, off, &fresh, sizeof(fresh));
	return err == -ENODATA ? 0 : err;
}
