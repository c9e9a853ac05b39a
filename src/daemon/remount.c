/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/remount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <syslog.h>
#include <unistd.h>

#include "src/daemon/log.h"
#include "src/daemon/options.h"
#include "src/devdaxfs_ioctl.h"

static int remount_daemon(const char *target, const char *list)
{
	struct ddfs_ioc_remount arg;
	int fd, ret;

	if ((size_t)snprintf(arg.options, sizeof(arg.options), "%s", list) >= sizeof(arg.options))
		return -E2BIG;
	fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = ioctl(fd, DDFS_IOC_REMOUNT, &arg) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int remount_kernel(const char *target, unsigned long flags)
{
	return mount(NULL, target, NULL, MS_REMOUNT | flags, NULL) < 0 ? -errno : 0;
}

static const char *remount_hint(int ret)
{
	switch (ret) {
	case -ENOTTY:
		return "no devdaxfs is mounted there";
	case -EINVAL:
		return "an option cannot be changed by a remount; the daemon's log says which";
	case -EBUSY:
		return "files are open for writing, or pinned";
	default:
		return strerror(-ret);
	}
}

/* Whoever is to write less goes first. */
int ddfs_remount(const char *target, const struct ddfs_options *opt, const char *list)
{
	bool kernel_first = opt->mount_flags & MS_RDONLY;
	int ret = 0;

	if (kernel_first)
		ret = remount_kernel(target, opt->mount_flags);
	if (!ret)
		ret = remount_daemon(target, list);
	if (!ret && !kernel_first)
		ret = remount_kernel(target, opt->mount_flags);
	if (ret)
		ddfs_log_printf(NULL, LOG_ERR, "cannot remount %s: %s", target, remount_hint(ret));
	return ret;
}
