/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots of the inode table: sealed again if what is there is that inode, else cleared. */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fsck/repair_priv.h"

#define MAX_DEPTH   8
#define NSEC	    1000000000u
#define FLAGS_KNOWN (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NOATIME_FL | FS_DAX_FL | DDFS_IFLAG_ZOMBIE)
#ifndef FS_DAX_FL
#define FS_DAX_FL 0x02000000
#endif

static bool is_reserved(uint32_t ino)
{
	return ino < DDFS_INO_FIRST && ino != DDFS_INO_ROOT && ino != DDFS_INO_ORPHAN;
}

/* ---- is it the inode? ----------------------------------------------------------------------- */

static bool has_tree(const struct ddfs_inode_disk *di)
{
	uint32_t type = ddfs_le16(di->mode) & S_IFMT;

	return type == S_IFDIR ? ddfs_le64(di->body.root) != 0 : type == S_IFREG && di->depth;
}

/* A node that was written for that inode. */
static bool read_root(const struct ddfs_image *img, uint32_t ino, const struct ddfs_inode_disk *di,
	struct ddfs_node *n)
{
	uint64_t blk = ddfs_le64(di->body.root);

	return ddfs_image_blocks_valid(img, blk, 1) &&
	       !ddfs_image_read(img, blk * DDFS_BLOCK_BYTES, n, sizeof(*n)) &&
	       ddfs_image_sum_holds(img, blk * DDFS_BLOCK_BYTES, n, sizeof(*n)) &&
	       ddfs_le32(n->owner) == ino;
}

static bool root_says(const struct ddfs_image *img, uint32_t ino, const struct ddfs_inode_disk *di)
{
	struct ddfs_node n;

	return read_root(img, ino, di, &n);
}

static bool extents_are_plausible(const struct ddfs_image *img, const struct ddfs_inode_disk *di)
{
	unsigned int nr = ddfs_le16(di->nr_extents);

	if (nr > DDFS_INLINE_EXTENTS)
		return false;
	for (unsigned int i = 0; i < nr; i++)
		if (!ddfs_image_blocks_valid(img,
			    ddfs_le64(di->body.extent[i].start) & ~DDFS_EXTENT_UNWRITTEN,
			    ddfs_le32(di->body.extent[i].len)))
			return false;
	return true;
}

bool fsck_slot_is_plausible(
	const struct ddfs_image *img, uint32_t ino, const struct ddfs_inode_disk *di)
{
	uint32_t mode = ddfs_le16(di->mode);

	if (ddfs_le16(di->magic) != DDFS_INODE_MAGIC || ddfs_le32(di->ino) != ino ||
		!ddfs_type_is_known(mode) || di->depth > MAX_DEPTH || is_reserved(ino))
		return false;
	if (has_tree(di))
		return root_says(img, ino, di);
	return !S_ISREG(mode) || extents_are_plausible(img, di);
}

