/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The media format. This header is the format; FORMAT.md explains it and changes with it.
 *
 * Everything is little-endian. Every structure begins with `crc`: the CRC32C of the bytes behind
 * it to the structure's end, seeded by the filesystem's csum_seed and by the byte offset at which
 * the structure lies (ddfs_csum), so that a stale or misplaced one does not pass.
 *
 *	0			superblock, 4 KiB
 *	4096			root block: the inode of the inode table
 *	8192			group table, 64 bytes a group
 *	lanes_off		lanes: the redo log
 *	chunk_table_off		chunk table, 128 bytes for each 2 MiB of the device
 *	pagemap_off		the pagemap's own storage, if it is kept on the device
 *	pins_off		the pin table
 *	bad_off			the table of bad blocks
 *	data_off		metadata and data blocks
 *	end - 8192		second root block
 *	end - 4096		second superblock
 */
#ifndef DDFS_FS_FORMAT_H
#define DDFS_FS_FORMAT_H

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* Fixed-width little-endian integers. Structs, so that none is used without conversion. */
struct le16 {
	uint16_t raw;
};
struct le32 {
	uint32_t raw;
};
struct le64 {
	uint64_t raw;
};

static inline uint16_t ddfs_le16(struct le16 v)
{
	return le16toh(v.raw);
}
static inline uint32_t ddfs_le32(struct le32 v)
{
	return le32toh(v.raw);
}
static inline uint64_t ddfs_le64(struct le64 v)
{
	return le64toh(v.raw);
}
static inline struct le16 ddfs_to16(uint16_t v)
{
	return (struct le16){ htole16(v) };
}
static inline struct le32 ddfs_to32(uint32_t v)
{
	return (struct le32){ htole32(v) };
}
static inline struct le64 ddfs_to64(uint64_t v)
{
	return (struct le64){ htole64(v) };
}

#define DDFS_VERSION_MEDIA 3

#define DDFS_BLOCK_SHIFT  12
#define DDFS_BLOCK_BYTES  4096u
#define DDFS_CHUNK_SHIFT  21
#define DDFS_CHUNK_BYTES  (1u << DDFS_CHUNK_SHIFT)
#define DDFS_CHUNK_BLOCKS 512u

#define DDFS_SUPER_OFF	     0u
#define DDFS_ROOT_BLOCK_OFF  4096u
#define DDFS_GROUP_TABLE_OFF 8192u
#define DDFS_MAX_GROUPS	     1024u
#define DDFS_MAX_LANES	     64u
#define DDFS_LANE_BYTES	     65536u

/* ---- superblock ----------------------------------------------------------------------------- */

#define DDFS_SUPER_MAGIC UINT64_C(0x7366786164766564) /* "devdaxfs" */

enum ddfs_super_state {
	DDFS_STATE_CLEAN = 0,
	DDFS_STATE_MOUNTED = 1,
};

/* Features. An unknown incompatible bit forbids the mount, an unknown read-only-compatible bit
 * forbids a writable one. */
#define DDFS_COMPAT_PAGEMAP_ON_DEVICE UINT64_C(1)
#define DDFS_COMPAT_KNOWN	      DDFS_COMPAT_PAGEMAP_ON_DEVICE
#define DDFS_RO_COMPAT_KNOWN	      UINT64_C(0)
#define DDFS_INCOMPAT_KNOWN	      UINT64_C(0)

