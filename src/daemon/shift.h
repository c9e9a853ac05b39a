/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of a file's layout that the kernel does not know of: fallocate by ioctl.
 *
 * The kernel's page cache and its idea of the file's size are then out of date, and have to be
 * right before the caller gets its answer. Telling the kernel to drop pages waits for pages that
 * are being read, hence for answers to READ: a worker that did it could wait for itself. So one
 * thread does these, one after the other, and the workers go on.
 */
#ifndef DDFS_DAEMON_SHIFT_H
#define DDFS_DAEMON_SHIFT_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdint.h>

struct ddfs_inode;
struct ddfs_session;
struct ddfs_shift;

struct ddfs_shift_job {
	fuse_req_t req;	       /* answered when all is done */
	struct ddfs_inode *ip; /* a reference, given away with the job */
	int mode;
	uint64_t off, len;
};

int ddfs_shift_new(struct ddfs_session *s, struct ddfs_shift **out);

/* Carries out what is queued while the workers still run, then ends. */
void ddfs_shift_delete(struct ddfs_shift *shift);

/* Takes the job; -ESHUTDOWN or -ENOMEM if not. */
int ddfs_shift_add(struct ddfs_shift *shift, const struct ddfs_shift_job *job);

#endif
