/* SPDX-License-Identifier: BSD-3-Clause */
/* Bits in 64-bit words, bit i in word i / 64. */
#ifndef DDFS_FS_BITMAP_H
#define DDFS_FS_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#define DDFS_WORD_BITS 64u

static inline void ddfs_bitmap_assign(uint64_t *map, uint64_t i, bool on)
{
	uint64_t bit = UINT64_C(1) << (i % DDFS_WORD_BITS);

	if (on)
		map[i / DDFS_WORD_BITS] |= bit;
	else
		map[i / DDFS_WORD_BITS] &= ~bit;
}

/* Set or clear n bits from first on. */
static inline void ddfs_bitmap_fill(uint64_t *map, uint64_t first, uint64_t n, bool on)
{
	while (n) {
		uint64_t at = first % DDFS_WORD_BITS, room = DDFS_WORD_BITS - at;
		uint64_t take = n < room ? n : room;
		uint64_t mask = (UINT64_MAX >> (DDFS_WORD_BITS - take)) << at;

		if (on)
			map[first / DDFS_WORD_BITS] |= mask;
		else
			map[first / DDFS_WORD_BITS] &= ~mask;
		first += take;
		n -= take;
	}
}

/* The first i >= from below end whose bit is on; end if there is none. */
static inline uint64_t ddfs_bitmap_find(const uint64_t *map, uint64_t from, uint64_t end, bool on)
{
	uint64_t flip = on ? 0 : UINT64_MAX;

	while (from < end) {
		uint64_t word = (map[from / DDFS_WORD_BITS] ^ flip) >> (from % DDFS_WORD_BITS);

		if (word) {
			from += (uint64_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from / DDFS_WORD_BITS + 1) * DDFS_WORD_BITS;
	}
	return end;
}

/* How many bits directly before end, down to from at most, are as on says. */
static inline uint64_t ddfs_bitmap_run_before(
	const uint64_t *map, uint64_t from, uint64_t end, bool on)
{
	uint64_t flip = on ? UINT64_MAX : 0, at = end;

	while (at > from) {
		uint64_t last = at - 1, unused = DDFS_WORD_BITS - 1 - last % DDFS_WORD_BITS;
		uint64_t word = (map[last / DDFS_WORD_BITS] ^ flip) << unused;

		if (word) {
			at -= (uint64_t)__builtin_clzll(word);
			break;
		}
		at = last / DDFS_WORD_BITS * DDFS_WORD_BITS;
	}
	return end - (at > from ? at : from);
}

#endif
