/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/client/device.h"
#include "src/client/error.h"
#include "src/client/lease.h"
#include "src/client/process.h"
#include "src/client/recall.h"
#include "src/devdaxfs_ioctl.h"

#define ALL_FLAGS                                                                                  \
	((unsigned int)(DDFS_MAP_READ | DDFS_MAP_WRITE | DDFS_MAP_GROW | DDFS_MAP_NOWAIT |         \
			DDFS_MAP_SNAPSHOT | DDFS_MAP_BAD_HOLES))

static_assert(DDFS_MAP_READ == DDFS_IOC_PIN_READ && DDFS_MAP_WRITE == DDFS_IOC_PIN_WRITE, "mode");

int ddfs_client_lease_check(const struct ddfs_lease *lease)
{
	if (lease->fd >= 0)
		return 0;
	return ddfs_client_error(
		-ECHILD, "the lease is the parent process's: leases end at fork in the child");
}

/* ---- what is asked for ---------------------------------------------------------------------- */

static int check_flags(uint64_t off, uint64_t len, unsigned int flags)
{
	if (flags & ~ALL_FLAGS)
		return ddfs_client_error(
			-EINVAL, "flags that are not defined: %#x", flags & ~ALL_FLAGS);
	if (!(flags & (DDFS_MAP_READ | DDFS_MAP_WRITE)))
		return ddfs_client_error(-EINVAL, "neither DDFS_MAP_READ nor DDFS_MAP_WRITE");
	if ((flags & DDFS_MAP_GROW) && ((flags & DDFS_MAP_SNAPSHOT) || !len))
		return ddfs_client_error(-EINVAL,
			"DDFS_MAP_GROW wants a length, and does not go with DDFS_MAP_SNAPSHOT");
	if (len > INT64_MAX || off > INT64_MAX - len)
		return ddfs_client_error(-EINVAL, "the range ends behind any file");
	return 0;
}

/* How fd is open, O_RDONLY or O_RDWR. */
static int check_access(int fd, unsigned int flags)
{
	int got = fcntl(fd, F_GETFL);

	if (got < 0)
		return ddfs_client_error(-errno, "fd %d: %s", fd, strerror(errno));
	if ((got & O_ACCMODE) == O_WRONLY || (got & O_PATH))
		return ddfs_client_error(-EBADF, "the file is not open for reading");
	if ((got & O_ACCMODE) == O_RDONLY && (flags & (DDFS_MAP_WRITE | DDFS_MAP_GROW)))
		return ddfs_client_error(
			-EBADF, "the file is open for reading alone: open it with O_RDWR");
	return got & O_ACCMODE;
}

static unsigned int pin_flags_of(unsigned int flags, int access)
{
	unsigned int pin_flags = 0;

	if (access == O_RDWR && !(flags & DDFS_MAP_SNAPSHOT))
		pin_flags |= DDFS_IOC_PIN_FAULT;
	if (flags & DDFS_MAP_GROW)
		pin_flags |= DDFS_IOC_PIN_GROW;
	if (flags & DDFS_MAP_NOWAIT)
		pin_flags |= DDFS_IOC_PIN_NOWAIT;
	if (flags & DDFS_MAP_BAD_HOLES)
		pin_flags |= DDFS_IOC_PIN_BAD_HOLES;
	return pin_flags;
}

/* ---- making one ----------------------------------------------------------------------------- */

/* A pin ends with the open file it was made through; the caller's may be shared with others, or
 * closed. Where /proc is not mounted, or no longer lets us in, that one has to do. */
static int open_file(struct ddfs_lease *lease, int fd, int access)
{
	struct ddfs_client_process *process = ddfs_client_process_lock();
	int ret = 0;

	lease->fd = ddfs_client_reopen(fd, access);
	if (lease->fd < 0)
		lease->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (lease->fd < 0)
		ret = ddfs_client_error(-errno, "the file cannot be opened: %s", strerror(errno));
	else
		LIST_INSERT_HEAD(&process->leases, lease, of_process);
	ddfs_client_process_unlock();
	return ret;
}

