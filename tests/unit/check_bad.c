/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known to be bad: the table of it. */
#include "tests/unit/check_priv.h"

void check_bad(struct check *c)
{
	uint64_t off = ddfs_le64(c->super.bad_off), bytes = ddfs_le64(c->super.bad_bytes);
	uint64_t pins_end = ddfs_le64(c->super.pins_off) + ddfs_le64(c->super.pins_bytes);

	if (off != pins_end || bytes != DDFS_BAD_BYTES ||
		off + bytes > ddfs_le64(c->super.data_off)) {
		check_say(c, "superblock: bad_off, bad_bytes");
		return;
	}
	for (uint64_t end = off + bytes; off < end; off += sizeof(struct ddfs_bad_record)) {
		const struct ddfs_bad_record *r = (const void *)(c->base + off);
		uint64_t start = ddfs_le64(r->start), len = ddfs_le32(r->len);

		if (!len || !check_sum_holds(c->seed, off, r, sizeof(*r)))
			continue;
		if (start >= c->nr_blocks || len > c->nr_blocks - start)
			check_say(c, "bad record at %llu: blocks %llu+%llu",
				(unsigned long long)off, (unsigned long long)start,
				(unsigned long long)len);
	}
}
