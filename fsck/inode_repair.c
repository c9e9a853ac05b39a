/* SPDX-License-Identifier: BSD-3-Clause */
/* An inode looked at once more, and what does not hold of it made anew. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fsck/repair_priv.h"
#include "fsck/room.h"

/* ---- walks ---------------------------------------------------------------------------------- */

int fsck_walk_init(struct fsck_walk *w, struct fsck_repair *r, uint32_t ino)
{
	*w = (struct fsck_walk){ .r = r, .ino = ino };
	w->seen = calloc(r->img->nr_blocks / 64 + 1, sizeof(*w->seen));
	return w->seen ? 0 : -ENOMEM;
}

void fsck_walk_fini(struct fsck_walk *w)
{
	free(w->seen);
	free(w->own);
	w->seen = w->own = NULL;
	/* Its nodes are gone from memory. */
	if (w->r && w->r->reuse == w)
		w->r->reuse = NULL;
}

/* A tree that leads to a node twice, or to another's, is made anew without. */
int fsck_walk_visit(void *arg, uint64_t blk)
{
	struct fsck_walk *w = arg;

	if (fsck_bit(w->seen, blk) || fsck_node_is_foreign(w->r, w->ino, blk)) {
		w->nr_faults++;
		return 1;
	}
	w->seen[blk / 64] |= UINT64_C(1) << (blk % 64);
	return 0;
}

/* One that is not noted is not used again. */
static void note_own(struct fsck_walk *w, uint64_t blk)
{
	uint64_t *own = fsck_room(w->own, w->nr_own, &w->cap_own, sizeof(*own));

	if (!own)
		return;
	w->own = own;
	w->own[w->nr_own++] = blk;
}

void fsck_walk_node(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct fsck_walk *w = arg;

	w->nr_nodes++;
	if (ddfs_le32(n->owner) == w->ino && !fsck_is_claimed_twice(w->r, blk))
		note_own(w, blk);
}

void fsck_walk_fault(
	void *arg, enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to)
{
	struct fsck_walk *w = arg;

	(void)from;
	(void)to;
	w->nr_faults++;
	if (fault == DDFS_FAULT_UNREADABLE)
		fsck_bad_note(w->r, blk);
}

/* ---- inodes --------------------------------------------------------------------------------- */

static int mend_body(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks)
{
	switch (ddfs_le16(di->mode) & S_IFMT) {
	case S_IFREG:
		return fsck_map_mend(r, di, nr_blocks);
	case S_IFDIR:
		return fsck_dir_mend(r, di, nr_blocks);
	case S_IFLNK:
		return fsck_symlink_mend(r, di, nr_blocks);
	default:
		return 0;
	}
}

/* 0: *di is as it is to be, its trees stored. */
static int mend(struct fsck_repair *r, struct ddfs_inode_disk *di)
{
	uint64_t nr_blocks = 0;
	int err = mend_body(r, di, &nr_blocks);

	if (!err && ddfs_le16(di->mode))
		err = fsck_xattrs_mend(r, di, &nr_blocks);
	di->nr_blocks = ddfs_to64(nr_blocks);
	return err;
}

int fsck_inode_mend(struct fsck_repair *r, uint32_t ino)
{
	struct ddfs_inode_disk di, was;
	int err = ddfs_image_inode(r->img, ino, &di);

	/* Else it is for another round, or nobody knows what is in it. */
	if (err || ddfs_image_inode_is_free(&di))
		return 0;
	was = di;
	r->nr_waiting = 0;
	fsck_spare_begin(r);
	err = mend(r, &di);
	if (err) {
		r->nr_waiting = 0;
		fsck_spare_abort(r);
		return err == -ENOSPC ? 0 : err;
	}
	if (!ddfs_le16(di.mode)) {
		fsck_tell(r, "inode %u: the target of the symbolic link is lost", ino);
		r->nr_waiting = 0;
		return fsck_slot_clear(r, ino, &was);
	}
	/* Nodes that wait are stored with the slot, even if that stays as it was. */
	if (memcmp(&was, &di, sizeof(di)) == 0 && !r->nr_waiting)
		return 0;
	err = fsck_slot_store(r, ino, &di);
	return err == -EUCLEAN ? 0 : err;
}

/* A directory that has a name too many does not know it; those that may have it do not either. */
static bool is_concerned(const struct fsck_repair *r, uint32_t ino)
{
	const uint16_t flags = FSCK_MAP_BAD | FSCK_NAMES_BAD | FSCK_XATTR_BAD | FSCK_COUNT_BAD |
			       FSCK_ENTRIES_BAD | FSCK_UNREADABLE;
	const struct fsck *f = r->f;

	if (fsck_inode_has(f, ino, flags))
		return true;
	if (fsck_inode_has(f, ino, FSCK_BEHIND) && !fsck_inode_has(f, ino, FSCK_ORPHAN))
		return true;
	return r->names_twice && f->inode[ino].type == S_IFDIR >> 12;
}

/* Of its names a directory keeps the one in the directory that it thinks to be in. */
static void choose_name(struct fsck_repair *r, uint32_t ino)
{
	struct ddfs_inode_disk di;

	r->names_twice = true;
	if (!ddfs_image_inode(r->img, ino, &di) && fsck_dir_has(r, ddfs_le32(di.parent), ino))
		r->f->inode[ino].parent = ddfs_le32(di.parent);
}

int fsck_trees_repair(struct fsck_repair *r)
{
	struct fsck *f = r->f;
	int err = 0;

	for (uint32_t ino = 1; ino < r->img->nr_slots; ino++)
		if (fsck_inode_has(f, ino, FSCK_NAMED_TWICE))
			choose_name(r, ino);
	for (uint32_t ino = 1; ino < r->img->nr_slots && !err && !fsck_is_ending(f); ino++) {
		if (!is_concerned(r, ino))
			continue;
		if (!fsck_may(f, FSCK_KIND_TREES,
			    "Make damaged maps, directories and attributes anew, of what is left?"))
			return 0;
		err = fsck_inode_mend(r, ino);
	}
	return err;
}
