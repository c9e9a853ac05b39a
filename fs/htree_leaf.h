/* SPDX-License-Identifier: BSD-3-Clause */
/* One leaf of a name tree: slots growing up, records growing down. */
#ifndef DDFS_FS_HTREE_LEAF_H
#define DDFS_FS_HTREE_LEAF_H

#include <stdbool.h>

#include "fs/htree.h"

/* The slot of the name, or -1. */
int ddfs_leaf_find(const struct ddfs_node *n, uint64_t hash, const char *name, size_t len);
void ddfs_leaf_record(const struct ddfs_node *n, unsigned int slot, struct ddfs_hrecord *out);

/* Whether there is room for r, if need be after closing the gaps. */
bool ddfs_leaf_fits(const struct ddfs_node *n, const struct ddfs_hrecord *r);
/* It fits. r->key is a hash; the low bits are chosen here. -ENOSPC: too many names of one hash. */
int ddfs_leaf_insert(struct ddfs_node *n, const struct ddfs_hrecord *r);
void ddfs_leaf_remove(struct ddfs_node *n, unsigned int slot);
void ddfs_leaf_replace(
	struct ddfs_node *n, unsigned int slot, uint8_t type, const void *value, size_t val_len);

/* The hash from which on half of the bytes lie. -ENOSPC: all names have one hash. */
int ddfs_leaf_split_key(const struct ddfs_node *n, uint64_t *key);
/* Move records of key and above to the empty leaf right; close the gaps. */
void ddfs_leaf_split(struct ddfs_node *n, struct ddfs_node *right, uint64_t key);

/* Records of key from and above, in order. */
int ddfs_leaf_walk(const struct ddfs_node *n, uint64_t from, ddfs_htree_fn fn, void *arg);

#endif
