/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges of files: allocated, punched, shifted, copied. All of it may have to wait for pins. */
#include "src/daemon/ops.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "src/daemon/ioctl.h"
#include "src/daemon/job.h"
#include "src/daemon/kcache.h"

/* One copy_file_range request: long enough to cost nothing, short enough to be interrupted. */
#define COPY_BYTES_MAX (64u << 20)

void ddfs_op_drop_setid(fuse_req_t req, struct ddfs_inode *ip)
{
	struct ddfs_attr attr;

	if (fuse_req_ctx(req)->uid == 0)
		return;
	if (ddfs_getattr(ip, &attr) || !(attr.mode & (S_ISUID | S_ISGID)))
		return;
	attr.mode &= ~(uint32_t)S_ISUID;
	if (attr.mode & S_IXGRP)
		attr.mode &= ~(uint32_t)S_ISGID;
	ddfs_setattr(ip, &attr, DDFS_SET_MODE, NULL, NULL);
	ddfs_kcache_drop_attr(ddfs_op_daemon(req)->session, ddfs_inode_id(ip));
}

/* ---- fallocate ------------------------------------------------------------------------------ */

struct op_fallocate {
	struct ddfs_job job;
	struct ddfs_inode *ip; /* the handle's, which the caller keeps open */
	int mode;
	uint64_t off, len;
};

static int fallocate_run(struct ddfs_job *job)
{
	struct op_fallocate *f = (struct op_fallocate *)job;
	int ret = ddfs_fallocate(f->ip, f->mode, f->off, f->len, &job->wait);

	if (!ret)
		ddfs_op_drop_setid(job->req, f->ip);
	return ret;
}

static void fallocate_answer(struct ddfs_job *job, int ret)
{
	ddfs_op_reply(job->req, ret);
}

static const struct ddfs_job_kind fallocate_kind = {
	.run = fallocate_run,
	.answer = fallocate_answer,
};

void ddfs_op_fallocate(
	fuse_req_t req, fuse_ino_t node, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
	struct op_fallocate *f =
		ddfs_job_new(ddfs_op_daemon(req)->jobs, req, sizeof(*f), &fallocate_kind);

	(void)node;
	if (!f)
		return;
	f->ip = ddfs_op_handle(fi)->ip;
	f->mode = mode;
	f->off = (uint64_t)off;
	f->len = (uint64_t)len;
	ddfs_job_start(&f->job);
}

/* ---- fallocate by ioctl --------------------------------------------------------------------- */

/*
 * The kernel's page cache and its idea of the file's size are out of date then, and have to be
 * right before the caller gets its answer: before the change, so that stores through a mapping are
 * written where they belong now; and behind it, since pages may have been read in between.
 */
static int shift_run(struct ddfs_job *job)
{
	struct op_fallocate *f = (struct op_fallocate *)job;
	struct ddfs_session *s = ddfs_op_daemon(job->req)->session;
	ddfs_id id = ddfs_inode_id(f->ip);
	int ret;

	ddfs_kcache_drop_pages(s, id);
	ret = ddfs_fallocate(f->ip, f->mode, f->off, f->len, &job->wait);
	if (ret == -EINPROGRESS)
		return ret;
	ddfs_kcache_drop_pages(s, id);
	ddfs_kcache_ask_size(s, id);
	return ret;
}

static void shift_answer(struct ddfs_job *job, int ret)
{
	if (ret)
		ddfs_op_reply(job->req, ret);
	else
		fuse_reply_ioctl(job->req, 0, NULL, 0);
}

static const struct ddfs_job_kind shift_kind = {
	.run = shift_run,
	.answer = shift_answer,
	.asks_kernel = true,
};

static int ioctl_fallocate_check(const struct ddfs_ioctl *op, const struct ddfs_ioc_fallocate *arg)
{
	if (!op->handle)
		return -EISDIR;
	if (!ddfs_handle_is_writable(op->handle))
		return -EBADF;
	return arg->pad || arg->off > INT64_MAX || arg->len > INT64_MAX ? -EINVAL : 0;
}

void ddfs_ioctl_fallocate(const struct ddfs_ioctl *op)
{
	struct ddfs_ioc_fallocate arg;
	struct op_fallocate *f;
	int ret;

	memcpy(&arg, op->in, sizeof(arg));
	ret = ioctl_fallocate_check(op, &arg);
	if (ret) {
		ddfs_op_reply(op->req, ret);
		return;
	}
	f = ddfs_job_new(ddfs_op_daemon(op->req)->jobs, op->req, sizeof(*f), &shift_kind);
	if (!f)
		return;
	f->ip = op->handle->ip;
	f->mode = (int)arg.mode;
	f->off = arg.off;
	f->len = arg.len;
	ddfs_job_start(&f->job);
}

/* ---- copying -------------------------------------------------------------------------------- */

struct op_copy {
	struct ddfs_job job;
	struct ddfs_inode *in, *out; /* of handles, which the caller keeps open */
	uint64_t off_in, off_out;
	size_t len;
	size_t done;
};

static int copy_run(struct ddfs_job *job)
{
	struct op_copy *c = (struct op_copy *)job;
	ssize_t ret = ddfs_copy_range(c->in, c->off_in, c->out, c->off_out, c->len, &job->wait);

	if (ret < 0)
		return (int)ret;
	if (ret > 0)
		ddfs_op_drop_setid(job->req, c->out);
	c->done = (size_t)ret;
	return 0;
}

static void copy_answer(struct ddfs_job *job, int ret)
{
	if (ret)
		ddfs_op_reply(job->req, ret);
	else
		fuse_reply_write(job->req, ((struct op_copy *)job)->done);
}

static const struct ddfs_job_kind copy_kind = { .run = copy_run, .answer = copy_answer };

void ddfs_op_copy_file_range(fuse_req_t req, fuse_ino_t node_in, off_t off_in,
	struct fuse_file_info *fi_in, fuse_ino_t node_out, off_t off_out,
	struct fuse_file_info *fi_out, size_t len, int flags)
{
	struct op_copy *c;

	(void)node_in;
	(void)node_out;
	if (flags) {
		ddfs_op_reply(req, -EINVAL);
		return;
	}
	c = ddfs_job_new(ddfs_op_daemon(req)->jobs, req, sizeof(*c), &copy_kind);
	if (!c)
		return;
	c->in = ddfs_op_handle(fi_in)->ip;
	c->off_in = (uint64_t)off_in;
	c->out = ddfs_op_handle(fi_out)->ip;
	c->off_out = (uint64_t)off_out;
	c->len = len < COPY_BYTES_MAX ? len : COPY_BYTES_MAX;
	ddfs_job_start(&c->job);
}
