/* SPDX-License-Identifier: BSD-3-Clause */
/* The pin table of a filesystem in memory: looked at, and forged. */
#ifndef DDFS_TEST_PIN_TABLE_H
#define DDFS_TEST_PIN_TABLE_H

#include <check.h>

#include "fs/csum.h"
#include "fs/format.h"
#include "tests/unit/pin_stage.h"

static inline const struct ddfs_super *pin_table_super(const struct pin_stage *s)
{
	return (const void *)s->ram.media.base;
}

static inline uint64_t pin_table_off(const struct pin_stage *s)
{
	return ddfs_le64(pin_table_super(s)->pins_off);
}

static inline uint32_t pin_table_nr_slots(const struct pin_stage *s)
{
	const struct ddfs_pin_table *t = (const void *)(s->ram.media.base + pin_table_off(s));

	ck_assert(ddfs_csum_holds(
		ddfs_le32(pin_table_super(s)->csum_seed), pin_table_off(s), t, sizeof(*t)));
	return ddfs_le32(t->nr_slots);
}

static inline uint64_t pin_table_slot_off(const struct pin_stage *s, uint32_t slot)
{
	return pin_table_off(s) + sizeof(struct ddfs_pin_table) +
	       slot * sizeof(struct ddfs_pin_record);
}

static inline struct ddfs_pin_record *pin_table_record(struct pin_stage *s, uint32_t slot)
{
	return (void *)(s->ram.writable + pin_table_slot_off(s, slot));
}

static inline bool pin_table_has_record(struct pin_stage *s, uint32_t slot)
{
	const struct ddfs_pin_record *r = pin_table_record(s, slot);

	return ddfs_le32(r->epoch) && ddfs_csum_holds(ddfs_le32(pin_table_super(s)->csum_seed),
					      pin_table_slot_off(s, slot), r, sizeof(*r));
}

static inline unsigned int pin_table_nr_records(struct pin_stage *s)
{
	uint64_t room =
		ddfs_le64(pin_table_super(s)->pins_bytes) / sizeof(struct ddfs_pin_record) - 1;
	unsigned int nr = 0;

	for (uint32_t i = 0; i < room; i++)
		nr += pin_table_has_record(s, i);
	return nr;
}

static inline void pin_table_forge(struct pin_stage *s, uint32_t slot, struct ddfs_pin_record r)
{
	ddfs_csum_seal(ddfs_le32(pin_table_super(s)->csum_seed), pin_table_slot_off(s, slot), &r,
		sizeof(r));
	*pin_table_record(s, slot) = r;
}

#endif