static void close_file(struct ddfs_lease *lease)
{
	ddfs_client_process_lock();
	if (lease->fd >= 0) {
		LIST_REMOVE(lease, of_process);
		close(lease->fd);
		lease->fd = -1;
	} else if (lease->inherited >= 0) {
		close(lease->inherited);
	}
	ddfs_client_process_unlock();
}

static int open_device(
	struct ddfs_lease *lease, const struct ddfs_ioc_info *info, unsigned int flags)
{
	if ((flags & DDFS_MAP_WRITE) && (info->flags & DDFS_IOC_INFO_READONLY))
		return ddfs_client_error(-EROFS, "the filesystem is mounted read-only");
	lease->granularity = info->granularity;
	return ddfs_client_device_get(lease->fd, info, flags & DDFS_MAP_WRITE, &lease->device);
}

int ddfs_client_lease_pin(struct ddfs_lease *lease, uint64_t off, uint64_t len, unsigned int flags,
	unsigned int pin_flags, struct ddfs_client_pin *out)
{
	int access = check_access(lease->fd, flags);
	const struct ddfs_client_pin_params params = {
		.off = off,
		.len = len,
		.mode = flags & (DDFS_MAP_READ | DDFS_MAP_WRITE),
		.flags = pin_flags | pin_flags_of(flags, access),
		.epoch = lease->device->epoch,
	};

	return access < 0 ? access : ddfs_client_pin_new(lease->fd, &params, out);
}

/* The extents of the pin that have just those of the flags; how many. */
static size_t take_extents(
	const struct ddfs_client_pin *pin, uint32_t flags, struct ddfs_extent_range *to)
{
	size_t i, nr = 0;

	for (i = 0; i < pin->nr_extents; i++) {
		const struct ddfs_ioc_extent *e = &pin->extents[i];

		if ((e->flags & DDFS_CLIENT_NO_PAGES) == flags)
			to[nr++] = (struct ddfs_extent_range){ e->off, e->device_off, e->len };
	}
	return nr;
}

int ddfs_client_lease_replace(struct ddfs_lease *lease, struct ddfs_client_pin *pin)
{
	struct ddfs_extent_range *ranges = calloc(pin->nr_extents + 1, sizeof(*ranges));
	struct ddfs_client_pin old = lease->pin;

	if (!ranges)
		return ddfs_client_error(-ENOMEM, "no memory for the extents of a lease");
	free(lease->ranges);
	lease->ranges = ranges;
	lease->nr_ranges = take_extents(pin, 0, ranges);
	lease->nr_bad = take_extents(pin, DDFS_IOC_EXTENT_BAD, ranges + lease->nr_ranges);
	lease->pin = *pin;
	if (old.extents)
		ddfs_client_pin_delete(lease->fd, &old);
	return 0;
}

static int first_pin(struct ddfs_lease *lease, uint64_t off, uint64_t len, unsigned int flags,
	unsigned int pin_flags)
{
	struct ddfs_client_pin pin;
	int ret = ddfs_client_lease_pin(lease, off, len, flags, pin_flags, &pin);

	if (ret)
		return ret;
	ret = ddfs_client_lease_replace(lease, &pin);
	if (ret)
		ddfs_client_pin_delete(lease->fd, &pin);
	return ret;
}

static int fill(struct ddfs_lease *lease, int fd, uint64_t off, uint64_t len, unsigned int flags,
	unsigned int pin_flags)
{
	int ret = check_access(fd, flags), access = ret;
	struct ddfs_ioc_info info;

	if (ret < 0)
		return ret;
	/* Asked before it is opened once more, which other files than ours may not like. */
	ret = ddfs_client_info(fd, &info);
	if (!ret)
		ret = open_file(lease, fd, access);
	/* The device's locks come before the pin: with that, and a daemon that died, they are what
	 * keeps its pages. */
	if (!ret)
		ret = open_device(lease, &info, flags);
	if (!ret)
		ret = first_pin(lease, off, len, flags, pin_flags);
	return ret;
}

