/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inode table's own inode, and its two copies. A change of the table changes both, so that they
 * are the same, and either will do. Where one can't be read and can't be made anew, the mount goes
 * on with the other alone, and the superblock says which before the table changes: the one that was
 * left out may be readable again one day, and would tell of a table that was. With one that goes
 * bad during a mount, the table can't change (EIO) until the next.
 */
#include <string.h>

#include "fs/core.h"
#include "fs/fixed.h"
#include "fs/itable_priv.h"
#include "fs/tx.h"

/* One copy, as it was found. */
struct copy {
	uint32_t nr; /* 1 or 2 */
	uint64_t off;
	struct ddfs_inode_disk di;
	bool poisoned, stale, holds;
};

static const char *name_of(const struct copy *c)
{
	return c->nr == 1 ? "first" : "second";
}

static const char *fault_of(const struct copy *c)
{
	if (c->poisoned)
		return "can't be read";
	return c->stale ? "is out of date" : "fails its checksum";
}

static uint64_t copy_off(const struct ddfs_fs *fs, uint32_t nr)
{
	return nr == 1 ? DDFS_ROOT_BLOCK_OFF : ddfs_block_off(fs->end_block);
}

static void read_copy(struct ddfs_fs *fs, uint32_t nr, struct copy *c)
{
	uint32_t sole = ddfs_le32(fs->super.sole_root_block);

	*c = (struct copy){ .nr = nr, .off = copy_off(fs, nr), .stale = sole && sole != nr };
	c->poisoned = fs->media->ops->copy_out(fs->media, &c->di, c->off, sizeof(c->di)) != 0;
	c->holds = !c->stale && !c->poisoned &&
		   ddfs_csum_holds(fs->csum_seed, c->off, &c->di, sizeof(c->di));
}

/* The whole block, of which the rest means nothing. */
static int make_anew(struct ddfs_fs *fs, const struct copy *c, const struct copy *from)
{
	uint8_t block[DDFS_BLOCK_BYTES] = { 0 };

	memcpy(block, &from->di, sizeof(from->di));
	ddfs_csum_seal(fs->csum_seed, c->off, block, sizeof(from->di));
	return DDFS_GUARDED_STORE(fs, ddfs_fixed_repair(fs, c->off, block));
}

/* Durably, or it is left out. That both are kept up again is written after that, and that one is
 * not before the table changes: a mount writes the superblock before it writes anything else. */
static void mend(struct ddfs_fs *fs, const struct copy *c, const struct copy *from)
{
	bool made = !make_anew(fs, c, from);

	fs->super.sole_root_block = ddfs_to32(made ? 0 : from->nr);
	if (made) {
		fs->itable.other_off = c->off;
		ddfs_log(fs, LOG_NOTICE,
			"the %s copy of the inode table's inode was made anew from the %s",
			name_of(c), name_of(from));
		return;
	}
	ddfs_bad_note(fs, (struct ddfs_range){ c->off >> DDFS_BLOCK_SHIFT, 1 });
	ddfs_log(fs, LOG_ERR,
		"the %s copy of the inode table's inode can't be made anew: going on with the %s "
		"alone",
		name_of(c), name_of(from));
}

static void use(struct ddfs_fs *fs, const struct copy *c, const struct copy *other)
{
	fs->itable.inode_off = c->off;
	fs->itable.other_off = other->holds ? other->off : 0;
	if (other->holds)
		return;
	ddfs_log(fs, LOG_WARNING, "the %s copy of the inode table's inode %s: using the %s",
		name_of(other), fault_of(other), name_of(c));
	/* Where nothing is written, it is not needed either. */
	if (!fs->media->readonly && !atomic_load(&fs->failed))
		mend(fs, other, c);
}

int ddfs_itable_root_load(struct ddfs_fs *fs)
{
	struct copy a, b;

	read_copy(fs, 1, &a);
	read_copy(fs, 2, &b);
	if (!a.holds && !b.holds)
		return ddfs_corrupt(fs,
			"no copy of the inode table's inode will do: the first %s, the second %s",
			fault_of(&a), fault_of(&b));
	if (a.holds)
		use(fs, &a, &b);
	else
		use(fs, &b, &a);
	return 0;
}

const struct ddfs_inode_disk *ddfs_itable_inode(const struct ddfs_fs *fs)
{
	return (const void *)(fs->base + fs->itable.inode_off);
}

struct ddfs_inode_disk *ddfs_itable_root_edit(struct ddfs_tx *tx)
{
	return ddfs_tx_edit(tx, tx->fs->itable.inode_off, sizeof(struct ddfs_inode_disk));
}

void ddfs_itable_root_edited(struct ddfs_tx *tx, const struct ddfs_inode_disk *di)
{
	uint64_t off = tx->fs->itable.other_off;
	struct ddfs_inode_disk *other;

	if (!off)
		return;
	other = ddfs_tx_edit(tx, off, sizeof(*other));
	*other = *di;
}
