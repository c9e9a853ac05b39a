/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Not with pmem2_map_new, which would take a map for each extent, reads the whole of sysfs's
 * nvdimm directory for each, and can be told the granularity only by the environment, which other
 * threads may be reading. What it knows of a platform the mount has told (persist.h).
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "src/client/device.h"
#include "src/client/error.h"
#include "src/client/pin.h"
#include "src/client/process.h"
#include "src/client/view.h"
#include "src/devdaxfs_ioctl.h"

/* Where the kernel maps with large pages if addresses and offsets agree in it. */
#define LARGE_BYTES (UINT64_C(2) << 20)

/* ---- address space -------------------------------------------------------------------------- */

static void unmap(char *from, char *to)
{
	if (from < to)
		munmap(from, (size_t)(to - from));
}

/* len bytes at an address that is congruent to off modulo align. */
static int reserve(struct ddfs_client_view *view, size_t len, uint64_t off, size_t align)
{
	char *all, *base;

	if (len > SIZE_MAX - align)
		return -ENOMEM;
	all = mmap(
		NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return -errno;
	base = all + ((off - (uintptr_t)all) & (align - 1));
	unmap(all, base);
	unmap(base + len, all + len + align);
	view->base = base;
	view->len = len;
	return 0;
}

/* ---- extents -------------------------------------------------------------------------------- */

/* How many of the extents, from the first on, lie in a row on the device; and how long that is. */
static size_t run_of(const struct ddfs_ioc_extent *e, size_t nr, uint64_t *len)
{
	size_t i;

	*len = e->len;
	for (i = 1; i < nr && e[i].device_off == e->device_off + *len; i++)
		*len += e[i].len;
	return i;
}

static bool fits(const struct ddfs_client_device *device, uint64_t off, uint64_t len)
{
	return (off | len) % device->align_bytes == 0 && len <= device->size_bytes &&
	       off <= device->size_bytes - len;
}

/* On a DAX filesystem MAP_SYNC is what makes stores durable without a system call; elsewhere it is
 * refused, which is noted. */
static int map_run(char *address, uint64_t len, int prot, int fd, uint64_t off, int *flags)
{
	const int sync = MAP_SHARED_VALIDATE | MAP_SYNC;

	if (mmap(address, len, prot, MAP_FIXED | *flags, fd, (off_t)off) != MAP_FAILED)
		return 0;
	if (*flags != sync || (errno != EOPNOTSUPP && errno != EINVAL))
		return -errno;
	*flags = MAP_SHARED;
	return map_run(address, len, prot, fd, off, flags);
}

static int map_runs(const struct ddfs_client_view *view, const struct ddfs_client_device *device,
	const struct ddfs_client_pin *pin, int prot)
{
	int flags = MAP_SHARED_VALIDATE | MAP_SYNC, ret;
	char *address = view->base;
	uint64_t len;
	size_t i;

	for (i = 0; i < pin->nr_extents;) {
		const struct ddfs_ioc_extent *e = &pin->extents[i];

		i += run_of(e, pin->nr_extents - i, &len);
		if (!fits(device, e->device_off, len))
			return -EOPNOTSUPP;
		ret = map_run(address, len, prot, device->fd, e->device_off, &flags);
		if (ret)
			return ret;
		address += len;
	}
	return 0;
}

static int say(int ret)
{
	if (ret == -EOPNOTSUPP)
		return ddfs_client_error(ret,
			"the file's pages do not lie so that the device lets them be mapped: copy "
			"the file to one that is a DAX file from the start");
	return ddfs_client_error(ret, "the extents cannot be mapped: %s", strerror(-ret));
}

int ddfs_client_view_new(struct ddfs_client_view *view, const struct ddfs_client_device *device,
	const struct ddfs_client_pin *pin, int prot)
{
	size_t align = device->align_bytes;
	int ret;

	if (align < LARGE_BYTES && pin->len >= LARGE_BYTES)
		align = LARGE_BYTES;
	/* held until a fork would leave it out */
	ddfs_client_process_lock();
	ret = reserve(view, pin->len, pin->extents[0].device_off, align);
	if (!ret) {
		ret = map_runs(view, device, pin, prot);
		if (!ret && madvise(view->base, view->len, MADV_DONTFORK))
			ret = -errno;
		if (ret)
			ddfs_client_view_delete(view);
	}
	ddfs_client_process_unlock();
	return ret ? say(ret) : 0;
}

void ddfs_client_view_delete(struct ddfs_client_view *view)
{
	munmap(view->base, view->len);
	/* Somebody else's memory may be there from now on. */
	*view = (struct ddfs_client_view){ 0 };
}