int ddfs_client_lease_new(int fd, uint64_t off, uint64_t len, unsigned int flags,
	unsigned int pin_flags, struct ddfs_lease **out)
{
	struct ddfs_lease *lease;
	int ret = check_flags(off, len, flags);

	if (!ret)
		ret = ddfs_client_process_init();
	if (ret)
		return ret;
	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return ddfs_client_error(-ENOMEM, "no memory for a lease");
	lease->fd = lease->inherited = -1;
	ret = fill(lease, fd, off, len, flags, pin_flags);
	if (ret)
		ddfs_lease_delete(lease);
	else
		*out = lease;
	return ret;
}

/* ---- public --------------------------------------------------------------------------------- */

int ddfs_lease_new(int fd, uint64_t off, uint64_t len, unsigned int flags, struct ddfs_lease **out)
{
	struct ddfs_lease *lease;
	int ret = ddfs_client_lease_new(fd, off, len, flags, 0, &lease);

	if (ret)
		return ret;
	if (!(flags & DDFS_MAP_SNAPSHOT))
		ret = ddfs_client_pin_check(&lease->pin, lease->pin.off, lease->pin.len,
			flags & DDFS_MAP_BAD_HOLES ? DDFS_IOC_EXTENT_BAD : 0);
	if (ret)
		ddfs_lease_delete(lease);
	else
		*out = lease;
	return ret;
}

void ddfs_lease_delete(struct ddfs_lease *lease)
{
	if (!lease)
		return;
	if (lease->fd >= 0) {
		ddfs_lease_on_recall(lease, NULL, NULL);
		if (lease->pin.extents)
			ddfs_client_pin_delete(lease->fd, &lease->pin);
	}
	/* The file last: the device is known by its st_dev. */
	ddfs_client_device_put(lease->device);
	close_file(lease);
	ddfs_client_pin_free(&lease->pin);
	free(lease->ranges);
	free(lease);
}

void ddfs_client_lease_orphan(struct ddfs_lease *lease)
{
	lease->inherited = lease->fd;
	lease->fd = -1;
}

size_t ddfs_lease_extents(const struct ddfs_lease *lease, const struct ddfs_extent_range **out)
{
	if (ddfs_client_lease_check(lease))
		return 0;
	*out = lease->ranges;
	return lease->nr_ranges;
}

size_t ddfs_lease_bad(const struct ddfs_lease *lease, const struct ddfs_extent_range **out)
{
	if (ddfs_client_lease_check(lease))
		return 0;
	*out = lease->ranges + lease->nr_ranges;
	return lease->nr_bad;
}

int ddfs_lease_device_fd(const struct ddfs_lease *lease)
{
	int ret = ddfs_client_lease_check(lease);

	return ret ? ret : lease->device->fd;
}

int ddfs_lease_fd(const struct ddfs_lease *lease)
{
	int ret = ddfs_client_lease_check(lease);

	return ret ? ret : lease->fd;
}

int ddfs_lease_is_recalled(const struct ddfs_lease *lease)
{
	struct pollfd p = { .fd = lease->fd, .events = POLLPRI };
	int ret = ddfs_client_lease_check(lease);

	if (ret)
		return ret;
	/* A signal that has come is told of even if there is no time to wait for one. */
	while ((ret = poll(&p, 1, 0)) < 0 && errno == EINTR)
		;
	if (ret < 0)
		return ddfs_client_error(-errno, "poll: %s", strerror(errno));
	if (p.revents & (POLLERR | POLLHUP))
		return ddfs_client_error(-ENOTCONN, "the filesystem's daemon is gone");
	return (p.revents & POLLPRI) != 0;
}

int ddfs_lease_sync(struct ddfs_lease *lease, uint64_t off, uint64_t len)
{
	struct ddfs_ioc_sync arg = { .off = off, .len = len };
	int ret = ddfs_client_lease_check(lease);

	if (ret)
		return ret;
	if (ioctl(lease->fd, DDFS_IOC_SYNC, &arg))
		return ddfs_client_error(
			-errno, "the file cannot be made durable: %s", strerror(errno));
	return 0;
}
