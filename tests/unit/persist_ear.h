/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the filesystem and a real door, and between the door and libpmem2: which lines are stored
 * to from one fence to the next, and which are flushed.
 */
#ifndef DDFS_TEST_PERSIST_EAR_H
#define DDFS_TEST_PERSIST_EAR_H

#include "fs/media.h"
#include "src/device/device.h"
#include "tests/unit/test_device_image.h"

struct persist_ear {
	struct ddfs_media media; /* for the filesystem */
	struct ddfs_device *dev;
	struct ddfs_media *door;
	struct image image;
	uint8_t *stored;  /* a byte a line: since the last fence */
	uint8_t *flushed; /* how often */
	uint64_t *lines;  /* the set ones of both */
	uint64_t nr_lines;
	uint64_t nr_stored; /* lines stored to, summed over the intervals between fences */
	uint64_t nr_wrong;  /* lines stored to and not flushed once, or flushed and clean */
	bool flushes;	    /* this platform needs it */
	bool talk;	    /* say which are wrong */
};

/* An image of that size in memory. One at a time in the process: libpmem2's functions are given no
 * argument by which to know it. */
void persist_ear_init(struct persist_ear *ear, uint64_t size, enum ddfs_persistence persistence);
void persist_ear_fini(struct persist_ear *ear);

#endif
