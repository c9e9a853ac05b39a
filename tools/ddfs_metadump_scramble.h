/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names, targets and values made unreadable, in a way that leaves every tree as it is: a name gets
 * another one whose key belongs into the same leaf. All is made up: nothing of it follows from what
 * was there.
 *
 * What stays: numbers, times, owners, lengths (up to 7 bytes), POSIX ACLs.
 */
#ifndef DDFS_TOOLS_DDFS_METADUMP_SCRAMBLE_H
#define DDFS_TOOLS_DDFS_METADUMP_SCRAMBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

struct ddfs_scramble;

/* -ENOMEM, -EIO. */
int ddfs_scramble_new(const struct ddfs_image *img, struct ddfs_scramble **out);
void ddfs_scramble_delete(struct ddfs_scramble *s);
/* Names for which there was no other one: they were left out. */
uint64_t ddfs_scramble_nr_lost(const struct ddfs_scramble *s);
/* Names that were made up, used or not. */
uint64_t ddfs_scramble_nr_made(const struct ddfs_scramble *s);

void ddfs_scramble_super(uint64_t off, struct ddfs_super *super);

/* Whether what is there looks like that inode's slot, be it damaged or not. */
bool ddfs_scramble_is_slot(uint32_t ino, const struct ddfs_inode_disk *di);
/* The slot of ino, at off. False: its checksum fails, and what may be a secret was zeroed. */
bool ddfs_scramble_inode(
	struct ddfs_scramble *s, uint64_t off, uint32_t ino, struct ddfs_inode_disk *di);

/* The target of a symlink; the same whenever it is asked for. */
void ddfs_scramble_target(const struct ddfs_scramble *s, uint32_t ino, uint8_t *target, size_t len);

enum ddfs_scramble_kind { DDFS_SCRAMBLE_NOTHING, DDFS_SCRAMBLE_NAMES, DDFS_SCRAMBLE_XATTRS };

/* Nodes of a tree: the root first, each before those below it. */
void ddfs_scramble_begin_tree(struct ddfs_scramble *s);
/* A node that holds. */
void ddfs_scramble_node(struct ddfs_scramble *s, enum ddfs_scramble_kind kind, uint64_t blk,
	const struct ddfs_node *n, struct ddfs_node *out);

#endif