/* With more than a bit wrong it takes luck; what is nothing like that inode is not even tried. */
bool fsck_slot_mend_bit(const struct ddfs_image *img, uint32_t ino, struct ddfs_inode_disk *di)
{
	uint64_t off = ddfs_image_slot_off(img, ino);
	uint8_t *byte = (uint8_t *)di;

	if (!off || (ddfs_le16(di->magic) != DDFS_INODE_MAGIC && ddfs_le32(di->ino) != ino))
		return false;
	for (unsigned int i = 0; i < 8 * sizeof(*di); i++) {
		byte[i / 8] ^= (uint8_t)(1u << i % 8);
		if (ddfs_image_sum_holds(img, off, di, sizeof(*di)))
			return true;
		byte[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	return false;
}

/* Fields that may be what they like are made such that they can be. */
static void sanitize(struct ddfs_inode_disk *di)
{
	struct le32 *ns[] = { &di->atime_ns, &di->mtime_ns, &di->ctime_ns, &di->btime_ns };
	uint32_t mode = ddfs_le16(di->mode);

	for (unsigned int i = 0; i < 4; i++)
		if (ddfs_le32(*ns[i]) >= NSEC)
			*ns[i] = ddfs_to32(0);
	di->flags = ddfs_to32(ddfs_le32(di->flags) & FLAGS_KNOWN);
	if (!S_ISREG(mode))
		di->flags = ddfs_to32(ddfs_le32(di->flags) & ~DDFS_IFLAG_ZOMBIE);
	/* Nobody could clear them there. */
	if (!S_ISREG(mode) && !S_ISDIR(mode))
		di->flags = ddfs_to32(
			ddfs_le32(di->flags) & ~(uint32_t)(FS_IMMUTABLE_FL | FS_APPEND_FL));
}

/* ---- repairs -------------------------------------------------------------------------------- */

void fsck_inode_begin(struct ddfs_inode_disk *di, uint32_t ino, uint32_t mode, uint32_t gen)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*di = (struct ddfs_inode_disk){
		.magic = ddfs_to16(DDFS_INODE_MAGIC),
		.mode = ddfs_to16((uint16_t)mode),
		.ino = ddfs_to32(ino),
		.gen = ddfs_to32(gen),
	};
	di->atime = di->mtime = di->ctime = di->btime = ddfs_to64((uint64_t)now.tv_sec);
	di->atime_ns = di->mtime_ns = di->ctime_ns = di->btime_ns =
		ddfs_to32((uint32_t)now.tv_nsec);
}

/* A free slot keeps the generation that it had, so that none is used twice. */
int fsck_slot_clear(struct fsck_repair *r, uint32_t ino, const struct ddfs_inode_disk *di)
{
	bool known = ddfs_le16(di->magic) == DDFS_INODE_MAGIC && ddfs_le32(di->ino) == ino;
	struct ddfs_inode_disk free = {
		.magic = ddfs_to16(DDFS_INODE_MAGIC),
		.ino = ddfs_to32(ino),
		.gen = known ? di->gen : ddfs_to32(0),
	};

	return fsck_slot_store(r, ino, &free);
}

bool fsck_fixed_rebuild(const struct ddfs_image *img, uint32_t ino,
	const struct ddfs_inode_disk *was, struct ddfs_inode_disk *di)
{
	bool root = ino == DDFS_INO_ROOT;
	struct ddfs_node n;

	fsck_inode_begin(di, ino, S_IFDIR | (root ? 0755 : 0700), root ? 0 : 1);
	di->nlink = ddfs_to32(2);
	di->parent = ddfs_to32(ino);
	if (!read_root(img, ino, was, &n) || (ddfs_le16(n.type) != DDFS_NODE_NAME_LEAF &&
						     ddfs_le16(n.type) != DDFS_NODE_NAME_INDEX))
		return false;
	di->body.root = was->body.root;
	di->depth = n.level;
	return true;
}

static int make_fixed_dir(struct fsck_repair *r, uint32_t ino, const struct ddfs_inode_disk *was)
{
	bool root = ino == DDFS_INO_ROOT;
	struct ddfs_inode_disk di;

	if (fsck_fixed_rebuild(r->img, ino, was, &di)) {
		fsck_tell(r, "the inode of the %s directory was lost: a new one has its names",
			root ? "root" : "orphan");
		return fsck_slot_store(r, ino, &di);
	}
	r->f->orphans_lost |= !root;
	fsck_tell(r, root ? "the root directory was lost: a new one was made, and what was in it "
			    "goes to lost+found"
			  : "the directory of orphans was lost: a new one was made");
	return fsck_slot_store(r, ino, &di);
}

/* The root and the directory of orphans stay what they are, if they are anything. */
static int repair_fixed(struct fsck_repair *r, uint32_t ino, struct ddfs_inode_disk *di, int err)
{
	bool sure = !err || fsck_slot_is_plausible(r->img, ino, di);

	if (!sure || !S_ISDIR(ddfs_le16(di->mode)) || ddfs_le32(di->ino) != ino ||
		di->depth > MAX_DEPTH)
		return make_fixed_dir(r, ino, di);
	sanitize(di);
	di->magic = ddfs_to16(DDFS_INODE_MAGIC);
	di->gen = ddfs_to32(ino == DDFS_INO_ROOT ? 0 : 1);
	return fsck_slot_store(r, ino, di);
}

static int repair_slot(struct fsck_repair *r, uint32_t ino)
{
	struct ddfs_inode_disk di, was;
	int err = ddfs_image_inode(r->img, ino, &di);
	bool sealed = !err;

	if (err && err != -EUCLEAN)
		return 0;
	if (err && fsck_slot_mend_bit(r->img, ino, &di))
		return fsck_slot_store(r, ino, &di);
	if (ino == DDFS_INO_ROOT || ino == DDFS_INO_ORPHAN)
		return repair_fixed(r, ino, &di, err);
	was = di;
	sanitize(&di);
	if (fsck_slot_is_plausible(r->img, ino, &di) &&
		(!sealed || S_ISLNK(ddfs_le16(di.mode)) || memcmp(&di, &was, sizeof(di)) != 0)) {
		err = fsck_slot_store(r, ino, &di);
		return !err && S_ISLNK(ddfs_le16(di.mode)) ? fsck_inode_mend(r, ino) : err;
	}
	fsck_tell(r, "inode %u held nothing that could be kept: it is free now", ino);
	return fsck_slot_clear(r, ino, &was);
}

/* The table's own slot in it is not used. */
static int zero_slot(struct fsck_repair *r)
{
	static const uint8_t zeroes[DDFS_INODE_BYTES];
	uint64_t off = ddfs_image_slot_off(r->img, DDFS_INO_TABLE);
	int err = fsck_mark(r);

	if (err || !off)
		return err;
	r->changed = true;
	return fsck_lane_store(r, off, zeroes);
}

int fsck_slots_repair(struct fsck_repair *r)
{
	struct fsck *f = r->f;
	int err = 0;

	for (uint32_t ino = 0; ino < r->img->nr_slots && !err; ino++) {
		if (!fsck_inode_has(f, ino, FSCK_SLOT_BAD))
			continue;
		if (!fsck_may(f, FSCK_KIND_SLOTS, "Repair damaged inodes, or clear them?"))
			return 0;
		err = ino ? repair_slot(r, ino) : zero_slot(r);
		if (err == -EUCLEAN)
			err = 0;
	}
	return err;
}
