/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the parts of the inode table: itable_root.c knows its own inode, itable.c the slots,
 * itable_shrink.c what is given back. */
#ifndef DDFS_FS_ITABLE_PRIV_H
#define DDFS_FS_ITABLE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

struct ddfs_fs;
struct ddfs_inode_disk;
struct ddfs_tx;

/* The least that the table has, and the least that it grows by. */
#define DDFS_ITABLE_GROW_MIN_BLOCKS 16u

/* ---- its inode (itable_root.c) -------------------------------------------------------------- */

/* At mount: choose the copy to go by, and make the other one like it where it is not. */
int ddfs_itable_root_load(struct ddfs_fs *fs);
/* Begin a change of it. */
struct ddfs_inode_disk *ddfs_itable_root_edit(struct ddfs_tx *tx);
/* Its end: the other copy changes in the same transaction. */
void ddfs_itable_root_edited(struct ddfs_tx *tx, const struct ddfs_inode_disk *di);

/* ---- slots (itable.c) ----------------------------------------------------------------------- */

/* A slot whose checksum fails, or that can't be read, is in use: nobody knows by whom. */
bool ddfs_itable_slot_is_free(struct ddfs_fs *fs, uint64_t off);
/* t->lock is held. */
uint32_t ddfs_itable_nr_unused(const struct ddfs_fs *fs);

#endif
