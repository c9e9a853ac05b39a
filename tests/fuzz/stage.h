/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images in memory that an input damages and a run changes, and that are mended behind it.
 *
 *	struct stage *s = stage_get(input_8(&in));
 *
 *	stage_store(s, off, bytes, len);
 *	ddfs_fs_open(&s->ram.media, ...);
 *	...
 *	stage_mend(s);
 *
 * They are built once, and are the same in each process, so that an input means the same again.
 * Whatever is outside of an image faults when it is read, and so does a store past the door.
 */
#ifndef DDFS_FUZZ_STAGE_H
#define DDFS_FUZZ_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/format.h"
#include "tests/unit/ram.h"

#define STAGE_BYTES  (UINT64_C(16) << 20)
#define STAGE_BLOCKS (STAGE_BYTES / DDFS_BLOCK_BYTES)

enum stage_base {
	STAGE_FRESH,	 /* as mkfs leaves it */
	STAGE_POPULATED, /* a tree with every kind of structure */
	STAGE_LEFT,	 /* the same, by a mount that died: orphans, pins, bad blocks, a lane */
	STAGE_MAP_DEV,	 /* populated, with room for the page map on the device */
	NR_STAGES,
};

#define STAGE_PARTS_MAX 96

struct stage {
	struct ram ram; /* first */
	struct ddfs_media_ops ops;
	struct ram_ear ear;
	uint8_t *healthy;
	uint16_t dirty[STAGE_BLOCKS]; /* blocks that differ, perhaps */
	unsigned int nr_dirty;
	bool is_dirty[STAGE_BLOCKS];
	/* Called before a store, and when a fence ends; NULL: nobody. */
	void (*stored)(void *arg, uint64_t off, size_t len);
	void (*drained)(void *arg);
	void *arg;
	/* Byte offsets of inodes and nodes that are worth a change. */
	uint64_t slots[STAGE_PARTS_MAX], nodes[STAGE_PARTS_MAX];
	unsigned int nr_slots, nr_nodes;
};

/* Never NULL; which is taken modulo their number. */
struct stage *stage_get(unsigned int which);

/* Outside of any mount. */
void stage_store(struct stage *s, uint64_t off, const void *bytes, size_t len);
/* Makes the image what it was. */
void stage_mend(struct stage *s);
/* That a store went past the door. */
void stage_note(struct stage *s, uint64_t off, size_t len);

static inline const struct ddfs_super *stage_super(const struct stage *s)
{
	return (const struct ddfs_super *)s->healthy;
}

static inline uint32_t stage_seed(const struct stage *s)
{
	return ddfs_le32(stage_super(s)->csum_seed);
}

#endif
