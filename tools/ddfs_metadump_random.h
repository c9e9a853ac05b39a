/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers and letters that follow from a seed, and from nothing else. */
#ifndef DDFS_TOOLS_DDFS_METADUMP_RANDOM_H
#define DDFS_TOOLS_DDFS_METADUMP_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Splitmix64. */
static inline uint64_t ddfs_random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline void ddfs_random_letters(uint64_t *state, uint8_t *out, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)letters[ddfs_random_next(state) >> 59];
}

#endif
