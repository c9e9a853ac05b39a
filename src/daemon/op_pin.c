/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins: made and ended by ioctl(2), recalled by poll(2). */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "layout/holder.h"
#include "src/daemon/ioctl.h"
#include "src/daemon/job.h"
#include "src/daemon/kcache.h"

/* ---- pin ------------------------------------------------------------------------------------ */

#define PIN_MODES (DDFS_IOC_PIN_READ | DDFS_IOC_PIN_WRITE)
#define PIN_FLAGS                                                                                  \
	(DDFS_IOC_PIN_FAULT | DDFS_IOC_PIN_GROW | DDFS_IOC_PIN_WHOLE_UNITS | DDFS_IOC_PIN_NOWAIT | \
		DDFS_IOC_PIN_BAD_HOLES)
#define PIN_EXTENTS (sizeof(((struct ddfs_ioc_pin *)0)->extents) / sizeof(struct ddfs_ioc_extent))

struct op_pin {
	struct ddfs_job job;
	struct ddfs_inode *ip; /* the handle's, which the caller keeps open */
	struct ddfs_pin_args args;
	bool nowait;
	struct ddfs_ioc_pin arg; /* asked for, then the answer */
};

static int pin_check(const struct ddfs_ioctl *op, const struct ddfs_ioc_pin *arg)
{
	if (!op->handle)
		return -EISDIR;
	if (!arg->mode || arg->mode & ~PIN_MODES || arg->flags & ~PIN_FLAGS)
		return -EINVAL;
	if (arg->flags & DDFS_IOC_PIN_GROW && !(arg->flags & DDFS_IOC_PIN_FAULT))
		return -EINVAL;
	if (!ddfs_ioctl_is_range(arg->off, arg->len))
		return -EINVAL;
	if (arg->mode & DDFS_IOC_PIN_READ && !ddfs_handle_is_readable(op->handle))
		return -EBADF;
	if ((arg->mode & DDFS_IOC_PIN_WRITE || arg->flags & DDFS_IOC_PIN_FAULT) &&
		!ddfs_handle_is_writable(op->handle))
		return -EBADF;
	return ddfs_ioctl_may_pin(op);
}

static unsigned int pin_flags(uint32_t flags)
{
	return (flags & DDFS_IOC_PIN_FAULT ? DDFS_PIN_FAULT : 0) |
	       (flags & DDFS_IOC_PIN_GROW ? DDFS_PIN_GROW : 0) |
	       (flags & DDFS_IOC_PIN_WHOLE_UNITS ? DDFS_PIN_WHOLE_UNITS : 0) |
	       (flags & DDFS_IOC_PIN_BAD_HOLES ? DDFS_PIN_BAD_HOLES : 0);
}

/* What the kernel has to be told of if blocks were allocated, or the file grew, behind its back. */
static void pin_tell_kernel(const struct op_pin *p, const struct ddfs_attr *before)
{
	struct ddfs_session *s = ddfs_op_daemon(p->job.req)->session;
	ddfs_id id = ddfs_inode_id(p->ip);
	struct ddfs_attr now;

	if (ddfs_getattr(p->ip, &now))
		return;
	/* It grew, as by ftruncate(2). */
	if (now.size != before->size)
		ddfs_op_drop_setid(p->job.req, p->ip);
	if (now.size != before->size || now.sectors != before->sectors ||
		memcmp(&now.ctime, &before->ctime, sizeof(now.ctime)))
		ddfs_kcache_drop_attr(s, id);
	if (now.size != before->size && p->job.kind->asks_kernel)
		ddfs_kcache_ask_size(s, id);
}

static int pin_run(struct ddfs_job *job)
{
	struct op_pin *p = (struct op_pin *)job;
	struct ddfs_file_extent extents[PIN_EXTENTS];
	struct ddfs_attr before;
	struct ddfs_pinned out;
	int ret;

	ret = p->args.flags & DDFS_PIN_FAULT ? ddfs_getattr(p->ip, &before) : 0;
	if (ret)
		return ret;
	ret = ddfs_pin(p->ip, &p->args, p->nowait ? NULL : &job->wait, &out, extents, PIN_EXTENTS);
	if (ret == -EINPROGRESS)
		return ret;
	if (p->args.flags & DDFS_PIN_FAULT)
		pin_tell_kernel(p, &before);
	if (ret)
		return ret;
	p->arg.off = out.off;
	p->arg.len = out.len;
	p->arg.nr_extents = out.nr_extents;
	p->arg.id = out.id;
	memset(p->arg.extents, 0, sizeof(p->arg.extents));
	ddfs_ioctl_fill_extents(p->arg.extents, extents,
		out.nr_extents < PIN_EXTENTS ? out.nr_extents : PIN_EXTENTS);
	return 0;
}

