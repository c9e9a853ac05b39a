/* SPDX-License-Identifier: BSD-3-Clause */
/* Bad blocks: told by ioctl(2), and learnt of from the kernel. */
#include "src/daemon/bad.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "src/daemon/ioctl.h"
#include "src/device/device.h"

/* Who owns the device may read all of it anyway. */
static bool may_ask(fuse_req_t req)
{
	const struct ddfs_source *src = ddfs_device_source(ddfs_op_daemon(req)->device);
	uid_t uid = fuse_req_ctx(req)->uid;
	struct stat st;

	return uid == 0 || (!stat(src->path, &st) && st.st_uid == uid);
}

static uint32_t kind_of(enum ddfs_bad_kind kind)
{
	switch (kind) {
	case DDFS_BAD_FREE:
		return DDFS_IOC_BAD_FREE;
	case DDFS_BAD_FIXED:
		return DDFS_IOC_BAD_FIXED;
	case DDFS_BAD_DATA:
		return DDFS_IOC_BAD_DATA;
	case DDFS_BAD_META:
		return DDFS_IOC_BAD_META;
	case DDFS_BAD_INODES:
		return DDFS_IOC_BAD_INODES;
	default:
		return DDFS_IOC_BAD_UNKNOWN;
	}
}

static int list(struct ddfs_fs *fs, struct ddfs_ioc_bad *arg)
{
	struct ddfs_bad_range ranges[DDFS_IOC_BAD_MAX];
	uint64_t nr_blocks;
	int nr = ddfs_bad_list(fs, arg->after, ranges, DDFS_IOC_BAD_MAX, &nr_blocks);

	if (nr < 0)
		return nr;
	arg->nr = (uint32_t)nr;
	arg->nr_blocks = nr_blocks;
	for (int i = 0; i < nr; i++)
		arg->ranges[i] = (struct ddfs_ioc_bad_range){
			.device_off = ranges[i].device_off,
			.len = ranges[i].len,
			.node = ranges[i].id,
			.off = ranges[i].off,
			.since_sec = (int64_t)ranges[i].since,
			.kind = kind_of(ranges[i].kind),
		};
	return 0;
}

void ddfs_ioctl_bad(const struct ddfs_ioctl *op)
{
	struct ddfs_ioc_bad arg = { .after = ((const struct ddfs_ioc_bad *)op->in)->after };
	int ret = 0;

	if (op->node != FUSE_ROOT_ID)
		ret = -ENOTTY;
	else if (!may_ask(op->req))
		ret = -EPERM;
	if (!ret)
		ret = list(ddfs_op_fs(op->req), &arg);
	ddfs_ioctl_reply(op, ret, &arg, sizeof(arg));
}

/* ---- the kernel tells ----------------------------------------------------------------------- */

int ddfs_bad_listen(void)
{
	return prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) ? -errno : 0;
}

void ddfs_bad_take(struct ddfs_daemon *d)
{
	uint64_t off, len;

	while (ddfs_device_take_notice(d->device, &off, &len))
		ddfs_bad_notice(d->fs, off, len);
}
