/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the repairs share.
 *
 * A tree that does not hold is walked, and made anew of what does, in blocks that nothing leads to;
 * once they are durable, its inode's slot is stored, by the log. So a crash leaves the old tree or
 * the new one, and either is kept.
 */
#ifndef DDFS_FSCK_REPAIR_PRIV_H
#define DDFS_FSCK_REPAIR_PRIV_H

#include "fsck/repair.h"
#include "fsck/state.h"
#include "fsck/tree_build.h"

/* Kinds of repair, for fsck_may. */
enum fsck_kind {
	FSCK_KIND_SUPER,
	FSCK_KIND_LANES,
	FSCK_KIND_TABLE,
	FSCK_KIND_SLOTS,
	FSCK_KIND_SHARED,
	FSCK_KIND_TREES,
	FSCK_KIND_LOST,
	FSCK_KIND_LINKS,
	FSCK_KIND_SPACE,
};

/* A block that two lay claim to, and the inode whose tree it is a node of, or whose target. */
struct fsck_node_owner {
	uint64_t blk;
	uint32_t ino;
	bool is_target;
};

/* In named_as of a directory: the name that it has is to be dropped. */
#define FSCK_NAME_GOES 0xfe

struct fsck_walk;

/* One call of fsck_repair, or of fsck_repair_start. */
struct fsck_repair {
	struct fsck *f;
	struct ddfs_image *img;
	bool changed;	   /* something was stored */
	uint64_t *taken;   /* a bit a block; NULL: no block was needed yet (taken.c) */
	uint64_t *suspect; /* a bit a block: in the table of bad ones */
	uint64_t spare[2]; /* where the searches for a free block go on: for others, for these */
	uint64_t *got;	   /* by the inode that is mended: given back if there are too few for it */
	size_t nr_got, cap_got;
	uint64_t *data_kept; /* of blocks claimed twice, as data: they have their file */
	struct fsck_node_owner *node_owner; /* ascending blocks */
	size_t nr_node_owners, cap_node_owners;
	/* Where no block is free: nodes of the tree that is made anew, to be overwritten by its new
	 * ones, which wait for the slot to be stored with it, by the log. */
	const struct fsck_walk *reuse;
	size_t nr_reused;
	uint8_t *waiting;    /* records of a lane */
	uint32_t nr_waiting; /* bytes */
	bool names_twice;    /* some directory has more than one name */
};

void fsck_repair_fini(struct fsck_repair *r);

/* ---- stores (store.c) ----------------------------------------------------------------------- */

/* Before the first store: the superblocks say that it is not cleanly unmounted. */
int fsck_mark(struct fsck_repair *r);
/* Both superblocks, as img->super is now, with the next number. */
int fsck_super_store(struct fsck_repair *r);
/* Have the len bytes at off be such that stores can be read again: -ENODATA if they can't. What
 * else lies in a block that had to be cleared is lost. */
int fsck_make_readable(struct fsck_repair *r, uint64_t off, uint64_t len);
/* Seal a fixed structure that lies at off and store it; not drained. -ENODATA. */
int fsck_fixed_store(struct fsck_repair *r, uint64_t off, void *p, size_t len);
/* The inode's slot, durably, after all that was stored before. Inode 0: both root blocks. */
int fsck_slot_store(struct fsck_repair *r, uint32_t ino, struct ddfs_inode_disk *di);
int fsck_zero(struct fsck_repair *r, uint64_t off, size_t len); /* not drained */
int fsck_drain(struct fsck_repair *r);
/* Tell what was done, or lost. */
__attribute__((format(printf, 2, 3))) void fsck_tell(struct fsck_repair *r, const char *fmt, ...);

/* ---- blocks that nothing leads to (taken.c, spare.c) --------------------------------------- */

/* Note in taken what any inode leads to that may be one. Once a call is enough. */
int fsck_taken_collect(struct fsck_repair *r);
void fsck_take(struct fsck_repair *r, uint64_t start, uint64_t len);
/* A free one, taken. -ENOSPC: it is told in the end, if that is left so. */
int fsck_spare_get(struct fsck_repair *r, uint64_t *blk);
/* From here on they are for one inode; give back what it got: it stays as it was. */
void fsck_spare_begin(struct fsck_repair *r);
void fsck_spare_abort(struct fsck_repair *r);
/* Put trees there. */
/* old: the walk of what the tree takes the place of. */
struct fsck_builder fsck_spare_builder(struct fsck_repair *r, const struct fsck_walk *old);

