/* SPDX-License-Identifier: BSD-3-Clause */
/* Tree nodes: 4 KiB metadata blocks, checked once when they are first read. */
#ifndef DDFS_FS_NODE_H
#define DDFS_FS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/alloc.h"
#include "fs/format.h"

struct ddfs_fs;
struct ddfs_tx;

/* The node at blk, as tx (NULL: nobody) sees it. type and level are what the reference to it
 * promises. -EUCLEAN if it is not that, or anything in it cannot be. */
int ddfs_node_get(struct ddfs_fs *fs, const struct ddfs_tx *tx, uint64_t blk, uint16_t type,
	uint8_t level, const struct ddfs_node **out);

/* A node already got, to change. */
struct ddfs_node *ddfs_node_edit(struct ddfs_tx *tx, uint64_t blk);

/* Allocate and head a new node. -ENOSPC. */
int ddfs_node_new(struct ddfs_tx *tx, uint32_t owner, uint16_t type, uint8_t level, uint64_t goal,
	struct ddfs_node **out);

/* The head of a node that is written by other means than a transaction's shadow. */
void ddfs_node_init(
	struct ddfs_node *n, uint64_t blk, uint32_t owner, uint16_t type, uint8_t level);

/* Before data is stored in n blocks that inode ino has, or a client let loose there: an extent over
 * a node is damage that no checksum tells of, and a node is not checked again. -EUCLEAN. */
int ddfs_node_check_data(struct ddfs_fs *fs, uint32_t ino, uint64_t blk, uint64_t n);

void ddfs_node_set_verified(struct ddfs_fs *fs, uint64_t blk);
/* The blocks may become something else. */
void ddfs_node_forget(struct ddfs_fs *fs, struct ddfs_range r);

#endif
