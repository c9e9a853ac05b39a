/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in memory, with the one door to it: what is stored is logged if somebody wants that, the
 * pages that changed are known, and so is a hash of all of it at any moment.
 *
 * So an image is made another one, tried, and made what it was again without copying all of it.
 */
#ifndef DDFS_TEST_CRASH_MEMORY_H
#define DDFS_TEST_CRASH_MEMORY_H

#include "fs/media.h"

#define CRASH_BYTES (UINT64_C(16) << 20)
#define CRASH_PAGE  UINT64_C(4096)
#define CRASH_PAGES (CRASH_BYTES / CRASH_PAGE)

struct crash_log;

struct crash_memory {
	struct ddfs_media media; /* first */
	uint8_t *writable;	 /* the same memory */
	int fd;
	struct crash_log *log; /* NULL: nobody listens */
	/* Before each store, flush, fence and deep flush; NULL. */
	void (*at_door)(void *arg);
	void *at_door_arg;
	/* Of what it holds, from 0 when all is zeroes: equal contents have equal hashes. */
	uint64_t hash;
	/* As it was when the superblock was last stored to: a mount has replayed the lanes then and
	 * done nothing else. */
	uint64_t hash_at_super;
	/* Pages stored to since the last revert (or since init). */
	uint64_t is_dirty[CRASH_PAGES / 64];
	uint16_t dirty[CRASH_PAGES];
	uint32_t nr_dirty;
};

/* Aborts if there is no memory. */
void crash_memory_init(struct crash_memory *m);
void crash_memory_fini(struct crash_memory *m);

/* Beside the door: no log. */
void crash_memory_store(struct crash_memory *m, uint64_t off, const void *src, size_t len);

/* All of it, and no page is dirty. */
void crash_memory_copy(struct crash_memory *m, const struct crash_memory *from);

/* Make these pages what they are in `from`, to which m is equal then. */
void crash_memory_take(struct crash_memory *m, const struct crash_memory *from,
	const uint16_t *pages, uint32_t nr);
/* The same of the dirty ones; none is dirty afterwards. */
void crash_memory_revert(struct crash_memory *m, const struct crash_memory *from);

/* No page is dirty: what is stored so far is what later stores are compared to. */
void crash_memory_settle(struct crash_memory *m);

/* To a file. -errno. */
int crash_memory_save(const struct crash_memory *m, const char *path);

#endif