struct ddfs_super {
	struct le32 crc;
	struct le32 version;
	struct le64 magic;
	struct le64 feature_compat;
	struct le64 feature_ro_compat;
	struct le64 feature_incompat;
	uint8_t uuid[16];
	uint8_t label[64];	  /* UTF-8, zero-padded */
	struct le64 device_bytes; /* whole chunks */
	struct le32 block_bytes;
	struct le32 chunk_bytes;
	struct le32 inode_bytes;
	struct le32 lane_bytes;
	struct le32 nr_lanes;
	struct le32 nr_groups;
	struct le32 group_chunks; /* chunks a group; a power of two */
	struct le32 csum_seed;
	struct le64 hash_seed; /* of the name hash */
	struct le64 lanes_off;
	struct le64 chunk_table_off;
	struct le64 pagemap_off; /* 0: the pagemap is kept in memory */
	struct le64 pagemap_bytes;
	struct le64 pins_off;
	struct le64 pins_bytes;
	struct le64 bad_off;
	struct le64 bad_bytes;
	struct le64 data_off;
	struct le64 dax_unit_bytes; /* allocation unit of DAX inodes */
	struct le64 mkfs_time;	    /* seconds since 1970 */
	/* from here on changed by mount and unmount */
	struct le64 seq; /* of two valid copies the larger counts */
	struct le32 state;
	struct le32 owner_pid;
	uint8_t owner_boot_id[16];
	struct le64 mount_time;
	struct le32 nr_mounts;	      /* writable ones; also the epoch of the mount's pins */
	struct le32 nr_used_inodes;   /* valid when clean */
	struct le32 first_free_inode; /* valid when clean: none is free below */
	struct le32 has_health;	      /* 1: the two below are the device's, as last seen */
	struct le64 unsafe_shutdowns;
	uint8_t device_id[64];	     /* what the device calls itself, cut, zero-padded */
	struct le32 sole_root_block; /* 1, 2: that one alone is up to date; 0: both are */
	uint8_t reserved[4096 - 388];
};
static_assert(sizeof(struct ddfs_super) == 4096, "superblock");
static_assert(offsetof(struct ddfs_super, magic) == 8, "superblock");
static_assert(offsetof(struct ddfs_super, uuid) == 40, "superblock");
static_assert(offsetof(struct ddfs_super, device_bytes) == 120, "superblock");
static_assert(offsetof(struct ddfs_super, csum_seed) == 156, "superblock");
static_assert(offsetof(struct ddfs_super, hash_seed) == 160, "superblock");
static_assert(offsetof(struct ddfs_super, lanes_off) == 168, "superblock");
static_assert(offsetof(struct ddfs_super, dax_unit_bytes) == 240, "superblock");
static_assert(offsetof(struct ddfs_super, mkfs_time) == 248, "superblock");
static_assert(offsetof(struct ddfs_super, seq) == 256, "superblock");
static_assert(offsetof(struct ddfs_super, owner_boot_id) == 272, "superblock");
static_assert(offsetof(struct ddfs_super, mount_time) == 288, "superblock");
static_assert(offsetof(struct ddfs_super, first_free_inode) == 304, "superblock");
static_assert(offsetof(struct ddfs_super, unsafe_shutdowns) == 312, "superblock");
static_assert(offsetof(struct ddfs_super, device_id) == 320, "superblock");
static_assert(offsetof(struct ddfs_super, sole_root_block) == 384, "superblock");

/* ---- groups and chunks ---------------------------------------------------------------------- */

struct ddfs_group_desc {
	struct le32 crc;
	struct le32 nr_init; /* chunk table entries of the group that have been written; those
			      * behind are free whatever they hold */
	struct le64 nr_free; /* blocks; valid when the filesystem is clean */
	uint8_t reserved[48];
};
static_assert(sizeof(struct ddfs_group_desc) == 64, "group");

/* One bit a 4 KiB block of the chunk, set if it is in use. */
struct ddfs_chunk {
	struct le32 crc;
	struct le32 flags; /* none yet */
	uint8_t reserved[56];
	struct le64 used[8];
};
static_assert(sizeof(struct ddfs_chunk) == 128, "chunk");
static_assert(offsetof(struct ddfs_chunk, used) == 64, "chunk");

/* ---- lanes ---------------------------------------------------------------------------------- */

enum ddfs_lane_state {
	DDFS_LANE_EMPTY = 0,
	DDFS_LANE_COMMITTED = 1,
};

/* Committed if state says so and crc, of the header behind it and of nr_bytes of records, holds;
 * state COMMITTED with another crc is a commit that a crash cut short. */
