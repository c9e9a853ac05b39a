/* SPDX-License-Identifier: BSD-3-Clause */
/* How stores become durable, by ioctl(2): what was counted, and which way it is done. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "fs/media.h"
#include "src/daemon/ioctl.h"
#include "src/daemon/loop.h"
#include "src/device/device.h"

static_assert((int)DDFS_IOC_SYNCS_FILE == DDFS_SYNC_FILE, "causes");
static_assert((int)DDFS_IOC_SYNCS_FS == DDFS_SYNC_FS, "causes");
static_assert((int)DDFS_IOC_SYNCS_WRITE == DDFS_SYNC_WRITE, "causes");
static_assert((int)DDFS_IOC_SYNCS_RANGE == DDFS_SYNC_RANGE, "causes");
static_assert((int)DDFS_IOC_SYNCS_MOUNT == DDFS_SYNC_MOUNT, "causes");
static_assert((int)DDFS_IOC_SYNCS_NR == DDFS_SYNC_CAUSES, "causes");
static_assert((int)DDFS_IOC_PERSISTENCE_AUTO == DDFS_PERSISTENCE_AUTO, "words");
static_assert((int)DDFS_IOC_PERSISTENCE_CPU_CACHE == DDFS_PERSISTENCE_CPU_CACHE, "words");
static_assert(
	(int)DDFS_IOC_PERSISTENCE_MEMORY_CONTROLLER == DDFS_PERSISTENCE_MEMORY_CONTROLLER, "words");
static_assert((int)DDFS_IOC_PERSISTENCE_NONE == DDFS_PERSISTENCE_NONE, "words");

static void fill_media(struct ddfs_ioc_stats *out, struct ddfs_media_stats *m)
{
	out->bytes_stored = atomic_load(&m->bytes_stored);
	out->lines_flushed = atomic_load(&m->lines_flushed);
	out->lines_elided = atomic_load(&m->lines_elided);
	out->fences = atomic_load(&m->fences);
	out->deep_flushes = atomic_load(&m->deep_flushes);
	out->most_shared = atomic_load(&m->most_shared);
	out->lines_lost = atomic_load(&m->lines_lost);
	for (unsigned int i = 0; i < DDFS_SYNC_CAUSES; i++)
		out->syncs[i] = atomic_load(&m->syncs[i]);
}

static void fill_requests(struct ddfs_ioc_stats *out, const struct ddfs_loop *loop)
{
	uint64_t requests[DDFS_LOOP_OPCODES] = { 0 };

	static_assert(DDFS_LOOP_OPCODES <= sizeof(out->requests) / sizeof(out->requests[0]),
		"each has its place");
	ddfs_loop_requests(loop, requests);
	out->nr_threads = ddfs_loop_threads(loop);
	for (unsigned int i = 0; i < DDFS_LOOP_OPCODES; i++)
		out->requests[i] = requests[i];
}

void ddfs_ioctl_stats(const struct ddfs_ioctl *op)
{
	struct ddfs_daemon *d = ddfs_op_daemon(op->req);
	struct ddfs_ioc_stats out = { 0 };

	if (op->node != FUSE_ROOT_ID) {
		ddfs_op_reply(op->req, -ENOTTY);
		return;
	}
	fill_media(&out, ddfs_device_stats(d->device));
	fill_requests(&out, d->loop);
	snprintf(
		out.persistence, sizeof(out.persistence), "%s", ddfs_device_persistence(d->device));
	ddfs_ioctl_reply(op, 0, &out, sizeof(out));
}

void ddfs_ioctl_set_persistence(const struct ddfs_ioctl *op)
{
	struct ddfs_daemon *d = ddfs_op_daemon(op->req);
	const struct ddfs_ioc_persistence *arg = op->in;
	int ret;

	if (op->node != FUSE_ROOT_ID)
		ret = -ENOTTY;
	else if (fuse_req_ctx(op->req)->uid)
		ret = -EPERM;
	else if (arg->pad || arg->wanted > DDFS_IOC_PERSISTENCE_NONE)
		ret = -EINVAL;
	else
		ret = ddfs_daemon_set_persistence(d, (enum ddfs_persistence)arg->wanted);
	ddfs_ioctl_reply(op, ret, NULL, 0);
}
