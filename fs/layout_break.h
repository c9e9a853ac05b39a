/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Breaking layouts: every change that takes blocks away from a file asks here first, and waits
 * until nobody holds a page of them.
 *
 *	ddfs_op_lock(&op, ip, true);
 *	err = ddfs_break_layouts(&op, ip, first, last, wait);
 *	if (!err)
 *		...begin the transaction, change, commit...
 *	return ddfs_op_end(&op, err);
 */
#ifndef DDFS_FS_LAYOUT_BREAK_H
#define DDFS_FS_LAYOUT_BREAK_H

#include <stdint.h>

struct ddfs_inode;
struct ddfs_op;
struct ddfs_wait;

/* Blocks [first, last) of the file are about to be given back, to move or to become unwritten; last
 * UINT64_MAX: up to the end, wherever that is. 0: no page of them is held, nor will be while ip,
 * which op has locked exclusive, stays locked. Else nothing may be changed, and the caller lets go
 * of all it has: -EINPROGRESS, wait will be woken to start over; -EBUSY with wait NULL; what else
 * ddfs_layout_wait says. The kernel's xfs_break_dax_layouts(). */
int ddfs_break_layouts(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t first, uint64_t last,
	struct ddfs_wait *wait);

/* The first page of the file's blocks [first, last) that a pin holds: 1 and in *page, or 0. ip is
 * locked. The kernel's dax_layout_busy_page(). */
int ddfs_layout_busy_page(struct ddfs_inode *ip, uint64_t first, uint64_t last, uint64_t *page);

#endif
