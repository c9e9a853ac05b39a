/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memories that crashes are tried in: of each level what is durable at the moment, and a
 * scratch copy of that in which an image is made and recovered.
 *
 * Between two trials both are equal, and those of deeper levels are equal to them.
 */
#ifndef DDFS_TEST_CRASH_PLANES_H
#define DDFS_TEST_CRASH_PLANES_H

#include "tests/crash/states.h"

struct crash_plane {
	struct crash_memory durable; /* dirty: against the level above */
	struct crash_memory scratch; /* dirty: against durable */
};

#define CRASH_PLANES 3u

struct crash_planes {
	struct crash_plane plane[CRASH_PLANES];
};

void crash_planes_init(struct crash_planes *p);
void crash_planes_fini(struct crash_planes *p);

/* All of it, at all levels. */
void crash_planes_copy(struct crash_planes *p, const struct crash_memory *from);

/* What was stored becomes durable at this level; the deeper ones follow. */
void crash_planes_store(
	struct crash_planes *p, unsigned int level, uint64_t off, const void *src, size_t len);
/* The same with state i of a cut. */
void crash_planes_apply(
	struct crash_planes *p, unsigned int level, const struct crash_cut *cut, uint64_t i);

/* What the level has become is what the level above it is (level 0: what `first` is) again. */
void crash_planes_leave(
	struct crash_planes *p, unsigned int level, const struct crash_memory *first);

#endif