struct ddfs_lane_header {
	struct le32 crc;
	struct le32 nr_bytes; /* of records behind the header */
	struct le32 nr_records;
	struct le32 pad;
	struct le64 seq;
	struct le64 state;
	uint8_t reserved[32];
};
static_assert(sizeof(struct ddfs_lane_header) == 64, "lane");
static_assert(offsetof(struct ddfs_lane_header, state) == 24, "lane");

/* Followed by len bytes to store at off, and zeroes up to a multiple of 8. */
struct ddfs_lane_record {
	struct le64 off;
	struct le32 len;
	struct le32 pad;
};
static_assert(sizeof(struct ddfs_lane_record) == 16, "record");

/* Whether a record may store len bytes at off: on the device, but not into the log, whose records
 * are looked at before the first one is stored. */
static inline bool ddfs_lane_may_store(
	uint64_t off, uint64_t len, uint64_t bytes, uint64_t lanes_off, uint32_t nr_lanes)
{
	return off <= bytes && len <= bytes - off &&
	       (off + len <= lanes_off || off >= lanes_off + (uint64_t)nr_lanes * DDFS_LANE_BYTES);
}

/* ---- pins ----------------------------------------------------------------------------------- */

#define DDFS_PINS_BYTES_MIN 65536u
#define DDFS_PINS_BYTES_MAX (16u << 20)

/* Head of the pin table; records follow, in slots of their size. */
struct ddfs_pin_table {
	struct le32 crc;
	struct le32 nr_slots; /* that may be in use: those behind have not been since mkfs */
	uint8_t reserved[56];
};
static_assert(sizeof(struct ddfs_pin_table) == 64, "pin table");

/* Pages of a file that a client holds, from before it is told of them until it has let go. Free if
 * crc does not hold. Means something only while the client lives, hence never after a power
 * loss: it is stored, but not waited for. */
struct ddfs_pin_record {
	struct le32 crc;
	struct le32 epoch; /* nr_mounts of the mount that it was made in; never 0 */
	struct le32 ino;
	struct le32 gen;
	struct le32 lblk;  /* of the file */
	struct le32 len;   /* blocks */
	struct le64 start; /* block of the device */
	struct le32 pid;   /* of the holder, for people */
	struct le32 mode;  /* enum ddfs_pin_mode */
	struct le64 since; /* seconds since 1970 */
	uint8_t reserved[16];
};
static_assert(sizeof(struct ddfs_pin_record) == 64, "pin record");
static_assert(offsetof(struct ddfs_pin_record, start) == 24, "pin record");

/* ---- bad blocks ----------------------------------------------------------------------------- */

#define DDFS_BAD_BYTES 65536u

/* Blocks that hold poison, from when that was noticed until it was cleared. Those that no file has
 * are kept from use. Free if crc does not hold, or len is 0. */
struct ddfs_bad_record {
	struct le32 crc;
	struct le32 len;   /* blocks */
	struct le64 start; /* block of the device */
	struct le64 since; /* seconds since 1970 */
	uint8_t reserved[8];
};
static_assert(sizeof(struct ddfs_bad_record) == 32, "bad record");

/* ---- inodes --------------------------------------------------------------------------------- */

#define DDFS_INODE_BYTES      256u
#define DDFS_INODES_PER_BLOCK (DDFS_BLOCK_BYTES / DDFS_INODE_BYTES)
#define DDFS_INODE_MAGIC      0x6e69 /* "in" */

#define DDFS_INO_TABLE	0u /* the inode table itself; lies in the root block, not in the table */
#define DDFS_INO_ROOT	1u
#define DDFS_INO_ORPHAN 2u /* directory of inodes to free at the next mount */
#define DDFS_INO_FIRST	16u

#define DDFS_INLINE_EXTENTS 4u
#define DDFS_INLINE_SYMLINK 64u
#define DDFS_INLINE_XATTR   64u

