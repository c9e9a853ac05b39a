/* SPDX-License-Identifier: BSD-3-Clause */
/* The structures of an image, by kind and number. */
#ifndef DDFS_FUZZ_PART_H
#define DDFS_FUZZ_PART_H

#include <stdint.h>

struct stage;

enum part_kind {
	PART_SUPER,
	PART_ROOT_BLOCK,
	PART_GROUP,
	PART_CHUNK,
	PART_LANE,
	PART_SLOT,
	PART_NODE,
	PART_PIN,
	PART_BAD,
	NR_PART_KINDS,
};

struct part {
	enum part_kind kind;
	uint64_t off;
	uint32_t len;
};

/* Any index is one. */
struct part part_get(const struct stage *s, enum part_kind kind, unsigned int index);
/* Gives it a checksum that holds where it lies. */
void part_seal(struct stage *s, const struct part *p);

#endif
