/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioctl(2): the flags of chattr(1), and what src/devdaxfs_ioctl.h defines.
 *
 * The kernel copies as many bytes in and out as the number says; a number with another size in it
 * is another ioctl, and not one of ours.
 */
#include "src/daemon/ops.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>

#include "fs/media.h"
#include "src/daemon/loop.h"
#include "src/daemon/session.h"
#include "src/daemon/shift.h"
#include "src/device/device.h"
#include "src/devdaxfs_ioctl.h"

struct op_ioctl {
	fuse_req_t req;
	fuse_ino_t node;
	const struct fuse_file_info *fi;
	unsigned int flags; /* FUSE_IOCTL_* */
	const void *in;
	size_t in_size, out_size;
};

/* ---- inode flags ---------------------------------------------------------------------------- */

static const struct {
	uint32_t flag, xflag;
} xflags[] = {
	{ DDFS_FLAG_IMMUTABLE, FS_XFLAG_IMMUTABLE },
	{ DDFS_FLAG_APPEND, FS_XFLAG_APPEND },
	{ DDFS_FLAG_NOATIME, FS_XFLAG_NOATIME },
	{ DDFS_FLAG_DAX, FS_XFLAG_DAX },
};

static uint32_t flags_to_xflags(uint32_t flags)
{
	uint32_t x = 0;

	for (size_t i = 0; i < sizeof(xflags) / sizeof(xflags[0]); i++)
		if (flags & xflags[i].flag)
			x |= xflags[i].xflag;
	return x;
}

/* -EOPNOTSUPP if x has one that we do not know. */
static int flags_from_xflags(uint32_t x, uint32_t *out)
{
	uint32_t flags = 0;

	/* Says only that some extended attribute is there; never settable. */
	x &= ~(uint32_t)FS_XFLAG_HASATTR;
	for (size_t i = 0; i < sizeof(xflags) / sizeof(xflags[0]); i++) {
		if (x & xflags[i].xflag)
			flags |= xflags[i].flag;
		x &= ~xflags[i].xflag;
	}
	*out = flags;
	return x ? -EOPNOTSUPP : 0;
}

static int op_get_flags(const struct op_ioctl *op, uint32_t *out)
{
	struct ddfs_inode *ip;
	struct ddfs_attr attr;
	int ret = ddfs_inode_get(ddfs_op_fs(op->req), op->node, &ip);

	if (ret)
		return ret;
	ddfs_getattr(ip, &attr);
	ddfs_inode_put(ip);
	*out = attr.flags & DDFS_FLAGS_SETTABLE;
	return 0;
}

static void op_set_flags(const struct op_ioctl *op, uint32_t flags)
{
	struct ddfs_daemon *d = ddfs_op_daemon(op->req);
	struct ddfs_inode *ip = ddfs_op_inode(op->req, op->node);
	int ret;

	if (!ip)
		return;
	ret = ddfs_set_flags(ip, flags);
	ddfs_inode_put(ip);
	if (ret) {
		ddfs_op_reply(op->req, ret);
		return;
	}
	/* ctime has changed, which the kernel does not know. Attributes alone (offset -1) wait for
	 * nothing, so a worker may do this. */
	fuse_lowlevel_notify_inval_inode(ddfs_session_fuse(d->session), op->node, -1, 0);
	fuse_reply_ioctl(op->req, 0, NULL, 0);
}

/* The number says long, the kernel and every program pass 32 bits. */
static void ioctl_getflags(const struct op_ioctl *op)
{
	uint32_t flags;
	int ret = op->out_size < sizeof(flags) ? -EINVAL : op_get_flags(op, &flags);

	if (ret)
		ddfs_op_reply(op->req, ret);
	else
		fuse_reply_ioctl(op->req, 0, &flags, sizeof(flags));
}

static void ioctl_setflags(const struct op_ioctl *op)
{
	uint32_t flags;

	if (op->in_size < sizeof(flags)) {
		ddfs_op_reply(op->req, -EINVAL);
		return;
	}
	memcpy(&flags, op->in, sizeof(flags));
	op_set_flags(op, flags);
}

static void ioctl_fsgetxattr(const struct op_ioctl *op)
{
	struct fsxattr attr = { 0 };
	uint32_t flags;
	int ret = op->out_size < sizeof(attr) ? -EINVAL : op_get_flags(op, &flags);

	if (ret) {
		ddfs_op_reply(op->req, ret);
		return;
	}
	attr.fsx_xflags = flags_to_xflags(flags);
	fuse_reply_ioctl(op->req, 0, &attr, sizeof(attr));
}

static void ioctl_fssetxattr(const struct op_ioctl *op)
{
	struct fsxattr attr;
	uint32_t flags;
	int ret = op->in_size < sizeof(attr) ? -EINVAL : 0;

	if (!ret) {
		memcpy(&attr, op->in, sizeof(attr));
		ret = flags_from_xflags(attr.fsx_xflags, &flags);
	}
	if (!ret && (attr.fsx_extsize || attr.fsx_projid || attr.fsx_cowextsize))
		ret = -EOPNOTSUPP;
	if (ret)
		ddfs_op_reply(op->req, ret);
	else
		op_set_flags(op, flags);
}

