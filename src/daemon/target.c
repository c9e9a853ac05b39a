/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/target.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "src/daemon/log.h"
#include "src/daemon/mount.h"

/* A daemon that was killed leaves a mount that answers ENOTCONN. If it was of the same SOURCE it
 * is in our way only. */
static int target_clear(const char *target, const char *source, struct ddfs_log *log)
{
	int ret = ddfs_mount_clear(target, source);

	if (ret)
		ddfs_log_printf(log, LOG_ERR,
			"%s: a FUSE filesystem whose daemon is gone is mounted there: umount %s "
			"first",
			target, target);
	else
		ddfs_log_printf(log, LOG_NOTICE,
			"%s: unmounted what a devdaxfs that was killed had left there", target);
	return ret;
}

int ddfs_target_check(const char *target, const char *source, bool nonempty, struct ddfs_log *log)
{
	enum ddfs_mount_state state;
	int ret = ddfs_mount_look(target, &state);

	if (!ret && state == DDFS_MOUNT_DEAD) {
		ret = target_clear(target, source, log);
		if (ret)
			return ret;
		ret = ddfs_mount_look(target, &state);
	}
	if (ret) {
		ddfs_log_printf(log, LOG_ERR, "mount point %s: %s", target, strerror(-ret));
		return ret;
	}
	if (state != DDFS_MOUNT_NOT_EMPTY || nonempty)
		return 0;
	ddfs_log_printf(log, LOG_ERR,
		"mount point %s is not empty; -o nonempty mounts over what is there", target);
	return -ENOTEMPTY;
}
