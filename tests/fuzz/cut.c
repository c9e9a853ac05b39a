/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/cut.h"

#include <string.h>

#include "tests/fuzz/input.h"

static void cut_store(void *arg, uint64_t off, size_t len)
{
	struct cut *c = arg;

	if (c->fences || !len)
		return;
	for (uint64_t b = off / DDFS_BLOCK_BYTES; b <= (off + len - 1) / DDFS_BLOCK_BYTES; b++) {
		if (c->was[b])
			continue;
		c->was[b] = malloc(DDFS_BLOCK_BYTES);
		fuzz_want(c->was[b]);
		memcpy(c->was[b], c->stage->ram.writable + b * DDFS_BLOCK_BYTES, DDFS_BLOCK_BYTES);
	}
}

static void cut_drain(void *arg)
{
	struct cut *c = arg;

	if (c->fences)
		c->fences--;
}

void cut_begin(struct cut *c, struct stage *s, unsigned int fences)
{
	memset(c, 0, sizeof(*c));
	c->stage = s;
	c->fences = fences + 1;
	s->stored = cut_store;
	s->drained = cut_drain;
	s->arg = c;
}

bool cut_end(struct cut *c)
{
	c->stage->stored = NULL;
	c->stage->drained = NULL;
	for (uint64_t b = 0; b < STAGE_BLOCKS; b++) {
		if (!c->was[b])
			continue;
		memcpy(c->stage->ram.writable + b * DDFS_BLOCK_BYTES, c->was[b], DDFS_BLOCK_BYTES);
		free(c->was[b]);
	}
	return !c->fences;
}
