/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the calls on file data. */
#ifndef DDFS_FS_FILE_H
#define DDFS_FS_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/inode.h"
#include "fs/op.h"

struct ddfs_extents;
struct ddfs_map;
struct ddfs_range;

/* A regular file that is still there, or the errno that says what it is. Locked. */
int ddfs_file_check(const struct ddfs_inode *ip);

/* Its last open, or pin, may have gone: then what has no name either is freed, and how many blocks
 * it had returned. Not locked. */
uint64_t ddfs_file_unused(struct ddfs_inode *ip);

/* Write to a file locked exclusive by op; src may be the read-only view. */
ssize_t ddfs_write_locked(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t off,
	const uint8_t *src, size_t len, unsigned int flags);

/* Zero what is mapped and written of [from, to), in place; not durable until the next drain. */
int ddfs_zero_mapped(struct ddfs_inode *ip, uint64_t from, uint64_t to);

/* Bytes behind the end of file in its last block, or in the last unit of a file that was pinned,
 * are whatever they are: before the file grows past size they are zeroed, up to `to` at most. In
 * place: they may be pinned. Not durable until the next drain. */
int ddfs_zero_tail(struct ddfs_inode *ip, uint64_t size, uint64_t to);

/* Clear what a write by somebody without CAP_FSETID clears of di's mode, and capabilities. */
int ddfs_kill_priv(struct ddfs_tx *tx, struct ddfs_inode_disk *di);

/* Blocks that ip's holes are filled by: 1, or its DAX allocation unit. */
uint64_t ddfs_file_unit(const struct ddfs_inode *ip);

/* The first block that a file of size bytes gives up. A DAX file keeps its last unit whole. */
uint32_t ddfs_file_first_freed(const struct ddfs_inode *ip, uint64_t size);

/* Give blocks, unwritten, to the holes among [first, last), widened to units: to all or, on failure
 * with -ENOSPC, to none. ip is locked exclusive by op, which has no transaction. */
int ddfs_file_allocate(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t first, uint64_t last);

/* Where a block at lblk had best be: behind the extent before it. 0: anywhere. */
uint64_t ddfs_file_goal(const struct ddfs_inode *ip, uint32_t lblk);

/* Change the size of a file locked exclusive by op, and with it what change says. */
typedef int (*ddfs_size_fn)(struct ddfs_tx *tx, struct ddfs_inode_disk *di, void *arg);
int ddfs_resize(
	struct ddfs_op *op, struct ddfs_inode *ip, uint64_t size, ddfs_size_fn change, void *arg);

#endif
