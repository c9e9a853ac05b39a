/* SPDX-License-Identifier: BSD-3-Clause */
/* The maps of regular files, and the targets of symbolic links. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/csum.h"
#include "fs/media.h"
#include "fsck/repair_priv.h"

#define MAX_LBLK   UINT64_C(0xffffffff) /* a file's size in blocks */
#define MAX_TARGET 4095u

struct mapping {
	struct fsck_walk walk; /* first: the argument of its functions */
	struct fsck_extents x;
	uint64_t nr_data;
	uint64_t end, written; /* behind the last block mapped, and the last that is written */
};

/* ---- blocks that another has ---------------------------------------------------------------- */

/* A copy for this file. -EIO: it can't be read. */
static int copy_block(struct fsck_repair *r, uint64_t from, uint64_t *to)
{
	struct ddfs_media *m = r->f->media;
	uint8_t block[DDFS_BLOCK_BYTES];
	int err;

	if (m->ops->copy_out(m, block, from * DDFS_BLOCK_BYTES, sizeof(block)))
		return -EIO;
	err = fsck_spare_get(r, to);
	if (!err)
		err = fsck_mark(r);
	if (!err)
		m->ops->copy(m, *to * DDFS_BLOCK_BYTES, block, sizeof(block));
	return err;
}

/* Of an extent, one block that belongs to another: a copy of it, or a hole. */
static int map_foreign(struct mapping *m, uint32_t lblk, uint64_t start)
{
	struct fsck_repair *r = m->walk.r;
	uint64_t copy;
	int err;

	m->walk.nr_faults++;
	if (start & DDFS_EXTENT_UNWRITTEN)
		return 0;
	err = copy_block(r, start, &copy);
	if (!err) {
		m->nr_data++;
		return fsck_extents_add(&m->x, lblk, 1, copy);
	}
	/* -ENOSPC: the file stays as it is, and can be read. */
	if (err != -EIO)
		return err;
	fsck_tell(r,
		"inode %u: block %u of the file is lost: another has it, and it can't be "
		"copied",
		m->walk.ino, lblk);
	return 0;
}

static int map_block(struct mapping *m, uint32_t lblk, uint64_t start)
{
	if (!fsck_data_keep(m->walk.r, m->walk.ino, start & ~DDFS_EXTENT_UNWRITTEN))
		return map_foreign(m, lblk, start);
	m->nr_data++;
	return fsck_extents_add(&m->x, lblk, 1, start);
}

/* ---- the map -------------------------------------------------------------------------------- */

static int map_extent(void *arg, const struct ddfs_extent *e)
{
	uint64_t lblk = ddfs_le32(e->lblk), len = ddfs_le32(e->len), start = ddfs_le64(e->start);
	struct mapping *m = arg;
	int err = 0;

	if (lblk + len > MAX_LBLK) {
		m->walk.nr_faults++;
		len = lblk < MAX_LBLK ? MAX_LBLK - lblk : 0;
	}
	if (!len)
		return 0;
	m->end = lblk + len;
	if (!(start & DDFS_EXTENT_UNWRITTEN))
		m->written = m->end;
	if (m->walk.r->data_kept) {
		for (uint64_t i = 0; i < len && !err; i++)
			err = map_block(m, (uint32_t)(lblk + i), start + i);
		return err;
	}
	m->nr_data += len;
	return fsck_extents_add(&m->x, (uint32_t)lblk, (uint32_t)len, start);
}

static int collect(struct fsck_repair *r, const struct ddfs_inode_disk *di, struct mapping *m)
{
	struct ddfs_image_walk walk = { .arg = m,
		.visit = fsck_walk_visit,
		.node = fsck_walk_node,
		.extent = map_extent,
		.fault = fsck_walk_fault };
	int err;

	memset(m, 0, sizeof(*m));
	err = fsck_walk_init(&m->walk, r, ddfs_le32(di->ino));
	return err ? err : ddfs_image_walk_extents(r->img, di, &walk);
}

static void mapping_fini(struct mapping *m)
{
	fsck_walk_fini(&m->walk);
	fsck_extents_fini(&m->x);
}

/* Make the tree anew, unless it holds. */
static int rebuild(struct fsck_repair *r, struct ddfs_inode_disk *di, struct mapping *m)
{
	struct fsck_builder b = fsck_spare_builder(r, &m->walk);

	if (!m->walk.nr_faults)
		return 0;
	return fsck_extents_build(&m->x, &b, ddfs_le32(di->ino), di, &m->walk.nr_nodes);
}

/* A size that can't be is the map's end; what is written far behind it belongs to the file. */
static void fit_size(struct fsck_repair *r, struct ddfs_inode_disk *di, const struct mapping *m)
{
	uint64_t size = ddfs_le64(di->size), unit = ddfs_le64(r->img->super.dax_unit_bytes);
	uint32_t ino = ddfs_le32(di->ino);

	if (size > MAX_LBLK * DDFS_BLOCK_BYTES)
		size = m->end * DDFS_BLOCK_BYTES;
	if (!fsck_inode_has(r->f, ino, FSCK_ORPHAN) &&
		!(ddfs_le32(di->flags) & DDFS_IFLAG_ZOMBIE) && m->written &&
		(m->written - 1) * DDFS_BLOCK_BYTES >= size + unit)
		size = m->written * DDFS_BLOCK_BYTES;
	di->size = ddfs_to64(size);
}

