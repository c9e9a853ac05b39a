/* SPDX-License-Identifier: BSD-3-Clause */
/* Which blocks some inode has: a bit a block. */
#include "fsck/state.h"

/* The bits of a word from block `from` on, up to `end`, both of the device. */
static uint64_t word_mask(uint64_t word, uint64_t from, uint64_t end)
{
	uint64_t mask = ~UINT64_C(0);

	if (from > word * 64)
		mask <<= from % 64;
	if (end < (word + 1) * 64)
		mask &= ~UINT64_C(0) >> (64 - end % 64);
	return mask;
}

bool fsck_claim(struct fsck *f, uint64_t start, uint64_t len)
{
	uint64_t end = start + len, clash = 0;

	for (uint64_t w = start / 64; w * 64 < end; w++) {
		uint64_t mask = word_mask(w, start, end);
		uint64_t twice =
			atomic_fetch_or_explicit(&f->claimed[w], mask, memory_order_relaxed) & mask;

		if (!twice)
			continue;
		atomic_fetch_or_explicit(&f->claimed_twice[w], twice, memory_order_relaxed);
		clash |= twice;
	}
	if (clash)
		atomic_store(&f->clashed, true);
	return !clash;
}

bool fsck_is_claimed(const struct fsck *f, uint64_t blk)
{
	return f->claimed[blk / 64] >> (blk % 64) & 1;
}
