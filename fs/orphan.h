/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Work that outlives a transaction. An inode in the orphan directory has blocks behind its end
 * to free, or, without links, all of it; whoever put it there finishes, or the next mount does.
 */
#ifndef DDFS_FS_ORPHAN_H
#define DDFS_FS_ORPHAN_H

#include <stdbool.h>
#include <stdint.h>

struct ddfs_fs;
struct ddfs_inode;
struct ddfs_inode_disk;
struct ddfs_op;
struct ddfs_tx;

/* fs->orphans is locked exclusive for these two. */
int ddfs_orphan_add(struct ddfs_tx *tx, uint32_t ino);
int ddfs_orphan_del(struct ddfs_tx *tx, uint32_t ino);

/* Whether all that the inode has can be freed within one transaction. */
bool ddfs_inode_is_small(struct ddfs_fs *fs, const struct ddfs_inode_disk *di);
/* Free it: what a small inode has, and its slot. di is ip's shadow. */
int ddfs_inode_free(struct ddfs_tx *tx, struct ddfs_inode_disk *di);

/* Free, in as many transactions as it takes, what lies behind the end of an orphan (all, if it
 * has no links), then take it out of the directory. ip is locked exclusive by op. */
int ddfs_orphan_finish(struct ddfs_op *op, struct ddfs_inode *ip);
/* Free what lies at lblk and behind it of an inode that has no links but is open, and so is among
 * the orphans already. ip is locked exclusive by op. */
int ddfs_orphan_trim(struct ddfs_op *op, struct ddfs_inode *ip, uint32_t lblk);
/* ddfs_orphan_finish for an inode that nobody has locked and that may be in use again; no-op if it
 * has links, is open or pinned. */
int ddfs_orphan_reap(struct ddfs_inode *ip);

/* At mount and unmount: finish all that nobody has pinned. */
int ddfs_orphans_recover(struct ddfs_fs *fs, uint64_t *nr);

#endif
