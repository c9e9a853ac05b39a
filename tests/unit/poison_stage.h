/* SPDX-License-Identifier: BSD-3-Clause */
/* An image with every kind of structure, of which one page at a time can't be read. */
#ifndef DDFS_TEST_POISON_STAGE_H
#define DDFS_TEST_POISON_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"
#include "tests/unit/ram.h"

#define POISON_SIZE  (UINT64_C(16) << 20)
#define POISON_PAGES 1024

enum poison_part {
	POISON_SUPER,
	POISON_ROOT_BLOCK,
	POISON_GROUPS,
	POISON_LANE,
	POISON_CHUNKS,
	POISON_PINS,
	POISON_BAD,
	POISON_INODES, /* of the inode table */
	POISON_NODE,
	POISON_TARGET, /* of a symlink */
};

struct poison_page {
	uint64_t off;
	enum poison_part part;
	bool first; /* the first copy, or the first page of its lane or table */
};

struct poison_stage {
	struct ram ram;
	struct ddfs_media_ops ops; /* the memory's, but for clear_poison */
	uint8_t *healthy;	   /* the image */
	struct poison_page page[POISON_PAGES];
	unsigned int nr_pages;
	bool clears;	   /* the device can clear poison */
	uint64_t poisoned; /* offset of the page; UINT64_MAX: none */
	uint64_t lanes_off, lanes_end;
	struct ram_ear ear;
	atomic_uint nr_commits; /* transactions that were published */
};

/* With crash, the image of a filesystem that was not unmounted, with orphans. */
void poison_init(struct poison_stage *s, bool crash);
void poison_fini(struct poison_stage *s);
/* The image is as it was to begin with, and all of it can be read. */
void poison_reset(struct poison_stage *s);
void poison_page(struct poison_stage *s, uint64_t off);
void poison_heal(struct poison_stage *s);

/* What the mount says, silently. */
int poison_mount(struct poison_stage *s, bool readonly, struct ddfs_fs **fs);

/* No lock is held, no reference is left but those of root, no lane taken, nothing promised. */
void poison_check_idle(struct poison_stage *s, struct ddfs_fs *fs);
/* Unmounted: the image holds, and everything in it can be removed. */
void poison_check_image(struct poison_stage *s);

#endif
