/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/types.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int ddfs_mount(const struct ddfs_mount_params *p, int *out)
{
	char data[PATH_MAX];
	struct stat st;
	int fd, len, err;

	if (stat(p->target, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* The owner of the connection only matters without allow_other, or for a mount by
	 * somebody who is not root, which fusermount3 does. */
	len = snprintf(data, sizeof(data),
		"fd=%d,rootmode=%o,user_id=%u,group_id=%u,default_permissions%s%s%s", fd,
		st.st_mode & S_IFMT, getuid(), getgid(), p->allow_other ? ",allow_other" : "",
		p->extra_data ? "," : "", p->extra_data ? p->extra_data : "");
	err = len >= (int)sizeof(data) ? E2BIG : 0;
	if (!err && mount(p->source, p->target, DDFS_MOUNT_TYPE, p->flags, data) < 0)
		err = errno;
	if (err) {
		close(fd);
		return -err;
	}
	*out = fd;
	return 0;
}

int ddfs_mount_look(const char *target, enum ddfs_mount_state *out)
{
	struct dirent *entry;
	bool empty = true;
	DIR *dir = opendir(target);

	if (!dir && errno == ENOTCONN) {
		*out = DDFS_MOUNT_DEAD;
		return 0;
	}
	if (!dir)
		return -errno;
	while (empty && (entry = readdir(dir)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	closedir(dir);
	*out = empty ? DDFS_MOUNT_READY : DDFS_MOUNT_NOT_EMPTY;
	return 0;
}

char *ddfs_mount_path(const char *target)
{
	char *copy, *dir, *path = realpath(target, NULL);
	char parent[PATH_MAX];

	if (path || errno != ENOTCONN)
		return path;
	/* Nothing below a dead mount can be looked at, its parent can. */
	copy = strdup(target);
	if (!copy)
		return NULL;
	dir = realpath(dirname(copy), parent);
	free(copy);
	copy = strdup(target);
	if (dir && copy &&
		asprintf(&path, "%s/%s", strcmp(dir, "/") ? dir : "", basename(copy)) < 0)
		path = NULL;
	free(copy);
	return path;
}

/* Whether the last mount of path in the table, which is the one on top, is ours. */
static bool mount_is_ours(const char *path, const char *source)
{
	FILE *table = setmntent("/proc/self/mounts", "r");
	char buf[4 * PATH_MAX];
	struct mntent entry;
	bool ours = false;

	if (!table)
		return false;
	while (getmntent_r(table, &entry, buf, sizeof(buf)))
		if (!strcmp(entry.mnt_dir, path))
			ours = !strcmp(entry.mnt_type, DDFS_MOUNT_TYPE) &&
			       !strcmp(entry.mnt_fsname, source);
	endmntent(table);
	return ours;
}

int ddfs_mount_clear(const char *target, const char *source)
{
	char *path = ddfs_mount_path(target);
	int ret;

	if (!path)
		return -errno;
	if (!mount_is_ours(path, source))
		ret = -ENOENT;
	else
		ret = umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
	free(path);
	return ret;
}

unsigned long long ddfs_mount_id(const char *path)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &stx) < 0)
		return 0;
	return stx.stx_mask & STATX_MNT_ID ? stx.stx_mnt_id : 0;
}

void ddfs_mount_detach(const char *path, unsigned long long id)
{
	if (ddfs_mount_id(path) == id)
		umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

int ddfs_mount_open(const char *path, unsigned long long id)
{
	if (ddfs_mount_id(path) != id)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
