/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/pristine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/format.h"
#include "fs/mkfs.h"
#include "tests/crash/clock.h"
#include "tests/crash/crash.h"

static bool is_used(const uint8_t *base, uint64_t blk)
{
	const struct ddfs_super *s = (const void *)base;
	uint64_t chunk = blk / DDFS_CHUNK_BLOCKS, bit = blk % DDFS_CHUNK_BLOCKS;
	uint64_t group = chunk / ddfs_le32(s->group_chunks);
	const struct ddfs_group_desc *g =
		(const void *)(base + DDFS_GROUP_TABLE_OFF + group * sizeof(*g));
	const struct ddfs_chunk *c =
		(const void *)(base + ddfs_le64(s->chunk_table_off) + chunk * sizeof(*c));

	if (chunk % ddfs_le32(s->group_chunks) >= ddfs_le32(g->nr_init))
		return false;
	return ddfs_le64(c->used[bit / 64]) >> (bit % 64) & 1;
}

/* What was deleted long ago. */
static void fill_free(struct crash_memory *m)
{
	const struct ddfs_super *s = (const void *)m->media.base;
	uint64_t end = ddfs_le64(s->device_bytes) / DDFS_BLOCK_BYTES - 2;
	uint8_t stale[DDFS_BLOCK_BYTES];

	memset(stale, CRASH_STALE, sizeof(stale));
	for (uint64_t b = ddfs_le64(s->data_off) / DDFS_BLOCK_BYTES; b < end; b++)
		if (!is_used(m->media.base, b))
			crash_memory_store(m, b * DDFS_BLOCK_BYTES, stale, sizeof(stale));
}

void crash_pristine_make(struct crash_memory *m, uint64_t align_bytes)
{
	struct ddfs_mkfs p = { .label = "crash" };
	struct ddfs_geometry g;

	crash_clock_set(0);
	m->media.align_bytes = align_bytes;
	memset(m->writable, 0, CRASH_BYTES);
	m->hash = 0;
	if (ddfs_geometry_init(CRASH_BYTES, align_bytes, false, &g) ||
		ddfs_mkfs(&m->media, &p, &g)) {
		fprintf(stderr, "crash: mkfs failed\n");
		abort();
	}
	fill_free(m);
	crash_memory_settle(m);
}
