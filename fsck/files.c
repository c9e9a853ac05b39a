/* SPDX-License-Identifier: BSD-3-Clause */
/* What the inodes that are no directories have. */
#include <sys/stat.h>

#include "fs/csum.h"
#include "fsck/body.h"
#include "fsck/passes.h"

#define FILE_BYTES_MAX	  ((uint64_t)UINT32_MAX << DDFS_BLOCK_SHIFT)
#define SYMLINK_BYTES_MAX 4095u

/* ---- regular files -------------------------------------------------------------------------- */

static void check_congruent(struct fsck_body *b, const struct ddfs_extent *e, uint64_t start)
{
	uint64_t unit = ddfs_le64(b->f->img.super.dax_unit_bytes) / DDFS_BLOCK_BYTES;
	uint32_t lblk = ddfs_le32(e->lblk);

	/* The last unit that can be addressed is not whole. */
	if (start % unit != lblk % unit && lblk / unit != UINT32_MAX / unit)
		fsck_body_problem(b, FSCK_MAP_BAD, "block %u lies at %llu: not congruent", lblk,
			(unsigned long long)start);
}

static int file_extent(void *arg, const struct ddfs_extent *e)
{
	uint64_t start = ddfs_le64(e->start), len = ddfs_le32(e->len);
	struct fsck_body *b = arg;

	b->nr_extents++;
	if (!(start & DDFS_EXTENT_UNWRITTEN))
		b->end = ddfs_le32(e->lblk) + len;
	start &= ~DDFS_EXTENT_UNWRITTEN;
	if (b->f->opt->flags & DDFS_FSCK_DAX_WHOLE &&
		!(ddfs_le32(b->di->flags) & DDFS_IFLAG_ZOMBIE))
		check_congruent(b, e, start);
	fsck_body_claim(b, start, len);
	return 0;
}

/* That it is an orphan, which may have them, is found out later. */
static void note_behind(struct fsck_body *b, uint64_t size)
{
	uint64_t unit = ddfs_le64(b->f->img.super.dax_unit_bytes);

	if (b->end * DDFS_BLOCK_BYTES >= size + DDFS_BLOCK_BYTES + unit)
		fsck_inode_flag(b->f, b->ino, FSCK_BEHIND);
}

static void check_file(struct fsck_body *b)
{
	struct ddfs_image_walk walk = fsck_body_walk(b);
	uint64_t size = ddfs_le64(b->di->size);

	b->part = "its map";
	b->flag = FSCK_MAP_BAD;
	walk.extent = file_extent;
	ddfs_image_walk_extents(&b->f->img, b->di, &walk);
	if (size > FILE_BYTES_MAX)
		fsck_body_problem(b, FSCK_COUNT_BAD, "a file can't have %llu bytes",
			(unsigned long long)size);
	else if (!(ddfs_le32(b->di->flags) & DDFS_IFLAG_ZOMBIE))
		note_behind(b, size);
}

/* ---- symlinks ------------------------------------------------------------------------------- */

static int target_extent(void *arg, const struct ddfs_extent *e)
{
	struct fsck_body *b = arg;

	b->nr_extents++;
	b->end = ddfs_le64(e->start); /* unwritten is none that can be read */
	fsck_body_claim(b, b->end & ~DDFS_EXTENT_UNWRITTEN, ddfs_le32(e->len));
	return 0;
}

static void check_target(struct fsck_body *b, uint64_t size)
{
	uint8_t target[SYMLINK_BYTES_MAX];

	if (b->nr_extents != 1 || b->nr_blocks != 1 || b->di->depth ||
		ddfs_le32(b->di->body.extent[0].lblk) ||
		!ddfs_image_blocks_valid(&b->f->img, b->end, 1))
		fsck_body_problem(b, FSCK_MAP_BAD, "its target is not in one written block");
	else if (ddfs_image_read(&b->f->img, b->end * DDFS_BLOCK_BYTES, target, size))
		fsck_body_problem(b, FSCK_MAP_BAD | FSCK_UNREADABLE, "its target can't be read");
	else if (ddfs_crc32c(b->f->img.seed, target, size) != ddfs_le32(b->di->target_crc))
		fsck_body_problem(b, FSCK_MAP_BAD, "its target fails its checksum");
}

static void check_symlink(struct fsck_body *b)
{
	struct ddfs_image_walk walk = fsck_body_walk(b);
	uint64_t size = ddfs_le64(b->di->size);

	if (!size || size > SYMLINK_BYTES_MAX) {
		fsck_body_problem(b, FSCK_SLOT_BAD, "a symlink can't have %llu bytes",
			(unsigned long long)size);
		return;
	}
	if (size <= DDFS_INLINE_SYMLINK)
		return;
	b->part = "its map";
	b->flag = FSCK_MAP_BAD;
	walk.extent = target_extent;
	ddfs_image_walk_extents(&b->f->img, b->di, &walk);
	if (!(b->faults & FSCK_MAP_BAD))
		check_target(b, size);
}

void fsck_check_body(struct fsck *f, uint32_t ino, const struct ddfs_inode_disk *di)
{
	struct fsck_body b = { .f = f, .ino = ino, .di = di };

	if (S_ISREG(ddfs_le16(di->mode)))
		check_file(&b);
	else if (S_ISLNK(ddfs_le16(di->mode)))
		check_symlink(&b);
	if (b.nr_extents > 1)
		fsck_inode_flag(f, ino, FSCK_SEEN); /* for the count of them */
	fsck_body_xattrs(&b);
	fsck_body_count(&b);
}