static void pin_answer(struct ddfs_job *job, int ret)
{
	struct op_pin *p = (struct op_pin *)job;

	ddfs_holder_put(p->args.holder);
	if (ret)
		ddfs_op_reply(job->req, ret);
	else
		fuse_reply_ioctl(job->req, 0, &p->arg, sizeof(p->arg));
}

static const struct ddfs_job_kind pin_kind = { .run = pin_run, .answer = pin_answer };
static const struct ddfs_job_kind pin_grow_kind = {
	.run = pin_run,
	.answer = pin_answer,
	.asks_kernel = true,
};

/* The holder is the caller's process, which waits for our answer. */
static int pin_fill(struct op_pin *p, const struct ddfs_ioctl *op, const struct ddfs_ioc_pin *arg)
{
	p->ip = op->handle->ip;
	p->nowait = arg->flags & DDFS_IOC_PIN_NOWAIT;
	p->arg = *arg;
	p->args = (struct ddfs_pin_args){
		.off = arg->off,
		.len = arg->len,
		.mode = (enum ddfs_pin_mode)arg->mode,
		.flags = pin_flags(arg->flags),
		.epoch = arg->epoch,
		.owner = &op->handle->owner,
	};
	return ddfs_holders_get(ddfs_layouts_holders(ddfs_fs_layouts(ddfs_op_fs(op->req))),
		fuse_req_ctx(op->req)->pid, &p->args.holder);
}

void ddfs_ioctl_pin(const struct ddfs_ioctl *op)
{
	const struct ddfs_job_kind *kind;
	struct ddfs_ioc_pin arg;
	struct op_pin *p;
	int ret;

	memcpy(&arg, op->in, sizeof(arg));
	ret = pin_check(op, &arg);
	if (ret) {
		ddfs_op_reply(op->req, ret);
		return;
	}
	kind = arg.flags & DDFS_IOC_PIN_GROW ? &pin_grow_kind : &pin_kind;
	p = ddfs_job_new(ddfs_op_daemon(op->req)->jobs, op->req, sizeof(*p), kind);
	if (!p)
		return;
	ret = pin_fill(p, op, &arg);
	if (ret) {
		ddfs_job_delete(&p->job);
		ddfs_op_reply(op->req, ret);
		return;
	}
	ddfs_handle_will_pin(op->handle);
	ddfs_job_start(&p->job);
}

void ddfs_ioctl_unpin(const struct ddfs_ioctl *op)
{
	uint64_t id;
	int ret = -EISDIR;

	memcpy(&id, op->in, sizeof(id));
	if (op->handle)
		ret = ddfs_unpin(ddfs_op_fs(op->req), &op->handle->owner, id);
	ddfs_ioctl_reply(op, ret, NULL, 0);
}

void ddfs_ioctl_pin_extents(const struct ddfs_ioctl *op)
{
	struct ddfs_file_extent extents[DDFS_IOC_EXTENTS_MAX];
	struct ddfs_ioc_pin_extents arg = { 0 };
	const struct ddfs_ioc_pin_extents *in = op->in;
	int ret = -EISDIR;

	arg.id = in->id;
	arg.first = in->first;
	if (op->handle)
		ret = ddfs_pin_extents(ddfs_op_fs(op->req), &op->handle->owner, arg.id, arg.first,
			extents, DDFS_IOC_EXTENTS_MAX);
	if (ret >= 0) {
		arg.nr = (uint32_t)ret;
		ddfs_ioctl_fill_extents(arg.extents, extents, arg.nr);
		ret = 0;
	}
	ddfs_ioctl_reply(op, ret, &arg, sizeof(arg));
}

/* ---- poll ----------------------------------------------------------------------------------- */

/* Ready for everything, as any regular file, and POLLPRI while a pin is to be let go. */
void ddfs_op_poll(
	fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	unsigned int events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

	(void)node;
	if (ddfs_handle_poll(ddfs_op_handle(fi), ph))
		events |= POLLPRI;
	fuse_reply_poll(req, events);
}
