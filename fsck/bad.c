/* SPDX-License-Identifier: BSD-3-Clause */
/* Pass 5: the table of bad blocks. */
#include <stdlib.h>

#include "fsck/passes.h"
#include "fsck/state.h"

#define RECORDS_A_READ (DDFS_BLOCK_BYTES / sizeof(struct ddfs_bad_record))

struct run {
	uint64_t start, end;
};

struct bad {
	struct fsck *f;
	struct run run[DDFS_BAD_BYTES / sizeof(struct ddfs_bad_record)];
	unsigned int nr;
};

static void check_record(struct bad *b, uint64_t off, const struct ddfs_bad_record *r)
{
	uint64_t start = ddfs_le64(r->start), len = ddfs_le32(r->len);

	/* Free, also if its checksum fails. */
	if (!len || !ddfs_image_sum_holds(&b->f->img, off, r, sizeof(*r)))
		return;
	if (start < b->f->img.nr_blocks && len <= b->f->img.nr_blocks - start) {
		b->run[b->nr++] = (struct run){ start, start + len };
		return;
	}
	fsck_problem(b->f, true, "a record of bad blocks (%llu+%llu, at byte %llu) cannot be",
		(unsigned long long)start, (unsigned long long)len, (unsigned long long)off);
	fsck_whole_flag(b->f, FSCK_WHOLE_BAD);
}

static int by_start(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Records may overlap. */
static uint64_t count(struct bad *b)
{
	uint64_t nr = 0, end = 0;

	qsort(b->run, b->nr, sizeof(*b->run), by_start);
	for (unsigned int i = 0; i < b->nr; i++) {
		if (b->run[i].end <= end)
			continue;
		nr += b->run[i].end - (b->run[i].start > end ? b->run[i].start : end);
		end = b->run[i].end;
	}
	return nr;
}

void fsck_check_bad(struct fsck *f)
{
	uint64_t off = ddfs_le64(f->img.super.bad_off), end = off + DDFS_BAD_BYTES;
	struct ddfs_bad_record r[RECORDS_A_READ];
	struct bad b;

	/* 32 KiB that are filled in as they are needed */
	b.f = f;
	b.nr = 0;
	for (; off < end; off += sizeof(r)) {
		if (ddfs_image_read(&f->img, off, r, sizeof(r)))
			continue;
		for (unsigned int i = 0; i < RECORDS_A_READ; i++)
			check_record(&b, off + i * sizeof(*r), &r[i]);
	}
	f->out->nr_bad = count(&b);
}
