/* SPDX-License-Identifier: BSD-3-Clause */
/* The records of the pin table, and what does not hold of each. */
#ifndef DDFS_FSCK_PIN_LIST_H
#define DDFS_FSCK_PIN_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "fs/format.h"

struct fsck;

struct fsck_pin {
	struct ddfs_pin_record rec;
	uint32_t slot;
	const char *fault; /* a clause, NULL: it holds */
};

/* Of the first nr_slots; in no order, to be freed. One that can't be read is free, as one whose
 * checksum fails. After pass 1. -ENOMEM. */
int fsck_pin_list(const struct fsck *f, uint32_t nr_slots, struct fsck_pin **out, size_t *nr);

#endif
