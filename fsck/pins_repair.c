/* SPDX-License-Identifier: BSD-3-Clause */
/* The pin table: records that name what can't be are given back. */
#include <errno.h>
#include <stdlib.h>

#include "fsck/pin_list.h"
#include "fsck/repair_priv.h"

#define SLOTS_STEP 64u

/* Of nr slots; *nr_used: behind the last that is in use. */
static int repair_pins(struct fsck_repair *r, uint32_t nr, uint32_t *nr_used)
{
	uint64_t off = ddfs_le64(r->img->super.pins_off) + sizeof(struct ddfs_pin_table);
	struct fsck_pin *pin;
	size_t nr_pins;
	int err = fsck_pin_list(r->f, nr, &pin, &nr_pins);

	if (err)
		return err;
	for (size_t i = 0; i < nr_pins && !err; i++) {
		if (pin[i].fault)
			err = fsck_zero(
				r, off + pin[i].slot * sizeof(pin[i].rec), sizeof(pin[i].rec));
		else if (pin[i].slot >= *nr_used)
			*nr_used = pin[i].slot + 1;
	}
	free(pin);
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
