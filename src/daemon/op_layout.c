/* SPDX-License-Identifier: BSD-3-Clause */
/* What there is to know, by ioctl(2), of layouts, pins and the device. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "src/daemon/ioctl.h"
#include "src/daemon/kcache.h"
#include "src/device/device.h"

#define BLOCK_BYTES 4096u

/* ---- the file and the device ---------------------------------------------------------------- */

void ddfs_ioctl_info(const struct ddfs_ioctl *op)
{
	const struct ddfs_daemon *d = ddfs_op_daemon(op->req);
	const struct ddfs_source *src = ddfs_device_source(d->device);
	bool is_image = src->kind == DDFS_SOURCE_IMAGE;
	struct ddfs_ioc_info info = {
		.epoch = ddfs_fs_epoch(d->fs),
		.memory = is_image ? DDFS_IOC_MEMORY_HOST : DDFS_IOC_MEMORY_FS_DAX,
		.flags = ddfs_fs_is_readonly(d->fs) ? DDFS_IOC_INFO_READONLY : 0,
		.granularity = ddfs_device_granularity(d->device),
		.device = is_image ? src->dev : src->rdev,
		.inode = is_image ? src->ino : 0,
		.size_bytes = ddfs_fs_bytes(d->fs),
		.align_bytes = src->align_bytes,
		.unit_bytes = ddfs_fs_dax_unit(d->fs),
	};

	static_assert(sizeof(src->path) <= sizeof(info.path), "a path fits");
	ddfs_fs_uuid(d->fs, info.uuid);
	memcpy(info.path, src->path, sizeof(src->path));
	ddfs_ioctl_reply(op, 0, &info, sizeof(info));
}

static int layout_check(const struct ddfs_ioctl *op, const struct ddfs_ioc_layout *arg)
{
	if (!op->handle)
		return -EISDIR;
	if (arg->flags & ~DDFS_IOC_PIN_FAULT || !ddfs_ioctl_is_range(arg->off, arg->len))
		return -EINVAL;
	return arg->flags && !ddfs_handle_is_writable(op->handle) ? -EBADF : 0;
}

static int layout_query(const struct ddfs_ioctl *op, struct ddfs_ioc_layout *arg)
{
	struct ddfs_file_extent extents[DDFS_IOC_EXTENTS_MAX];
	struct ddfs_inode *ip = op->handle->ip;
	bool fault = arg->flags & DDFS_IOC_PIN_FAULT;
	uint64_t next;
	int ret = ddfs_layout_query(
		ip, arg->off, arg->len, fault, extents, DDFS_IOC_EXTENTS_MAX, &next);

	if (fault)
		ddfs_kcache_drop_attr(ddfs_op_daemon(op->req)->session, ddfs_inode_id(ip));
	if (ret < 0)
		return ret;
	arg->nr = (uint32_t)ret;
	arg->next = next;
	ddfs_ioctl_fill_extents(arg->extents, extents, arg->nr);
	return 0;
}

void ddfs_ioctl_layout(const struct ddfs_ioctl *op)
{
	const struct ddfs_ioc_layout *in = op->in;
	struct ddfs_ioc_layout arg = { .off = in->off, .len = in->len, .flags = in->flags };
	int ret = layout_check(op, &arg);

	if (!ret)
		ret = layout_query(op, &arg);
	ddfs_ioctl_reply(op, ret, &arg, sizeof(arg));
}

void ddfs_ioctl_sync(const struct ddfs_ioctl *op)
{
	struct ddfs_ioc_sync arg;
	int ret;

	memcpy(&arg, op->in, sizeof(arg));
	if (!op->handle)
		ret = -EISDIR;
	else if (!ddfs_ioctl_is_range(arg.off, arg.len))
		ret = -EINVAL;
	else
		ret = ddfs_sync_range(op->handle->ip, arg.off, arg.len);
	ddfs_ioctl_reply(op, ret, NULL, 0);
}

