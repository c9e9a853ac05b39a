/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names by hash: a B+tree of records (name, type, short value), used for directories and for
 * xattrs. Constant cost a name; the order of keys is the order of readdir, and a key never
 * changes while its record lives.
 */
#ifndef DDFS_FS_HTREE_H
#define DDFS_FS_HTREE_H

#include <stddef.h>
#include <stdint.h>

#include "fs/format.h"

struct ddfs_fs;
struct ddfs_tx;

/* Name and value together, at most: three records fit in a leaf. */
#define DDFS_HTREE_RECORD_MAX 1280u

struct ddfs_htree {
	uint64_t root; /* block, 0: empty */
	uint8_t depth; /* index levels above the leaves */
	uint32_t owner;
	int64_t nr_blocks; /* nodes gained (or lost) by changes, for the owner's count */
};

struct ddfs_hrecord {
	uint64_t key;
	uint8_t type;
	uint16_t name_len, val_len;
	const char *name; /* both point into a node as the transaction sees it */
	const uint8_t *value;
};

/* -ENOENT. tx may be NULL. */
int ddfs_htree_find(struct ddfs_fs *fs, const struct ddfs_tx *tx, const struct ddfs_htree *t,
	const char *name, size_t len, struct ddfs_hrecord *out);

/* The name must not be there. -ENOSPC. Changes t. */
int ddfs_htree_insert(struct ddfs_tx *tx, struct ddfs_htree *t, const char *name, size_t len,
	uint8_t type, const void *value, size_t val_len);
/* -ENOENT. Changes t; without its last record it has no blocks. */
int ddfs_htree_remove(struct ddfs_tx *tx, struct ddfs_htree *t, const char *name, size_t len);
/* Replace type and value by ones of the same length. -ENOENT. */
int ddfs_htree_replace(struct ddfs_tx *tx, struct ddfs_htree *t, const char *name, size_t len,
	uint8_t type, const void *value, size_t val_len);

/* Records with a key above after, in order, until fn returns non-zero, which is returned. */
typedef int (*ddfs_htree_fn)(void *arg, const struct ddfs_hrecord *r);
int ddfs_htree_walk(struct ddfs_fs *fs, const struct ddfs_tx *tx, const struct ddfs_htree *t,
	uint64_t after, ddfs_htree_fn fn, void *arg);

/* Bits 7..62 of a key; never 0, so that keys up to 127 are free for others. */
uint64_t ddfs_name_hash(const struct ddfs_fs *fs, const char *name, size_t len);

#endif
