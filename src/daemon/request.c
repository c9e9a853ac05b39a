/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/request.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

/*
 * A worker handles one request at a time, from receiving it to returning from its operation, and
 * libfuse gives the operation no pointer of ours that belongs to the worker: hence one
 * thread-local, the only mutable variable of the daemon outside its structures. It is written by
 * ddfs_request_enter and ddfs_request_set_channel alone.
 */
static _Thread_local struct {
	const struct fuse_in_header *in;
	size_t len;
	bool long_setxattr;
	unsigned int channel;
} request;

void ddfs_request_enter(const void *buf, size_t len, bool long_setxattr, unsigned int channel)
{
	request.in = buf;
	request.len = len;
	request.long_setxattr = long_setxattr;
	request.channel = channel;
}

unsigned int ddfs_request_channel(void)
{
	return request.channel;
}

void ddfs_request_set_channel(unsigned int channel)
{
	request.channel = channel;
}

/* The opcode's own structure, or NULL if the request is too short to hold it. */
static const void *request_arg(uint32_t opcode, size_t size)
{
	if (!request.in || request.in->opcode != opcode || request.len < sizeof(*request.in) + size)
		return NULL;
	return request.in + 1;
}

bool ddfs_request_kills_priv(void)
{
	const struct fuse_write_in *write = request_arg(FUSE_WRITE, sizeof(*write));
	const struct fuse_setattr_in *setattr = request_arg(FUSE_SETATTR, sizeof(*setattr));
	const struct fuse_open_in *open = request_arg(FUSE_OPEN, sizeof(*open));
	const struct fuse_create_in *create = request_arg(FUSE_CREATE, sizeof(*create));

	return (write && write->write_flags & FUSE_WRITE_KILL_SUIDGID) ||
	       (setattr && setattr->valid & FATTR_KILL_SUIDGID) ||
	       (open && open->open_flags & FUSE_OPEN_KILL_SUIDGID) ||
	       (create && create->open_flags & FUSE_OPEN_KILL_SUIDGID);
}

int ddfs_request_setxattr(struct ddfs_request_setxattr *out)
{
	size_t head = request.long_setxattr ? sizeof(struct fuse_setxattr_in)
					    : FUSE_COMPAT_SETXATTR_IN_SIZE;
	const struct fuse_setxattr_in *in = request_arg(FUSE_SETXATTR, head);
	size_t left, name_len;
	const char *name;

	if (!in)
		return -EIO;
	name = (const char *)in + head;
	left = request.len - sizeof(*request.in) - head;
	name_len = strnlen(name, left);
	if (name_len == left || left - name_len - 1 < in->size)
		return -EIO;
	*out = (struct ddfs_request_setxattr){
		.name = name,
		.value = name + name_len + 1,
		.size = in->size,
		.flags = (int)in->flags,
		.kill_sgid =
			request.long_setxattr && in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID,
	};
	return 0;
}
