/* SPDX-License-Identifier: BSD-3-Clause */
/* A directory inode's tree of names. */
#ifndef DDFS_FS_DIR_H
#define DDFS_FS_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "fs/htree.h"

struct ddfs_inode;

void ddfs_dir_tree(const struct ddfs_inode_disk *di, struct ddfs_htree *t);
/* After changes to the tree: root, depth, block count and size of the shadow di. */
void ddfs_dir_tree_save(struct ddfs_inode_disk *di, const struct ddfs_htree *t);

/* 0, -ENAMETOOLONG, -EINVAL: whether a name can be one. */
int ddfs_name_check(const char *name, size_t len);

/* The number that name has in dir, whose lock is held. -ENOENT, -ENOTDIR. */
int ddfs_dir_find(struct ddfs_inode *dir, const struct ddfs_tx *tx, const char *name, size_t len,
	uint32_t *ino);

/* Changes of one name in dir's shadow di; times are touched. mode gives the type. */
int ddfs_dir_insert(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *name, size_t len,
	uint32_t ino, uint32_t mode);
int ddfs_dir_remove(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *name, size_t len);
int ddfs_dir_replace(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *name, size_t len,
	uint32_t ino, uint32_t mode);

#endif
