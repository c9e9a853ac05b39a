/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the calls that change names: namei.c, create.c, rename.c. */
#ifndef DDFS_FS_NAMEI_H
#define DDFS_FS_NAMEI_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/inode.h"
#include "fs/op.h"

/* The flags of a directory (or of what is in it) forbid: new names where it is immutable, other
 * changes where it is append-only too. 0 or -EPERM; -ENOENT: the directory itself was removed. */
int ddfs_may_add(const struct ddfs_inode *dir);
int ddfs_may_remove(const struct ddfs_inode *dir, const struct ddfs_inode *child);

/* The child that name leads to, held by op but not locked. dir is locked. -ENOENT, or -EUCLEAN if
 * the entry cannot be. */
int ddfs_child_get(struct ddfs_op *op, struct ddfs_inode *dir, const char *name, size_t len,
	struct ddfs_inode **out);

/* Add n links to the shadow di. */
void ddfs_links_add(struct ddfs_inode_disk *di, int n);

/* A link of ip (locked exclusive, di its shadow) is gone, in op's transaction: what has no more
 * links is freed now if nobody has it open or pinned and it is small, else becomes an orphan. *fate
 * is for ddfs_link_dropped after the commit. */
struct ddfs_fate {
	bool is_orphan;		 /* for ddfs_link_drop */
	struct ddfs_inode *bury; /* freed with the transaction */
	struct ddfs_inode *reap; /* to free step by step; a reference */
	struct ddfs_inode_disk last;
};
/* Before the transaction, ip locked: what becomes of ip when it loses that many links; locks what
 * that takes. */
void ddfs_link_drop_begin(
	struct ddfs_op *op, struct ddfs_inode *ip, int links, struct ddfs_fate *fate);
int ddfs_link_drop(struct ddfs_op *op, struct ddfs_inode *ip, struct ddfs_inode_disk *di, int links,
	struct ddfs_fate *fate);
/* After the commit, locks still held. */
void ddfs_link_dropped(struct ddfs_fate *fate);
/* After the locks are gone. */
void ddfs_link_reap(struct ddfs_fate *fate);

#endif
