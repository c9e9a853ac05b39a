/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may pin. A pin makes others' changes wait, and what the kernel has locked for them: so being
 * allowed to read is not enough. As with F_SETLEASE, it is root and the file's owner; besides, who
 * may change the file anyway, and who may open the device, for whom pins are made.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "src/daemon/ioctl.h"
#include "src/device/device.h"

static bool is_in_group(fuse_req_t req, gid_t gid)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	int nr = fuse_req_getgroups(req, 0, NULL);
	gid_t *list = nr > 0 ? calloc((size_t)nr, sizeof(*list)) : NULL;
	bool found = ctx->gid == gid;

	if (list)
		nr = fuse_req_getgroups(req, nr, list);
	for (int i = 0; list && i < nr && !found; i++)
		found = list[i] == gid;
	free(list);
	return found;
}

static bool may_open_device(fuse_req_t req)
{
	const struct ddfs_source *src = ddfs_device_source(ddfs_op_daemon(req)->device);
	uid_t uid = fuse_req_ctx(req)->uid;
	struct stat st;

	if (stat(src->path, &st))
		return false;
	if (uid == st.st_uid)
		return st.st_mode & S_IRUSR;
	if (is_in_group(req, st.st_gid))
		return st.st_mode & S_IRGRP;
	return st.st_mode & S_IROTH;
}

int ddfs_ioctl_may_pin(const struct ddfs_ioctl *op)
{
	uid_t uid = fuse_req_ctx(op->req)->uid;
	struct ddfs_attr attr;
	int ret;

	if (uid == 0 || ddfs_handle_is_writable(op->handle))
		return 0;
	ret = ddfs_getattr(op->handle->ip, &attr);
	if (ret)
		return ret;
	return attr.uid == uid || may_open_device(op->req) ? 0 : -EACCES;
}
