/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/client/device.h"
#include "src/client/error.h"
#include "src/client/mount.h"
#include "src/client/process.h"
#include "src/client/super.h"
#include "src/devdaxfs_ioctl.h"

#define PATH_VARIABLE "DEVDAXFS_DEVICE"

int ddfs_client_reopen(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool is_the_one(int fd, const struct ddfs_client_device *device)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if (S_ISCHR(st.st_mode))
		return !device->inode && st.st_rdev == device->number;
	return S_ISREG(st.st_mode) && device->inode && st.st_dev == device->number &&
	       st.st_ino == device->inode;
}

static int say_open_failed(int ret, const struct ddfs_client_device *device, const char *path)
{
	switch (ret) {
	case -ENOENT:
	case -ENOTDIR:
		return ddfs_client_error(-ENODEV,
			"there is no %s, where the filesystem's device should be; set "
			"$" PATH_VARIABLE " to where it is for this process",
			path);
	case -EACCES:
	case -EPERM:
		return ddfs_client_error(-EACCES,
			"%s cannot be opened for %s: %s; who maps files directly must be allowed "
			"to use the filesystem's device",
			path, device->writable ? "writing" : "reading", strerror(-ret));
	default:
		return ddfs_client_error(ret, "%s cannot be opened: %s", path, strerror(-ret));
	}
}

static int say_another(const char *path)
{
	return ddfs_client_error(-ENODEV,
		"%s is not the device that the filesystem lies on; set $" PATH_VARIABLE
		" to where that is for this process",
		path);
}

static int check_mount(const struct ddfs_client_device *device, int handle)
{
	struct stat st;

	if (fstat(handle, &st))
		return ddfs_client_error(-errno, "fstat: %s", strerror(errno));
	return ddfs_client_mount_check(device->mount, st.st_uid);
}

/* Looked at before it is opened: opening what merely has the name, or what somebody would have us
 * open, may block, or do something. */
static int open_path(const struct ddfs_client_device *device, const char *path)
{
	int handle = open(path, O_PATH | O_CLOEXEC), fd, ret;

	if (handle < 0)
		return say_open_failed(-errno, device, path);
	if (!is_the_one(handle, device)) {
		close(handle);
		return say_another(path);
	}
	ret = check_mount(device, handle);
	if (ret) {
		close(handle);
		return ret;
	}
	fd = ddfs_client_reopen(handle, device->writable ? O_RDWR : O_RDONLY);
	close(handle);
	if (fd < 0)
		return say_open_failed(fd, device, path);
	if (is_the_one(fd, device))
		return fd;
	close(fd);
	return say_another(path);
}

static int check_super(const struct ddfs_client_device *device, int fd, const char *path)
{
	int ret =
		ddfs_client_super_check(fd, device->size_bytes, device->align_bytes, device->uuid);

	if (ret == -ENODEV)
		return ddfs_client_error(
			ret, "%s holds another filesystem than the one that is mounted", path);
	if (ret)
		return ddfs_client_error(ret, "%s cannot be read: %s", path, strerror(-ret));
	return 0;
}

static int lock_byte(int fd, uint64_t byte)
{
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

static int lock_device(const struct ddfs_client_device *device, int fd, const char *path)
{
	int ret = lock_byte(fd, DDFS_LOCK_CLIENTS);

	if (!ret)
		ret = lock_byte(fd, DDFS_LOCK_EPOCH + device->epoch);
	if (ret == -EAGAIN || ret == -EACCES)
		return ddfs_client_error(
			-EBUSY, "%s is locked by a process that lets nobody map it", path);
	if (ret)
		return ddfs_client_error(ret, "%s cannot be locked: %s", path, strerror(-ret));
	return 0;
}

static int open_device(struct ddfs_client_device *device, const struct ddfs_ioc_info *info)
{
	const char *path = secure_getenv(PATH_VARIABLE);
	int ret, fd;

	if (!path)
		path = info->path;
	fd = open_path(device, path);
	if (fd < 0)
		return fd;
	ret = lock_device(device, fd, path);
	if (!ret)
		ret = check_super(device, fd, path);
	if (ret)
		close(fd);
	else
		device->fd = fd;
	return ret;
}

/* ---- sharing -------------------------------------------------------------------------------- */

static struct ddfs_client_device *find(
	const struct ddfs_client_process *process, const struct ddfs_client_device *like)
{
	struct ddfs_client_device *device;

	LIST_FOREACH(device, &process->devices, of_process)
		if (device->mount == like->mount && device->number == like->number &&
			device->inode == like->inode && device->epoch == like->epoch &&
			device->writable == like->writable &&
			memcmp(device->uuid, like->uuid, sizeof(like->uuid)) == 0)
			return device;
	return NULL;
}

static int open_new(struct ddfs_client_process *process, const struct ddfs_client_device *like,
	const struct ddfs_ioc_info *info, struct ddfs_client_device **out)
{
	struct ddfs_client_device *device = malloc(sizeof(*device));
	int ret;

	if (!device)
		return ddfs_client_error(-ENOMEM, "no memory for the device");
	*device = *like;
	ret = open_device(device, info);
	if (ret) {
		free(device);
		return ret;
	}
	LIST_INSERT_HEAD(&process->devices, device, of_process);
	*out = device;
	return 0;
}

int ddfs_client_device_get(
	int file, const struct ddfs_ioc_info *info, bool writable, struct ddfs_client_device **out)
{
	struct stat st;
	struct ddfs_client_process *process;
	struct ddfs_client_device like = {
		.writable = writable,
		.epoch = info->epoch,
		.number = info->device,
		.inode = info->inode,
		.size_bytes = info->size_bytes,
		.align_bytes = info->align_bytes,
	}, *device;
	int ret = 0;

	if (fstat(file, &st))
		return ddfs_client_error(-errno, "fstat: %s", strerror(errno));
	like.mount = st.st_dev;
	memcpy(like.uuid, info->uuid, sizeof(like.uuid));
	process = ddfs_client_process_lock();
	device = find(process, &like);
	if (!device)
		ret = open_new(process, &like, info, &device);
	if (!ret) {
		device->nr_users++;
		*out = device;
	}
	ddfs_client_process_unlock();
	return ret;
}

void ddfs_client_device_put(struct ddfs_client_device *device)
{
	if (!device)
		return;
	ddfs_client_process_lock();
	if (--device->nr_users == 0) {
		if (device->fd >= 0) {
			LIST_REMOVE(device, of_process);
			close(device->fd);
		} else {
			close(device->inherited);
		}
		free(device);
	}
	ddfs_client_process_unlock();
}

void ddfs_client_device_orphan(struct ddfs_client_device *device)
{
	device->inherited = device->fd;
	device->fd = -1;
}
