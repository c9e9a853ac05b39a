/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/seen.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4096u

void crash_seen_fini(struct crash_seen *s)
{
	free(s->slots);
	*s = (struct crash_seen){ 0 };
}

void crash_seen_clear(struct crash_seen *s)
{
	if (s->cap)
		memset(s->slots, 0, s->cap * sizeof(*s->slots));
	s->nr = 0;
}

/* Where it is, or would be. */
static uint64_t *slot_of(const struct crash_seen *s, uint64_t hash)
{
	size_t at = hash & (s->cap - 1);

	while (s->slots[at] && s->slots[at] != hash)
		at = (at + 1) & (s->cap - 1);
	return &s->slots[at];
}

static void grow(struct crash_seen *s)
{
	struct crash_seen old = *s;

	s->cap = old.cap ? old.cap * 4 : FIRST_CAP;
	s->slots = calloc(s->cap, sizeof(*s->slots));
	if (!s->slots)
		abort();
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i])
			*slot_of(s, old.slots[i]) = old.slots[i];
	free(old.slots);
}

bool crash_seen_has(const struct crash_seen *s, uint64_t hash)
{
	hash += !hash;
	return s->cap && *slot_of(s, hash) == hash;
}

bool crash_seen_add(struct crash_seen *s, uint64_t hash)
{
	uint64_t *slot;

	hash += !hash;
	if (s->nr * 2 >= s->cap)
		grow(s);
	slot = slot_of(s, hash);
	if (*slot)
		return false;
	*slot = hash;
	s->nr++;
	return true;
}
