/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A devdaxfs as it lies on media, read without mounting it: for the checker, for dumps, for tests.
 *
 *	struct ddfs_image img;
 *
 *	ret = ddfs_image_open(media, DDFS_IMAGE_REPLAY, &img);
 *	ret = ddfs_image_inode(&img, ino, &di);
 *	ret = ddfs_image_walk_extents(&img, &di, &walk);
 *	ddfs_image_close(&img);
 *
 * It follows FORMAT.md and, beside checksums and the name hash, shares no code with fs/. It trusts
 * nothing that it reads: what is there is told as it is, with what does not hold. Nothing is
 *stored. Memory: half a byte for each inode, and what committed lanes hold. A function returns 0 or
 *-errno: -EIO what can't be read (poison, or outside the device), -EUCLEAN what does not hold.
 *Threads may share an open image.
 */
#ifndef DDFS_IMAGE_IMAGE_H
#define DDFS_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/format.h"

struct ddfs_media;
struct ddfs_image_overlay;

enum ddfs_image_flags {
	/* Reads see the device as recovery would leave it: with the committed lanes replayed, in
	 * memory. Lanes that do not hold are left out; of a clean filesystem none counts. */
	DDFS_IMAGE_REPLAY = 1 << 0,
	/* For tests that replace the name hash: names are not held against their keys. */
	DDFS_IMAGE_HASH_ANY = 1 << 1,
};

/* What is known of one of a pair of structures. ABSENT: a superblock behind the end of a device
 * that is too small for it; a root block that does not count, as sole_root_block says. */
enum ddfs_image_copy { DDFS_COPY_GOOD, DDFS_COPY_BAD, DDFS_COPY_UNREADABLE, DDFS_COPY_ABSENT };

struct ddfs_image {
	struct ddfs_media *media;
	unsigned int flags;
	struct ddfs_super super; /* of the pair, the one that counts */
	enum ddfs_image_copy super_copy[2];
	struct ddfs_inode_disk table; /* the inode table's own inode, the copy that counts */
	enum ddfs_image_copy root_copy[2];
	uint32_t seed;			/* of checksums */
	uint64_t nr_blocks;		/* of the device as the superblock has it */
	uint64_t data_block, end_block; /* valid blocks are from here up to there */
	uint64_t nr_chunks;
	uint32_t nr_slots;    /* of the inode table */
	uint64_t *table_blks; /* device block of each block of the inode table; 0: it has none */
	struct ddfs_image_overlay *overlay; /* NULL: no committed lane, or not asked for */
};

/* -EUCLEAN: no superblock holds, or what it says can't be a layout; -EOPNOTSUPP: another version,
 * or an incompatible feature; -EFBIG: the device is smaller than the superblock says, which is in
 * out->super then. If only the inode table's inode or map is damaged, the image opens
 * with the slots that can be found (nr_slots may be 0). media must outlive it. */
int ddfs_image_open(struct ddfs_media *media, unsigned int flags, struct ddfs_image *out);
void ddfs_image_close(struct ddfs_image *img);

/* Copy len bytes from byte off of the device. -EIO. */
int ddfs_image_read(const struct ddfs_image *img, uint64_t off, void *buf, size_t len);

/* Whether a structure of len bytes, read from byte off, has the right checksum. */
bool ddfs_image_sum_holds(const struct ddfs_image *img, uint64_t off, const void *p, size_t len);

static inline bool ddfs_image_blocks_valid(const struct ddfs_image *img, uint64_t start, uint64_t n)
{
	return start >= img->data_block && start < img->end_block && n <= img->end_block - start;
}

/* Byte of the device at which the slot lies, 0 if the table has no such block. */
uint64_t ddfs_image_slot_off(const struct ddfs_image *img, uint32_t ino);

/* Inode 0 is the table's own. -EUCLEAN: the checksum fails, *out is filled all the same; -EIO;
 * -ENOENT: behind the table's end. A free slot is read like any other. */
int ddfs_image_inode(const struct ddfs_image *img, uint32_t ino, struct ddfs_inode_disk *out);
bool ddfs_image_inode_is_free(const struct ddfs_inode_disk *di);

/* The key that a name must have, but for its bits 0-6. */
uint64_t ddfs_image_name_hash(const struct ddfs_image *img, const void *name, size_t len);

/* ---- lanes ---------------------------------------------------------------------------------- */

enum ddfs_image_lane {
	DDFS_IMAGE_LANE_EMPTY,
	DDFS_IMAGE_LANE_COMMITTED,
	DDFS_IMAGE_LANE_TORN, /* a commit that a crash cut short */
	DDFS_IMAGE_LANE_BAD,  /* another state, or a record outside the device */
	DDFS_IMAGE_LANE_UNREADABLE,
};

