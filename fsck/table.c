/* SPDX-License-Identifier: BSD-3-Clause */
/* The inode table as a file. */
#include "fsck/body.h"
#include "fsck/passes.h"

static int table_extent(void *arg, const struct ddfs_extent *e)
{
	uint64_t start = ddfs_le64(e->start),
		 end = (uint64_t)ddfs_le32(e->lblk) + ddfs_le32(e->len);
	struct fsck_body *b = arg;

	if (start & DDFS_EXTENT_UNWRITTEN)
		fsck_body_problem(b, FSCK_MAP_BAD, "the inode table is unwritten from block %u on",
			ddfs_le32(e->lblk));
	else if (end * DDFS_INODES_PER_BLOCK > b->f->img.nr_slots)
		fsck_body_problem(b, FSCK_MAP_BAD, "the inode table has block %llu, behind its end",
			(unsigned long long)end - 1);
	fsck_body_claim(b, start & ~DDFS_EXTENT_UNWRITTEN, ddfs_le32(e->len));
	return 0;
}

/* Holes are told in runs. */
static void check_holes(struct fsck_body *b)
{
	uint32_t nr = b->f->img.nr_slots / DDFS_INODES_PER_BLOCK, from = 0;
	const uint64_t *blk = b->f->img.table_blks;

	for (uint32_t i = 0; i <= nr; i++) {
		if (i < nr && !blk[i])
			continue;
		if (from < i)
			fsck_body_problem(b, FSCK_MAP_BAD,
				"the inode table has a hole: inodes %u to %u are missing",
				from * DDFS_INODES_PER_BLOCK, i * DDFS_INODES_PER_BLOCK - 1);
		from = i + 1;
	}
}

static void check_size(struct fsck_body *b)
{
	uint64_t size = ddfs_le64(b->di->size);

	if (size % DDFS_BLOCK_BYTES || !size)
		fsck_body_problem(b, FSCK_COUNT_BAD, "the inode table can't have %llu bytes",
			(unsigned long long)size);
	else if (size / DDFS_INODE_BYTES != b->f->img.nr_slots)
		fsck_body_problem(b, FSCK_MAP_BAD,
			"the inode table has %llu slots, and blocks for %u",
			(unsigned long long)size / DDFS_INODE_BYTES, b->f->img.nr_slots);
	else if (b->f->img.nr_slots <= DDFS_INO_FIRST)
		fsck_body_problem(b, FSCK_MAP_BAD, "the inode table has no slots for files");
}

void fsck_check_table(struct fsck *f)
{
	struct fsck_body b = {
		.f = f,
		.ino = DDFS_INO_TABLE,
		.di = &f->img.table,
		.part = "the inode table",
		.flag = FSCK_MAP_BAD,
	};
	struct ddfs_image_walk walk = fsck_body_walk(&b);

	walk.extent = table_extent;
	if (ddfs_le16(b.di->magic) != DDFS_INODE_MAGIC)
		fsck_body_problem(&b, FSCK_SLOT_BAD, "the inode table's inode is none");
	ddfs_image_walk_extents(&f->img, b.di, &walk);
	check_size(&b);
	check_holes(&b);
	fsck_body_count(&b);
}
