/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of hashes: what has been tried. */
#ifndef DDFS_TEST_CRASH_SEEN_H
#define DDFS_TEST_CRASH_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crash_seen {
	uint64_t *slots; /* 0: empty */
	size_t nr, cap;
};

void crash_seen_fini(struct crash_seen *s);
void crash_seen_clear(struct crash_seen *s);
bool crash_seen_has(const struct crash_seen *s, uint64_t hash);
/* False: it was there. */
bool crash_seen_add(struct crash_seen *s, uint64_t hash);

/* Two numbers as one, and a number as a random one. */
static inline uint64_t crash_hash(uint64_t a, uint64_t b)
{
	uint64_t x = a + b * UINT64_C(0x9e3779b97f4a7c15) + UINT64_C(0x632be59bd9b4e019);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

#endif
