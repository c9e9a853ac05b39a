/* SPDX-License-Identifier: BSD-3-Clause */
/* What any inode leads to that may be one, be it damaged or not: no repair uses those blocks. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fsck/repair_priv.h"

void fsck_take(struct fsck_repair *r, uint64_t start, uint64_t len)
{
	for (uint64_t b = start; b < start + len; b++)
		r->taken[b / 64] |= UINT64_C(1) << (b % 64);
}

struct taking {
	struct fsck_repair *r;
	uint64_t *walked; /* a bit a block: nodes whose tree was walked */
};

/* Each node once, whoever leads to it. */
static int take_node(void *arg, uint64_t blk)
{
	struct taking *t = arg;

	if (fsck_bit(t->walked, blk))
		return 1;
	t->walked[blk / 64] |= UINT64_C(1) << (blk % 64);
	fsck_take(t->r, blk, 1);
	return 0;
}

static int take_extent(void *arg, const struct ddfs_extent *e)
{
	struct taking *t = arg;

	fsck_take(t->r, ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN, ddfs_le32(e->len));
	return 0;
}

/* As a repair of its slot leaves it. False: it has nothing. */
static bool read_inode(const struct ddfs_image *img, uint32_t ino, struct ddfs_inode_disk *di)
{
	int err = ddfs_image_inode(img, ino, di);
	struct ddfs_inode_disk was;

	if (err && err != -EUCLEAN)
		return false;
	if (!err || !ino || fsck_slot_mend_bit(img, ino, di) ||
		fsck_slot_is_plausible(img, ino, di))
		return !ddfs_image_inode_is_free(di);
	was = *di;
	return (ino == DDFS_INO_ROOT || ino == DDFS_INO_ORPHAN) &&
	       fsck_fixed_rebuild(img, ino, &was, di);
}

static int take_inode(struct taking *t, uint32_t ino)
{
	struct ddfs_image_walk walk = { .arg = t, .visit = take_node, .extent = take_extent };
	const struct ddfs_image *img = t->r->img;
	struct ddfs_inode_disk di;
	int err;

	if (!read_inode(img, ino, &di))
		return 0;
	if (S_ISDIR(ddfs_le16(di.mode)))
		err = ddfs_image_walk_names(img, &di, &walk);
	else if (S_ISREG(ddfs_le16(di.mode)) || ddfs_le64(di.size) > DDFS_INLINE_SYMLINK)
		err = ddfs_image_walk_extents(img, &di, &walk);
	else
		err = 0;
	return err ? err : ddfs_image_walk_xattrs(img, &di, &walk);
}

int fsck_taken_collect(struct fsck_repair *r)
{
	size_t nr_words = r->img->nr_blocks / 64 + 1;
	struct taking t = { .r = r };
	int err = 0;

	if (r->taken)
		return 0;
	t.walked = calloc(nr_words, sizeof(*t.walked));
	r->taken = calloc(nr_words, sizeof(*r->taken));
	if (!t.walked || !r->taken)
		err = -ENOMEM;
	for (uint32_t ino = 0; ino < r->img->nr_slots && !err; ino++)
		err = take_inode(&t, ino);
	free(t.walked);
	return err;
}
