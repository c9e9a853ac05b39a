/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the two halves of the allocator. */
#ifndef DDFS_FS_ALLOC_PRIV_H
#define DDFS_FS_ALLOC_PRIV_H

#include "fs/alloc.h"

/* Build the group's index from media if it is not there. No lock of the group is held. */
int ddfs_group_load(struct ddfs_fs *fs, uint32_t nr);

/* free_in[chunk] changed: keep the maps of whole and partial chunks. g->lock is held. */
void ddfs_group_note_chunk(struct ddfs_group *g, uint32_t chunk);

#endif