/* lane < nr_lanes; as it lies on media. buf, DDFS_LANE_BYTES, gets header and records, as far as
 * they are to be looked at, else zeroes; *out the header. UNREADABLE: of those, some can't be. */
enum ddfs_image_lane ddfs_image_lane_read(
	const struct ddfs_image *img, uint32_t lane, uint8_t *buf, struct ddfs_lane_header *out);

/* The record behind `r` of a COMMITTED lane in buf (NULL: the first); NULL behind the last. */
const struct ddfs_lane_record *ddfs_image_lane_next(
	const uint8_t *buf, const struct ddfs_lane_record *r);

/* ---- trees ---------------------------------------------------------------------------------- */

/* What does not hold in a tree. */
enum ddfs_image_fault {
	DDFS_FAULT_DEPTH,      /* more levels than a tree can have */
	DDFS_FAULT_BLOCK,      /* a reference to a block that can't be one */
	DDFS_FAULT_UNREADABLE, /* poison */
	DDFS_FAULT_NODE,       /* checksum, self, type or level */
	DDFS_FAULT_ENTRIES,    /* of a node: none, or too many */
	DDFS_FAULT_ORDER,      /* references: not ascending, or outside their parent's range */
	DDFS_FAULT_EXTENT,     /* empty, out of order or place, or blocks that can't be */
	DDFS_FAULT_RECORD,     /* of a leaf: place, length, key, tag or hash */
	DDFS_FAULT_LIVE,       /* of a leaf: the bytes in use, or a last slot that is dead */
	DDFS_FAULT_TWICE,      /* two records of one key */
	DDFS_FAULT_VALUE,      /* a chain of another length than its reference says */
	DDFS_FAULT_INLINE,     /* inline xattrs that do not fill xattr_bytes */
	DDFS_FAULT_XATTR,      /* an xattr's name or kind */
};

/* A name and its value, as a leaf or an inode holds them; valid during the call only. */
struct ddfs_image_record {
	uint64_t key; /* 0: an inline xattr */
	uint8_t type;
	uint8_t name_len;
	uint16_t val_len;
	const uint8_t *name; /* xattrs: the first byte is the prefix */
	const uint8_t *value;
};

/*
 * What a walk tells, in the order of keys; each function may be NULL. Behind a DDFS_FAULT_ORDER the
 * names of a tree may be out of order, and a key may come again; extents never are. A walk ends,
 * with DDFS_FAULT_BLOCK, when it has seen as many references as the device has blocks.
 *
 * Whatever does not hold is told to fault and left out, and the walk goes on with what does. So the
 * blocks told to `node`, and the extents and records, are what can be kept. Of a node whose
 * checksum alone fails, that is what proves itself: the records of a directory whose names have
 * their hash, and children with good checksums that were written for the same inode.
 */
struct ddfs_image_walk {
	void *arg;
	/* A reference to block blk, one that can be, before it is looked at. 0: go on; 1: leave
	 * out the block and what lies below it; negative: end the walk, with that. Who must not
	 * visit a block twice says 1: damaged trees may share nodes. */
	int (*visit)(void *arg, uint64_t blk);
	/* A node that holds; blk also of value chains. */
	void (*node)(void *arg, uint64_t blk, const struct ddfs_node *n);
	/* Negative ends the walk, with that. */
	int (*extent)(void *arg, const struct ddfs_extent *e);
	int (*record)(void *arg, const struct ddfs_image_record *r);
	/* blk: the node concerned, 0: the inode itself. lblk: of extent trees, the first block of
	 * the file that is concerned, and how many; keys: of name trees. */
	void (*fault)(
		void *arg, enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to);
};

/* The map of a regular file, of the inode table or of a long symlink. */
int ddfs_image_walk_extents(const struct ddfs_image *img, const struct ddfs_inode_disk *di,
	const struct ddfs_image_walk *walk);
/* The names of a directory. */
int ddfs_image_walk_names(const struct ddfs_image *img, const struct ddfs_inode_disk *di,
	const struct ddfs_image_walk *walk);
/* Inline ones, the tree, and the chains of values (visit and node alone are told of those). */
int ddfs_image_walk_xattrs(const struct ddfs_image *img, const struct ddfs_inode_disk *di,
	const struct ddfs_image_walk *walk);
/* The value of a record of type 1, len bytes of it (see struct ddfs_xattr_ref). -EIO, -EUCLEAN. */
int ddfs_image_xattr_value(
	const struct ddfs_image *img, const struct ddfs_image_record *r, void *buf, size_t len);

/* One word for each, for dumps and messages. */
const char *ddfs_image_fault_text(enum ddfs_image_fault fault);

#endif
