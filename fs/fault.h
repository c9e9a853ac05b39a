/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a range of a file real: every block allocated, zeroed and written. */
#ifndef DDFS_FS_FAULT_H
#define DDFS_FS_FAULT_H

#include <stdint.h>

struct ddfs_inode;
struct ddfs_op;

/* Blocks [first, last) of the file, whole units of it, become written; what was not reads as zeroes
 * before and after. In steps, each a transaction: on failure some may be done, but -ENOSPC for data
 * comes before the first. 1: there is more to zero than others should be kept waiting for; let go
 * of the lock, and begin again. ip is locked exclusive by op, which has no transaction. The
 * kernel's write fault of a DAX mapping. */
int ddfs_file_fault(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t first, uint64_t last);

#endif
