/* SPDX-License-Identifier: BSD-3-Clause */
/* Pass 1: every slot of the inode table, and what the inodes in them have. */
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "fsck/passes.h"
#include "fsck/state.h"
#include "fsck/work.h"

#define BLOCKS_A_RANGE 16u /* of the table: 256 inodes */

bool fsck_read_slot(const struct fsck *f, uint32_t ino, struct ddfs_inode_disk *out)
{
	uint64_t off = ddfs_image_slot_off(&f->img, ino);

	return off && !ddfs_image_read(&f->img, off, out, sizeof(*out));
}

static bool was_never_used(const struct ddfs_inode_disk *di)
{
	return !ddfs_le16(di->magic) && !ddfs_le32(di->crc) && !ddfs_le16(di->mode);
}

static bool type_is_known(uint32_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
	       S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* Flags that no call could clear, of what no call could then remove. */
static bool is_stuck(uint32_t mode, uint32_t flags)
{
	return flags & (FS_IMMUTABLE_FL | FS_APPEND_FL) && !S_ISREG(mode) && !S_ISDIR(mode);
}

/* What a slot in use can't be, NULL: nothing. */
static const char *slot_fault(uint32_t ino, const struct ddfs_inode_disk *di)
{
	uint32_t mode = ddfs_le16(di->mode);

	if (ddfs_le16(di->magic) != DDFS_INODE_MAGIC)
		return "has another magic";
	if (ddfs_le32(di->ino) != ino)
		return "has another's number";
	if (ino < DDFS_INO_FIRST && ino != DDFS_INO_ROOT && ino != DDFS_INO_ORPHAN)
		return "is in use, and reserved";
	if (!type_is_known(mode))
		return "is of no known type";
	if (ddfs_le32(di->flags) & DDFS_IFLAG_ZOMBIE && !S_ISREG(mode))
		return "is a zombie, and no file";
	if (is_stuck(mode, ddfs_le32(di->flags)))
		return "is immutable or append-only, and neither file nor directory";
	return NULL;
}

static void say_slot(struct fsck *f, uint32_t ino, const char *fault)
{
	fsck_problem(f, false, "inode %u %s", ino, fault);
	fsck_inode_flag(f, ino, FSCK_SLOT_BAD);
}

static void check_slot(struct fsck *f, uint32_t ino, uint64_t off, const struct ddfs_inode_disk *di)
{
	const char *fault;

	if (was_never_used(di))
		return;
	if (!ddfs_image_sum_holds(&f->img, off, di, sizeof(*di))) {
		say_slot(f, ino, "fails its checksum");
		return;
	}
	if (ddfs_image_inode_is_free(di))
		return;
	fault = slot_fault(ino, di);
	if (fault) {
		say_slot(f, ino, fault);
		return;
	}
	f->inode[ino].type = (uint8_t)(ddfs_le16(di->mode) >> 12);
	/* Directories: in the next pass. */
	if (!S_ISDIR(ddfs_le16(di->mode)))
		fsck_check_body(f, ino, di);
}

static void say_unreadable(struct fsck *f, uint32_t first)
{
	fsck_problem(f, false, "inodes %u to %u can't be read", first,
		first + DDFS_INODES_PER_BLOCK - 1);
	for (uint32_t i = 0; i < DDFS_INODES_PER_BLOCK; i++)
		fsck_inode_flag(f, first + i, FSCK_SLOT_BAD | FSCK_UNREADABLE);
}

static void check_blocks(struct fsck *f, uint64_t from, uint64_t to)
{
	struct ddfs_inode_disk di[DDFS_INODES_PER_BLOCK];

	for (uint64_t blk = from; blk < to && !fsck_is_ending(f); blk++) {
		uint64_t at = f->img.table_blks[blk] * DDFS_BLOCK_BYTES;
		uint32_t first = (uint32_t)blk * DDFS_INODES_PER_BLOCK;

		if (!at) /* a hole, of which the table's own check speaks */
			continue;
		if (ddfs_image_read(&f->img, at, di, sizeof(di))) {
			say_unreadable(f, first);
			continue;
		}
		for (uint32_t i = 0; i < DDFS_INODES_PER_BLOCK; i++)
			check_slot(f, first + i, at + i * sizeof(*di), &di[i]);
	}
}

static void check_fixed(struct fsck *f, uint32_t ino, const char *name)
{
	struct ddfs_inode_disk di;

	if (fsck_inode_has(f, ino, FSCK_SLOT_BAD))
		return;
	if (f->inode[ino].type != S_IFDIR >> 12) {
		fsck_problem(f, false, "there is no %s directory (inode %u)", name, ino);
		fsck_inode_flag(f, ino, FSCK_SLOT_BAD);
	} else if (ino == DDFS_INO_ROOT && fsck_read_slot(f, ino, &di) && ddfs_le32(di.gen)) {
		say_slot(f, ino, "has another generation than a root directory");
	}
}

int fsck_check_slots(struct fsck *f)
{
	uint32_t blocks = f->img.nr_slots / DDFS_INODES_PER_BLOCK;
	int err = fsck_work(f, 1, blocks, BLOCKS_A_RANGE, check_blocks);

	if (err)
		return err;
	check_fixed(f, DDFS_INO_ROOT, "root");
	check_fixed(f, DDFS_INO_ORPHAN, "orphan");
	return atomic_load(&f->err);
}