/* Whether an inode in use can have that mode. */
static inline bool ddfs_type_is_known(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

/* Bits of ddfs_inode_disk.flags beside FS_*_FL. */
#define DDFS_IFLAG_ZOMBIE 0x80000000u /* holds only blocks to be freed */

/* A run of blocks. len is at least 1; unwritten blocks read as zeroes. */
struct ddfs_extent {
	struct le32 lblk;  /* of the file */
	struct le32 len;   /* blocks */
	struct le64 start; /* block of the device; bit 63: unwritten */
};
static_assert(sizeof(struct ddfs_extent) == 16, "extent");
#define DDFS_EXTENT_UNWRITTEN (UINT64_C(1) << 63)

struct ddfs_inode_disk {
	struct le32 crc;
	struct le16 magic; /* 0 in a slot that was never used */
	struct le16 mode;  /* 0: free */
	struct le32 ino;
	struct le32 gen;
	struct le32 uid;
	struct le32 gid;
	struct le32 nlink;
	struct le32 flags;
	struct le64 size;      /* bytes */
	struct le64 nr_blocks; /* owned: data, trees and xattrs */
	struct le64 atime;     /* seconds since 1970, signed */
	struct le64 mtime;
	struct le64 ctime;
	struct le64 btime;
	struct le32 atime_ns;
	struct le32 mtime_ns;
	struct le32 ctime_ns;
	struct le32 btime_ns;
	struct le32 parent; /* of a directory: the inode number of its parent */
	struct le32 rdev;
	struct le64 xattr_root; /* block of the xattr tree, 0: none */
	struct le16 nr_extents; /* in body, when depth is 0 */
	uint8_t depth;		/* of the extent or name tree whose root block body holds */
	uint8_t xattr_depth;
	struct le16 xattr_bytes; /* used of xattr[] */
	struct le16 pad;
	struct le32 target_crc; /* CRC32C of a symlink's target that lies in a block */
	struct le32 pad2;
	union {
		struct ddfs_extent extent[DDFS_INLINE_EXTENTS];
		struct le64 root; /* block; of extents if depth > 0, of names if not 0 */
		uint8_t target[DDFS_INLINE_SYMLINK];
	} body;
	uint8_t xattr[DDFS_INLINE_XATTR];
};
static_assert(sizeof(struct ddfs_inode_disk) == DDFS_INODE_BYTES, "inode");
static_assert(offsetof(struct ddfs_inode_disk, size) == 32, "inode");
static_assert(offsetof(struct ddfs_inode_disk, atime_ns) == 80, "inode");
static_assert(offsetof(struct ddfs_inode_disk, parent) == 96, "inode");
static_assert(offsetof(struct ddfs_inode_disk, xattr_root) == 104, "inode");
static_assert(offsetof(struct ddfs_inode_disk, body) == 128, "inode");
static_assert(offsetof(struct ddfs_inode_disk, xattr) == 192, "inode");

/* ---- tree nodes ----------------------------------------------------------------------------- */

enum ddfs_node_type {
	DDFS_NODE_EXTENT = 0x7865, /* "ex": extents (level 0) or references to such nodes */
	DDFS_NODE_NAME_INDEX = 0x6e69,
	DDFS_NODE_NAME_LEAF = 0x666e,
	DDFS_NODE_VALUE = 0x6c76, /* part of a large xattr value */
};

/* Head of every metadata block in the data area. */
struct ddfs_node {
	struct le32 crc;
	struct le16 type;
	uint8_t level; /* 0: leaf */
	uint8_t pad;
	struct le64 self;  /* block */
	struct le32 owner; /* inode that it was written for */
	struct le16 nr;	   /* entries */
	struct le16 low;   /* name leaf: lowest byte used by records */
	struct le16 live;  /* name leaf: bytes of records in use */
	struct le16 pad2;
	struct le32 pad3;
	uint8_t payload[DDFS_BLOCK_BYTES - 32];
};
static_assert(sizeof(struct ddfs_node) == DDFS_BLOCK_BYTES, "node");
static_assert(offsetof(struct ddfs_node, payload) == 32, "node");

#define DDFS_NODE_ENTRIES ((DDFS_BLOCK_BYTES - 32u) / 16u)

/* Of an extent node above level 0: the subtree of child holds extents from lblk on. */
struct ddfs_extent_ref {
	struct le32 lblk;
	struct le32 pad;
	struct le64 child;
};
static_assert(sizeof(struct ddfs_extent_ref) == 16, "extent reference");

/* Of a name index node: child holds the names whose key is at least this. */
struct ddfs_name_ref {
	struct le64 key;
	struct le64 child;
};
static_assert(sizeof(struct ddfs_name_ref) == 16, "name reference");

/* Of a name leaf, growing up from the head; unsorted. off 0: dead. */
struct ddfs_name_slot {
	struct le32 tag; /* bits 7..38 of the key */
	struct le16 off; /* of the record, from the start of the block */
	struct le16 len; /* of the record, a multiple of 8 */
};
static_assert(sizeof(struct ddfs_name_slot) == 8, "slot");

/* A record, growing down from the end of the leaf: name_len bytes of name and val_len of value
 * follow. key is the name's hash in bits 7..62 and, to tell names of equal hash apart, a number
 * in bits 0..6; the key is the entry's readdir cookie. */
struct ddfs_name_record {
	struct le64 key;
	uint8_t type; /* directory: S_IFMT >> 12; xattr: 0 value inline, 1 in blocks */
	uint8_t name_len;
	struct le16 val_len;
	struct le32 pad;
};
static_assert(sizeof(struct ddfs_name_record) == 16, "record");

/* The value of a directory entry. */
struct ddfs_dirent_value {
	struct le32 ino;
};

/* The value of an xattr whose bytes lie in blocks: the first of a chain. */
struct ddfs_xattr_ref {
	struct le64 first;
	struct le32 len; /* bytes */
	struct le32 pad;
};
static_assert(sizeof(struct ddfs_xattr_ref) == 16, "xattr reference");

/* Payload of a DDFS_NODE_VALUE: nr bytes follow. */
struct ddfs_value_head {
	struct le64 next; /* block, 0: the last */
};
#define DDFS_VALUE_BYTES (DDFS_BLOCK_BYTES - 32u - 8u)

/* In the inode's xattr[]: name_len and val_len bytes follow, unaligned; no padding. */
struct ddfs_inline_xattr {
	uint8_t prefix; /* enum ddfs_xattr_prefix */
	uint8_t name_len;
	uint8_t val_len;
};

/* First byte of a stored xattr name, in place of the prefix that it stands for. */
enum ddfs_xattr_prefix {
	DDFS_XATTR_USER = 1,	 /* "user." */
	DDFS_XATTR_TRUSTED = 2,	 /* "trusted." */
	DDFS_XATTR_SECURITY = 3, /* "security." */
	DDFS_XATTR_SYSTEM = 4,	 /* "system." */
};

/* Whether there can be an xattr of that prefix and, behind it, these len bytes. */
static inline bool ddfs_xattr_name_is_possible(uint8_t prefix, const uint8_t *rest, size_t len)
{
	static const uint8_t prefix_len[] = {
		[DDFS_XATTR_USER] = sizeof("user.") - 1,
		[DDFS_XATTR_TRUSTED] = sizeof("trusted.") - 1,
		[DDFS_XATTR_SECURITY] = sizeof("security.") - 1,
		[DDFS_XATTR_SYSTEM] = sizeof("system.") - 1,
	};

	if (!prefix || prefix > DDFS_XATTR_SYSTEM || !len || len > 255u - prefix_len[prefix])
		return false;
	if (prefix == DDFS_XATTR_SYSTEM)
		return (len == 16 && !memcmp(rest, "posix_acl_access", 16)) ||
		       (len == 17 && !memcmp(rest, "posix_acl_default", 17));
	return !memchr(rest, 0, len);
}

#endif
