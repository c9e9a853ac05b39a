/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What libfuse 3.14 does not hand to the operations of the request that this thread is working on:
 * the kernel's word that set-id bits must go, a SETXATTR in its long form, where the answer goes.
 */
#ifndef DDFS_DAEMON_REQUEST_H
#define DDFS_DAEMON_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called by the session for each request received, before libfuse looks at it. buf stays valid
 * and unchanged until the operation returns. long_setxattr: negotiated FUSE_SETXATTR_EXT. channel:
 * where it came from. */
void ddfs_request_enter(const void *buf, size_t len, bool long_setxattr, unsigned int channel);

/* Which channel this thread's answers go to: that of the request it works on. */
unsigned int ddfs_request_channel(void);
/* Before this thread answers one that another has received. */
void ddfs_request_set_channel(unsigned int channel);

/* FUSE_WRITE_KILL_SUIDGID, FATTR_KILL_SUIDGID or FUSE_OPEN_KILL_SUIDGID: the caller lacks
 * CAP_FSETID, so set-id bits and capabilities go. */
bool ddfs_request_kills_priv(void);

struct ddfs_request_setxattr {
	const char *name; /* terminated */
	const void *value;
	size_t size;
	int flags; /* XATTR_CREATE, XATTR_REPLACE */
	bool kill_sgid;
};
/* -EIO if the request does not hold what it announces. */
int ddfs_request_setxattr(struct ddfs_request_setxattr *out);

#endif
