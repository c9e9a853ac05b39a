/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything a user can see of a filesystem: which name leads to which inode, and what that is. A
 * snapshot is one that was read from a filesystem; the world keeps another up to date by itself, as
 * its model of what should be there.
 */
#ifndef DDFS_TEST_CRASH_SNAP_H
#define DDFS_TEST_CRASH_SNAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/crash/crash.h"

#define SNAP_BLOCK 4096u

/* Of times only those count that were set: who sets them stays below. */
#define SNAP_TIME_SET_MAX INT64_C(1000000000)

enum snap_time { SNAP_ATIME, SNAP_MTIME, SNAP_CTIME, SNAP_TIMES };

struct snap_xattr {
	char *name;
	uint8_t *value;
	size_t size;
};

struct snap_node {
	unsigned int refs; /* names, and who else has it */
	ddfs_id id;	   /* 0: not known to the model */
	uint32_t mode, nlink, uid, gid, rdev, flags;
	uint64_t size;		  /* of a directory: what it takes, which is not modelled */
	uint64_t blocks;	  /* that it takes, 512 bytes each: not modelled either */
	int64_t time[SNAP_TIMES]; /* seconds; 0: the clock's */
	char *target;
	uint8_t **block; /* contents; NULL: zeroes */
	size_t nr_blocks;
	struct snap_xattr *xattr; /* by name */
	size_t nr_xattrs;
};

struct snap_entry {
	char *path; /* "d/x"; the root's is "" */
	struct snap_node *node;
};

/* A block of a file that a client holds. */
struct snap_held {
	ddfs_id id;
	uint64_t lblk, device_blk;
};

struct crash_snap {
	struct snap_entry *entry; /* by path */
	size_t nr, cap;
	struct snap_held *held; /* in order */
	size_t nr_held;
};

/* ---- nodes ---- */

struct snap_node *snap_node_new(uint32_t mode);
void snap_node_put(struct snap_node *n);
/* A copy, with one reference. */
struct snap_node *snap_node_clone(const struct snap_node *n);

static inline const uint8_t *snap_node_block(const struct snap_node *n, uint64_t i)
{
	return i < n->nr_blocks ? n->block[i] : NULL;
}
/* [off, off + len) becomes src, NULL: zeroes. The size is the caller's. */
void snap_node_write(struct snap_node *n, uint64_t off, const uint8_t *src, uint64_t len);
/* Holes, and what lies behind the end, are zeroes. */
void snap_node_read(const struct snap_node *n, uint64_t off, uint8_t *dst, size_t len);
void snap_node_truncate(struct snap_node *n, uint64_t size);
/* Whole blocks. */
void snap_node_collapse(struct snap_node *n, uint64_t off, uint64_t len);
void snap_node_insert(struct snap_node *n, uint64_t off, uint64_t len);

const struct snap_xattr *snap_node_xattr(const struct snap_node *n, const char *name);
void snap_node_set_xattr(struct snap_node *n, const char *name, const void *value, size_t size);
/* False: it has none of that name. */
bool snap_node_remove_xattr(struct snap_node *n, const char *name);

/* ---- names ---- */

/* With a root and nothing in it. */
struct crash_snap *snap_new(void);
/* With the same nodes. */
struct crash_snap *snap_clone(const struct crash_snap *s);
/* All names of one node become another's. */
void snap_replace(struct crash_snap *s, const struct snap_node *old, struct snap_node *new);
struct snap_node *snap_find_id(const struct crash_snap *s, ddfs_id id);
struct snap_node *snap_find(const struct crash_snap *s, const char *path);
/* Takes a reference of its own. */
void snap_add(struct crash_snap *s, const char *path, struct snap_node *n);
void snap_remove(struct crash_snap *s, const char *path);
/* With all that lies below it. */
void snap_move(struct crash_snap *s, const char *from, const char *to);
bool snap_dir_is_empty(const struct crash_snap *s, const char *path);

/* ---- comparing ---- */

enum snap_compare {
	SNAP_NO_SPACE = 1 << 0, /* but for what directories and files take */
	SNAP_NO_PINS = 1 << 1,
	/* b may have times that were set before the clock's took their place in a */
	SNAP_LAZY_TIMES = 1 << 2,
};

/* What is the first difference, in words; false: none. */
bool snap_differs(
	const struct crash_snap *a, const struct crash_snap *b, unsigned int flags, char why[256]);
bool snap_node_differs(
	const struct snap_node *a, const struct snap_node *b, unsigned int flags, char why[256]);
/* Of what nodes are but for their contents and size; and their contents alone. */
bool snap_node_attrs_differ(
	const struct snap_node *a, const struct snap_node *b, unsigned int flags, char why[256]);
bool snap_node_content_differs(const struct snap_node *a, const struct snap_node *b, char why[256]);
bool snap_times_differ(
	const struct snap_node *a, const struct snap_node *b, unsigned int flags, char why[256]);
/* The order of struct crash_snap.held. */
int snap_held_compare(const struct snap_held *a, const struct snap_held *b);
bool snap_pins_differ(const struct crash_snap *a, const struct crash_snap *b, char why[256]);

#endif