/* ---- ours ----------------------------------------------------------------------------------- */

static void ioctl_fallocate(const struct op_ioctl *op)
{
	struct ddfs_ioc_fallocate arg;
	struct ddfs_shift_job job = { .req = op->req };
	int ret;

	memcpy(&arg, op->in, sizeof(arg));
	if (op->flags & FUSE_IOCTL_DIR)
		ret = -EISDIR;
	else if (!ddfs_op_file_is_writable(op->fi))
		ret = -EBADF;
	else if (arg.pad || arg.off > INT64_MAX || arg.len > INT64_MAX)
		ret = -EINVAL;
	else
		ret = ddfs_inode_get(ddfs_op_fs(op->req), op->node, &job.ip);
	if (!ret) {
		job.mode = (int)arg.mode;
		job.off = arg.off;
		job.len = arg.len;
		ret = ddfs_shift_add(ddfs_op_daemon(op->req)->shift, &job);
		if (!ret)
			return;
		ddfs_inode_put(job.ip);
	}
	ddfs_op_reply(op->req, ret);
}

static void ioctl_remount(const struct op_ioctl *op)
{
	const struct ddfs_ioc_remount *arg = op->in;
	int ret;

	if (op->node != FUSE_ROOT_ID)
		ret = -ENOTTY;
	else if (fuse_req_ctx(op->req)->uid)
		ret = -EPERM;
	else if (!memchr(arg->options, '\0', sizeof(arg->options)))
		ret = -EINVAL;
	else
		ret = ddfs_daemon_remount(ddfs_op_daemon(op->req), arg->options);
	if (ret)
		ddfs_op_reply(op->req, ret);
	else
		fuse_reply_ioctl(op->req, 0, NULL, 0);
}

static void ioctl_stats(const struct op_ioctl *op)
{
	struct ddfs_daemon *d = ddfs_op_daemon(op->req);
	struct ddfs_media_stats *m = &ddfs_device_media(d->device)->stats;
	struct ddfs_ioc_stats out = {
		.bytes_stored = atomic_load(&m->bytes_stored),
		.lines_flushed = atomic_load(&m->lines_flushed),
		.lines_elided = atomic_load(&m->lines_elided),
		.fences = atomic_load(&m->fences),
		.deep_flushes = atomic_load(&m->deep_flushes),
	};
	uint64_t requests[DDFS_LOOP_OPCODES] = { 0 };

	if (op->node != FUSE_ROOT_ID) {
		ddfs_op_reply(op->req, -ENOTTY);
		return;
	}
	ddfs_loop_requests(d->loop, requests);
	out.nr_threads = ddfs_loop_threads(d->loop);
	for (unsigned int i = 0; i < DDFS_LOOP_OPCODES; i++)
		out.requests[i] = requests[i];
	fuse_reply_ioctl(op->req, 0, &out, sizeof(out));
}

static void ioctl_run(const struct op_ioctl *op, unsigned int cmd)
{
	switch (cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC32_GETFLAGS:
		ioctl_getflags(op);
		break;
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
		ioctl_setflags(op);
		break;
	case FS_IOC_FSGETXATTR:
		ioctl_fsgetxattr(op);
		break;
	case FS_IOC_FSSETXATTR:
		ioctl_fssetxattr(op);
		break;
	case DDFS_IOC_FALLOCATE:
		ioctl_fallocate(op);
		break;
	case DDFS_IOC_REMOUNT:
		ioctl_remount(op);
		break;
	case DDFS_IOC_STATS:
		ioctl_stats(op);
		break;
	default:
		ddfs_op_reply(op->req, -ENOTTY);
	}
}

/* Whether the kernel sent and expects what our own numbers say. */
static bool ioctl_sizes_fit(const struct op_ioctl *op, unsigned int cmd)
{
	if (_IOC_TYPE(cmd) != DDFS_IOC_MAGIC)
		return true;
	return (!(_IOC_DIR(cmd) & _IOC_WRITE) || op->in_size == _IOC_SIZE(cmd)) &&
	       (!(_IOC_DIR(cmd) & _IOC_READ) || op->out_size == _IOC_SIZE(cmd));
}

void ddfs_op_ioctl(fuse_req_t req, fuse_ino_t node, unsigned int cmd, void *arg,
	struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_size,
	size_t out_size)
{
	const struct op_ioctl op = {
		.req = req,
		.node = node,
		.fi = fi,
		.flags = flags,
		.in = in,
		.in_size = in_size,
		.out_size = out_size,
	};

	(void)arg;
	if (ioctl_sizes_fit(&op, cmd))
		ioctl_run(&op, cmd);
	else
		ddfs_op_reply(req, -EINVAL);
}
