/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioctl(2): the flags of chattr(1), and what src/devdaxfs_ioctl.h defines for the whole mount; that
 * of pins is op_pin.c's.
 *
 * The kernel copies as many bytes in and out as the number says; a number with another size in it
 * is another ioctl, and not one of ours.
 */
#include "src/daemon/ioctl.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>

#include "src/daemon/kcache.h"

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

static int op_get_flags(const struct ddfs_ioctl *op, uint32_t *out)
{
	struct ddfs_inode *ip;
	struct ddfs_attr attr;
	int ret = ddfs_inode_get(ddfs_op_fs(op->req), op->node, &ip);

	if (ret)
		return ret;
	ret = ddfs_getattr(ip, &attr);
	ddfs_inode_put(ip);
	if (!ret)
		*out = attr.flags & DDFS_FLAGS_SETTABLE;
	return ret;
}

static void op_set_flags(const struct ddfs_ioctl *op, uint32_t flags)
{
	struct ddfs_daemon *d = ddfs_op_daemon(op->req);
	struct ddfs_inode *ip = ddfs_op_inode(op->req, op->node);
	int ret;

	if (!ip)
		return;
	/* A DAX attribute waits for the last close, of programs. */
	ddfs_estale_let_go(&d->estale);
	ret = ddfs_set_flags(ip, flags);
	ddfs_inode_put(ip);
	if (!ret)
		ddfs_kcache_drop_attr(d->session, op->node); /* ctime */
	ddfs_ioctl_reply(op, ret, NULL, 0);
}

/* The number says long, the kernel and every program pass 32 bits. */
static void ioctl_getflags(const struct ddfs_ioctl *op)
{
	uint32_t flags;
	int ret = op->out_size < sizeof(flags) ? -EINVAL : op_get_flags(op, &flags);

	ddfs_ioctl_reply(op, ret, &flags, sizeof(flags));
}

static void ioctl_setflags(const struct ddfs_ioctl *op)
{
	uint32_t flags;

	if (op->in_size < sizeof(flags)) {
		ddfs_op_reply(op->req, -EINVAL);
		return;
	}
	memcpy(&flags, op->in, sizeof(flags));
	op_set_flags(op, flags);
}

static void ioctl_fsgetxattr(const struct ddfs_ioctl *op)
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

static void ioctl_fssetxattr(const struct ddfs_ioctl *op)
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

static void ioctl_remount(const struct ddfs_ioctl *op)
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
	ddfs_ioctl_reply(op, ret, NULL, 0);
}

void ddfs_ioctl_reply(const struct ddfs_ioctl *op, int ret, const void *out, size_t size)
{
	if (ret)
		ddfs_op_reply(op->req, ret);
	else
		fuse_reply_ioctl(op->req, 0, out, size);
}

bool ddfs_ioctl_is_range(uint64_t off, uint64_t len)
{
	return off <= INT64_MAX && len <= INT64_MAX - off;
}

void ddfs_ioctl_fill_extents(
	struct ddfs_ioc_extent *to, const struct ddfs_file_extent *from, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		to[i] = (struct ddfs_ioc_extent){
			.off = from[i].off,
			.len = from[i].len,
			.device_off = from[i].device_off,
			.flags = (from[i].hole ? DDFS_IOC_EXTENT_HOLE : 0) |
				 (from[i].unwritten ? DDFS_IOC_EXTENT_UNWRITTEN : 0) |
				 (from[i].bad ? DDFS_IOC_EXTENT_BAD : 0),
		};
}

/* ---- which is which ------------------------------------------------------------------------- */

static const struct {
	unsigned int cmd;
	void (*run)(const struct ddfs_ioctl *op);
} ioctls[] = {
	{ DDFS_IOC_PIN, ddfs_ioctl_pin },
	{ DDFS_IOC_UNPIN, ddfs_ioctl_unpin },
	{ DDFS_IOC_PIN_EXTENTS, ddfs_ioctl_pin_extents },
	{ DDFS_IOC_LAYOUT, ddfs_ioctl_layout },
	{ DDFS_IOC_SYNC, ddfs_ioctl_sync },
	{ DDFS_IOC_INFO, ddfs_ioctl_info },
	{ DDFS_IOC_PIN_STATS, ddfs_ioctl_pin_stats },
	{ DDFS_IOC_PINS, ddfs_ioctl_pins },
	{ DDFS_IOC_BAD, ddfs_ioctl_bad },
	{ DDFS_IOC_FALLOCATE, ddfs_ioctl_fallocate },
	{ DDFS_IOC_REMOUNT, ioctl_remount },
	{ DDFS_IOC_STATS, ddfs_ioctl_stats },
	{ DDFS_IOC_SET_PERSISTENCE, ddfs_ioctl_set_persistence },
	{ FS_IOC_GETFLAGS, ioctl_getflags },
	{ FS_IOC32_GETFLAGS, ioctl_getflags },
	{ FS_IOC_SETFLAGS, ioctl_setflags },
	{ FS_IOC32_SETFLAGS, ioctl_setflags },
	{ FS_IOC_FSGETXATTR, ioctl_fsgetxattr },
	{ FS_IOC_FSSETXATTR, ioctl_fssetxattr },
};

static void ioctl_run(const struct ddfs_ioctl *op, unsigned int cmd)
{
	for (size_t i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		if (ioctls[i].cmd == cmd) {
			ioctls[i].run(op);
			return;
		}
	ddfs_op_reply(op->req, -ENOTTY);
}

/* Whether the kernel sent and expects what our own numbers say. */
static bool ioctl_sizes_fit(const struct ddfs_ioctl *op, unsigned int cmd)
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
	const struct ddfs_ioctl op = {
		.req = req,
		.node = node,
		.handle = flags & FUSE_IOCTL_DIR ? NULL : ddfs_op_handle(fi),
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