static inline bool fsck_bit(const uint64_t *map, uint64_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* ---- inodes --------------------------------------------------------------------------------- */

/* Whether what lies in slot ino, its checksum failing, is that inode all the same. */
bool fsck_slot_is_plausible(
	const struct ddfs_image *img, uint32_t ino, const struct ddfs_inode_disk *di);
/* The bit of the slot that is wrong put right, if it is one: with it alone the checksum holds. */
bool fsck_slot_mend_bit(const struct ddfs_image *img, uint32_t ino, struct ddfs_inode_disk *di);
/* The root's inode, or that of the orphans, made anew; true: with the names that it had, if *was
 * still says where they are. */
bool fsck_fixed_rebuild(const struct ddfs_image *img, uint32_t ino,
	const struct ddfs_inode_disk *was, struct ddfs_inode_disk *di);
void fsck_inode_begin(struct ddfs_inode_disk *di, uint32_t ino, uint32_t mode, uint32_t gen);
int fsck_slot_clear(struct fsck_repair *r, uint32_t ino, const struct ddfs_inode_disk *di);
int fsck_slots_repair(struct fsck_repair *r);

/* The inode table's own inode and map. */
int fsck_table_repair(struct fsck_repair *r);
/* Lanes: replayed, cleared. Before anything is looked at. */
int fsck_lanes_repair(struct fsck_repair *r);
/* Store a slot, and what waits for it, so that a crash leaves all of it or nothing; durably. */
int fsck_lane_store(struct fsck_repair *r, uint64_t off, const void *p);
/* Have it wait. -ENOSPC: a lane does not hold that much. */
int fsck_lane_wait(struct fsck_repair *r, uint64_t off, const void *p, uint32_t len);
/* How well *di does as the table's inode: blocks of it that are, less those that are not. */
int64_t fsck_table_score(struct fsck_repair *r, const struct ddfs_inode_disk *di);
/* More slots, for the next round. */
int fsck_table_grow(struct fsck_repair *r);

/* ---- trees ---------------------------------------------------------------------------------- */

/* A walk of one of an inode's trees, that remembers what of it can be kept. */
struct fsck_walk {
	struct fsck_repair *r;
	uint32_t ino;
	uint64_t nr_nodes;
	uint64_t nr_faults; /* what the walk left out, and what is kept in another form */
	uint64_t *seen;	    /* a bit a block: nodes visited */
	uint64_t *own;	    /* nodes that hold, written for this inode, and nobody else's */
	size_t nr_own, cap_own;
};
/* -ENOMEM. */
int fsck_walk_init(struct fsck_walk *w, struct fsck_repair *r, uint32_t ino);

/* For struct ddfs_image_walk; arg is the fsck_walk, first in what the caller has. */
int fsck_walk_visit(void *arg, uint64_t blk);
void fsck_walk_node(void *arg, uint64_t blk, const struct ddfs_node *n);
void fsck_walk_fault(
	void *arg, enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to);
void fsck_walk_fini(struct fsck_walk *w);

/* Each makes the tree anew if it does not hold, and adds the blocks that the inode then has to
 * *nr_blocks. -ENOSPC: no room for it. */
int fsck_map_mend(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks);
/* Whether it lies in block *blk, as its checksum proves. */
bool fsck_symlink_holds(
	const struct ddfs_image *img, const struct ddfs_inode_disk *di, uint64_t *blk);
/* A symlink whose target is lost gets mode 0. */
int fsck_symlink_mend(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks);
int fsck_dir_mend(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks);
int fsck_xattrs_mend(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks);

/* All of an inode. */
int fsck_inode_mend(struct fsck_repair *r, uint32_t ino);
int fsck_trees_repair(struct fsck_repair *r);

/* Names to add to a directory that holds. */
struct fsck_new_name {
	char name[32];
	uint32_t ino;
};
int fsck_dir_add(struct fsck_repair *r, uint32_t dir, const struct fsck_new_name *names, size_t nr);
/* Whether it has an entry for ino. */
bool fsck_dir_has(struct fsck_repair *r, uint32_t dir, uint32_t ino);
/* -ENOENT. */
int fsck_dir_find(struct fsck_repair *r, uint32_t dir, const char *name, uint32_t *ino);

/* ---- blocks claimed twice (shared.c) -------------------------------------------------------- */

int fsck_shared_repair(struct fsck_repair *r);
bool fsck_is_claimed_twice(const struct fsck_repair *r, uint64_t blk);
/* Whether the node is another's. */
bool fsck_node_is_foreign(const struct fsck_repair *r, uint32_t ino, uint64_t blk);
/* Whether an inode may keep the block as data; if so, nobody else may. */
bool fsck_data_keep(struct fsck_repair *r, uint32_t ino, uint64_t blk);

/* ---- names, links, space -------------------------------------------------------------------- */

int fsck_lost_repair(struct fsck_repair *r);
int fsck_links_repair(struct fsck_repair *r);
int fsck_space_repair(struct fsck_repair *r);
/* Pins that do not hold, the head of their table; records of bad blocks. */
int fsck_pins_repair(struct fsck_repair *r);
int fsck_bad_repair(struct fsck_repair *r);
/* The block can't be read: the table of bad ones has it. */
int fsck_bad_note(struct fsck_repair *r, uint64_t blk);
/* nr_free of the groups, and the superblock's counts, in img->super. */
int fsck_counts_store(struct fsck_repair *r);

#endif