/* ---- looking -------------------------------------------------------------------------------- */

/* The file that is asked about; NULL: all of them, on the root directory. */
static int asked_layout(const struct ddfs_ioctl *op, struct ddfs_layout **out)
{
	if (!op->handle && op->node != FUSE_ROOT_ID)
		return -ENOTTY;
	*out = op->handle ? ddfs_inode_layout(op->handle->ip) : NULL;
	return 0;
}

void ddfs_ioctl_pin_stats(const struct ddfs_ioctl *op)
{
	struct ddfs_ioc_pin_stats out = { 0 };
	struct ddfs_layouts_stats stats;
	struct ddfs_layout *layout;
	int ret = asked_layout(op, &layout);

	if (!ret) {
		ddfs_layouts_stats(ddfs_fs_layouts(ddfs_op_fs(op->req)), layout, &stats);
		out = (struct ddfs_ioc_pin_stats){
			.nr_pins = stats.nr_pins,
			.nr_pages = stats.nr_pages,
			.nr_recalled = stats.nr_recalled,
			.nr_breaks = stats.nr_breaks,
			.nr_queued = stats.nr_queued,
		};
	}
	ddfs_ioctl_reply(op, ret, &out, sizeof(out));
}

/* Root, and the owner of what is asked about. */
static int pins_check(const struct ddfs_ioctl *op)
{
	uid_t uid = fuse_req_ctx(op->req)->uid;
	struct ddfs_inode *ip;
	struct ddfs_attr attr;
	int ret;

	if (uid == 0)
		return 0;
	ret = ddfs_inode_get(ddfs_op_fs(op->req), op->node, &ip);
	if (ret)
		return ret;
	ret = ddfs_getattr(ip, &attr);
	ddfs_inode_put(ip);
	if (ret)
		return ret;
	return attr.uid == uid ? 0 : -EPERM;
}

static void fill_pin_info(struct ddfs_ioc_pin_info *to, const struct ddfs_pin_info *from)
{
	*to = (struct ddfs_ioc_pin_info){
		.id = from->id,
		.node = from->file,
		.off = from->first * BLOCK_BYTES,
		.len = (from->last - from->first) * BLOCK_BYTES,
		.nr_pages = from->nr_pages,
		.since_sec = from->since.tv_sec,
		.since_nsec = (uint32_t)from->since.tv_nsec,
		.mode = from->mode,
		.pid = from->pid,
		.flags = (from->recalled ? DDFS_IOC_PINNED_RECALLED : 0) |
			 (from->expired ? DDFS_IOC_PINNED_EXPIRED : 0) |
			 (from->lingering ? DDFS_IOC_PINNED_LINGERING : 0) |
			 (from->earlier ? DDFS_IOC_PINNED_EARLIER : 0),
		.seconds_left = from->seconds_left,
		.nr_waiting = from->nr_waiting,
		.waiting_pid = from->waiting,
	};
	memcpy(to->comm, from->comm, sizeof(to->comm));
}

void ddfs_ioctl_pins(const struct ddfs_ioctl *op)
{
	const struct ddfs_ioc_pins *in = op->in;
	struct ddfs_pin_info infos[DDFS_IOC_PINS_MAX];
	struct ddfs_ioc_pins out = { .after = in->after };
	struct ddfs_layout *layout;
	int ret = in->pad ? -EINVAL : asked_layout(op, &layout);

	if (!ret)
		ret = pins_check(op);
	if (!ret)
		out.nr = (uint32_t)ddfs_layouts_list(ddfs_fs_layouts(ddfs_op_fs(op->req)), layout,
			in->after, infos, DDFS_IOC_PINS_MAX);
	for (uint32_t i = 0; i < out.nr; i++)
		fill_pin_info(&out.pins[i], &infos[i]);
	ddfs_ioctl_reply(op, ret, &out, sizeof(out));
}
