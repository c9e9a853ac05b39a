/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of structure that there are, to be damaged. */
#ifndef DDFS_TEST_REPAIR_PARTS_H
#define DDFS_TEST_REPAIR_PARTS_H

#include "tests/unit/repair_stage.h"
#include "tests/unit/rng.h"

#define NR_PARTS 16

struct part {
	uint64_t off;
	uint32_t len;
	uint32_t ino; /* that it belongs to */
	bool dir;     /* of a directory: names may be lost */
};

struct part part_get(struct healed *h, unsigned int kind);

/* Change len bytes from the byte on. seal: the checksum then fits. */
void part_change(struct healed *h, struct rng *rng, const struct part *at, uint32_t byte, bool seal,
	uint32_t len);

/* The image as it is now, to be closed. */
struct ddfs_image healed_image(struct healed *h);

#endif
