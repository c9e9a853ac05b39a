/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of bad blocks: what is found unreadable is entered, so that it is given to nobody; what
 * lies outside the device is given back. */
#include <errno.h>
#include <time.h>

#include "fsck/repair_priv.h"

#define NR_RECORDS (DDFS_BAD_BYTES / sizeof(struct ddfs_bad_record))

static uint64_t record_off(const struct fsck_repair *r, size_t i)
{
	return ddfs_le64(r->img->super.bad_off) + i * sizeof(struct ddfs_bad_record);
}

/* 0: it is in use; 1: it is free; -EIO. */
static int read_record(const struct fsck_repair *r, size_t i, struct ddfs_bad_record *out)
{
	uint64_t off = record_off(r, i);

	if (ddfs_image_read(r->img, off, out, sizeof(*out)))
		return -EIO;
	return !ddfs_le32(out->len) || !ddfs_image_sum_holds(r->img, off, out, sizeof(*out));
}

int fsck_bad_note(struct fsck_repair *r, uint64_t blk)
{
	struct ddfs_bad_record rec = { .len = ddfs_to32(1),
		.start = ddfs_to64(blk),
		.since = ddfs_to64((uint64_t)time(NULL)) };
	size_t free = NR_RECORDS;

	for (size_t i = 0; i < NR_RECORDS; i++) {
		struct ddfs_bad_record known;
		int ret = read_record(r, i, &known);

		if (ret > 0 && free == NR_RECORDS)
			free = i;
		if (!ret && blk - ddfs_le64(known.start) < ddfs_le32(known.len))
			return 0;
	}
	/* A full table knows what it knows. */
	if (free == NR_RECORDS)
		return 0;
	fsck_tell(r, "block %llu can't be read: it is noted as bad, and not used",
		(unsigned long long)blk);
	return fsck_fixed_store(r, record_off(r, free), &rec, sizeof(rec));
}

int fsck_bad_repair(struct fsck_repair *r)
{
	int err = 0;

	if (!(r->f->whole & FSCK_WHOLE_BAD))
		return 0;
	for (size_t i = 0; i < NR_RECORDS && !err; i++) {
		struct ddfs_bad_record rec;
		uint64_t start, len;

		if (read_record(r, i, &rec))
			continue;
		start = ddfs_le64(rec.start);
		len = ddfs_le32(rec.len);
		if (start >= r->img->nr_blocks || len > r->img->nr_blocks - start)
			err = fsck_zero(r, record_off(r, i), sizeof(rec));
	}
	return err;
}