int fsck_map_mend(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks)
{
	struct mapping m;
	int err = collect(r, di, &m);

	if (!err)
		err = rebuild(r, di, &m);
	if (!err) {
		fit_size(r, di, &m);
		*nr_blocks += m.nr_data + m.walk.nr_nodes;
	}
	mapping_fini(&m);
	return err;
}

/* ---- symbolic links ------------------------------------------------------------------------- */

static void set_inline(struct ddfs_inode_disk *di, const uint8_t *target, size_t len)
{
	uint8_t copy[DDFS_INLINE_SYMLINK] = { 0 };

	memcpy(copy, target, len);
	memcpy(di->body.target, copy, sizeof(copy));
	di->nr_extents = ddfs_to16(0);
	di->depth = 0;
	di->target_crc = ddfs_to32(0);
	di->size = ddfs_to64(len);
	if (!len)
		di->mode = ddfs_to16(0);
}

/* The bytes before the first NUL are the target, whatever its length is said to be. */
static int mend_inline(struct ddfs_inode_disk *di)
{
	uint64_t size = ddfs_le64(di->size);
	size_t len = strnlen((const char *)di->body.target, DDFS_INLINE_SYMLINK);

	if (size && size <= len)
		return 0;
	set_inline(di, di->body.target, len);
	return 0;
}

static bool is_one_block(const struct mapping *m)
{
	return m->x.nr == 1 && !ddfs_le32(m->x.e->lblk) && m->nr_data == 1 &&
	       !(ddfs_le64(m->x.e->start) & DDFS_EXTENT_UNWRITTEN);
}

/* The length that the checksum is of; else up to a NUL. */
static size_t target_len(
	const struct fsck_repair *r, const struct ddfs_inode_disk *di, const uint8_t *block)
{
	uint64_t size = ddfs_le64(di->size);
	uint32_t crc = r->img->seed;

	for (size_t len = 1; len <= MAX_TARGET && block[len - 1]; len++) {
		crc = ddfs_crc32c(crc, block + len - 1, 1);
		if (crc == ddfs_le32(di->target_crc) && len > DDFS_INLINE_SYMLINK)
			return len;
	}
	if (size <= DDFS_INLINE_SYMLINK || size > MAX_TARGET)
		size = MAX_TARGET;
	return strnlen((const char *)block, size);
}

bool fsck_symlink_holds(
	const struct ddfs_image *img, const struct ddfs_inode_disk *di, uint64_t *blk)
{
	const struct ddfs_extent *e = di->body.extent;
	uint64_t size = ddfs_le64(di->size), start = ddfs_le64(e->start);
	uint8_t target[MAX_TARGET];

	if (size <= DDFS_INLINE_SYMLINK || size > MAX_TARGET || di->depth ||
		ddfs_le16(di->nr_extents) != 1 || ddfs_le32(e->len) != 1 || ddfs_le32(e->lblk) ||
		!ddfs_image_blocks_valid(img, start, 1) ||
		ddfs_image_read(img, start * DDFS_BLOCK_BYTES, target, size) ||
		ddfs_crc32c(img->seed, target, size) != ddfs_le32(di->target_crc))
		return false;
	*blk = start;
	return true;
}

static int mend_long(struct fsck_repair *r, struct ddfs_inode_disk *di, struct mapping *m)
{
	uint64_t start = ddfs_le64(m->x.e->start);
	uint8_t block[DDFS_BLOCK_BYTES];
	size_t len;

	if (ddfs_image_read(r->img, start * DDFS_BLOCK_BYTES, block, sizeof(block))) {
		set_inline(di, block, 0);
		return 0;
	}
	len = target_len(r, di, block);
	if (len <= DDFS_INLINE_SYMLINK) {
		m->nr_data = 0;
		set_inline(di, block, len);
		return 0;
	}
	di->size = ddfs_to64(len);
	di->target_crc = ddfs_to32(ddfs_crc32c(r->img->seed, block, len));
	return 0;
}

int fsck_symlink_mend(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks)
{
	struct mapping m;
	int err;

	/* Whatever its length is said to be: an extent begins with the number of block 0. */
	if (di->body.target[0] && !di->depth)
		return mend_inline(di);
	err = collect(r, di, &m);
	if (!err && !is_one_block(&m)) {
		set_inline(di, di->body.target, 0);
		m.walk.nr_faults = m.nr_data = m.walk.nr_nodes = 0;
	} else if (!err) {
		err = rebuild(r, di, &m);
		if (!err)
			err = mend_long(r, di, &m);
	}
	*nr_blocks += m.nr_data + m.walk.nr_nodes;
	mapping_fini(&m);
	return err;
}
