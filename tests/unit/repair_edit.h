/* SPDX-License-Identifier: BSD-3-Clause */
/* Damage done on purpose, with checksums that fit; names are those of the root directory. */
#ifndef DDFS_TEST_REPAIR_EDIT_H
#define DDFS_TEST_REPAIR_EDIT_H

#include "tests/unit/repair_parts.h"

uint32_t edit_seed(const struct healed *h);
void edit_bytes(struct healed *h, uint64_t off, size_t len, int c);
/* Seals the structure in p and stores it. */
void edit_store(struct healed *h, uint64_t off, void *p, size_t len);

uint32_t edit_ino(struct healed *h, const char *name);
uint32_t edit_ino_in(struct healed *h, uint32_t dir, const char *name);
struct ddfs_inode_disk edit_inode(struct healed *h, const char *name);
void edit_put_inode(struct healed *h, const char *name, struct ddfs_inode_disk *di);

/* The entry leads to ino now; its type stays. */
void edit_entry(struct healed *h, const char *name, uint32_t ino);
void edit_entry_in(struct healed *h, uint32_t dir, const char *name, uint32_t ino);

#endif
