/* SPDX-License-Identifier: BSD-3-Clause */
/* One ioctl(2) request, between the files that answer them. */
#ifndef DDFS_DAEMON_IOCTL_H
#define DDFS_DAEMON_IOCTL_H

#include "src/daemon/ops.h"
#include "src/devdaxfs_ioctl.h"

struct ddfs_ioctl {
	fuse_req_t req;
	fuse_ino_t node;
	struct ddfs_handle *handle; /* NULL: a directory */
	/* As many bytes as a number of ours says; for others look at the sizes. */
	const void *in;
	size_t in_size, out_size;
};

/* ret, or if that is 0 success with size bytes of out. */
void ddfs_ioctl_reply(const struct ddfs_ioctl *op, int ret, const void *out, size_t size);
/* [off, off + len) is what a file could have. */
bool ddfs_ioctl_is_range(uint64_t off, uint64_t len);
void ddfs_ioctl_fill_extents(
	struct ddfs_ioc_extent *to, const struct ddfs_file_extent *from, size_t nr);

/* ---- op_range.c ---- */
void ddfs_ioctl_fallocate(const struct ddfs_ioctl *op);

/* ---- op_pin.c ---- */
void ddfs_ioctl_pin(const struct ddfs_ioctl *op);
void ddfs_ioctl_unpin(const struct ddfs_ioctl *op);
void ddfs_ioctl_pin_extents(const struct ddfs_ioctl *op);

/* ---- pin_access.c ---- */
/* Whether the caller may pin the file that it has open: 0 or -EACCES. */
int ddfs_ioctl_may_pin(const struct ddfs_ioctl *op);

/* ---- op_persist.c ---- */
void ddfs_ioctl_stats(const struct ddfs_ioctl *op);
void ddfs_ioctl_set_persistence(const struct ddfs_ioctl *op);

/* ---- op_bad.c ---- */
void ddfs_ioctl_bad(const struct ddfs_ioctl *op);

/* ---- op_layout.c ---- */
void ddfs_ioctl_info(const struct ddfs_ioctl *op);
void ddfs_ioctl_layout(const struct ddfs_ioctl *op);
void ddfs_ioctl_sync(const struct ddfs_ioctl *op);
void ddfs_ioctl_pin_stats(const struct ddfs_ioctl *op);
void ddfs_ioctl_pins(const struct ddfs_ioctl *op);

#endif
