/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "src/client/error.h"
#include "src/client/pin.h"
#include "src/devdaxfs_ioctl.h"

#define PAGE_BYTES UINT64_C(4096)

static int run_ioctl(int fd, unsigned long number, void *arg)
{
	return ioctl(fd, number, arg) ? -errno : 0;
}

int ddfs_client_info(int fd, struct ddfs_ioc_info *out)
{
	int ret = run_ioctl(fd, DDFS_IOC_INFO, out);

	switch (ret) {
	case 0:
		out->path[sizeof(out->path) - 1] = '\0';
		return 0;
	case -ENOTTY:
		return ddfs_client_error(ret, "the file is not on a mounted devdaxfs");
	case -ENOTCONN:
		return ddfs_client_error(ret, "the filesystem's daemon is gone");
	default:
		return ddfs_client_error(
			ret, "the file cannot be asked where it lies: %s", strerror(-ret));
	}
}

/* ---- why not -------------------------------------------------------------------------------- */

static int say_not_dax(int fd)
{
	struct fsxattr attr;

	if (run_ioctl(fd, FS_IOC_FSGETXATTR, &attr) == 0 && (attr.fsx_xflags & FS_XFLAG_DAX))
		return ddfs_client_error(-EOPNOTSUPP,
			"the filesystem is mounted with dax=never, or the file was made a DAX file "
			"after it was written to: copy it");
	return ddfs_client_error(-EOPNOTSUPP,
		"not a DAX file: make it one with \"chattr +x\" while it is empty and closed (or "
		"of "
		"its directory, for files made there from then on), or mount with dax=always");
}

static int say_too_short(const struct ddfs_client_pin_params *p)
{
	return ddfs_client_error(-ENXIO,
		"the file ends at or before byte %" PRIu64
		", where the range begins; DDFS_MAP_GROW makes it longer",
		p->off);
}

/* What a file and a filesystem may say to anything that wants to write. */
static const char *plain_reason(int ret)
{
	switch (ret) {
	case -EBADF:
		return "the file is not open for what is asked: filling holes and growing need it "
		       "open for writing";
	case -EROFS:
		return "the filesystem is read-only";
	case -EPERM:
		return "the file is immutable";
	case -ENOSPC:
		return "the filesystem has no room for the pages that the range lacks";
	case -ENODEV:
		return "the filesystem is being unmounted";
	case -ENOTCONN:
		return "the filesystem's daemon is gone";
	case -ESTALE:
		return "the file belongs to an earlier mount: open it anew";
	default:
		return strerror(-ret);
	}
}

static const char *lease_reason(int ret)
{
	switch (ret) {
	case -EIO:
		return "a part of the range, or what the filesystem keeps of it, holds poison and "
		       "cannot be read, as \"ddfs badblocks\" lists; writing whole blocks of 4096 "
		       "bytes over it heals data, and DDFS_MAP_BAD_HOLES leases what is left";
	case -EAGAIN:
		return "a change of the file (truncate, punching holes) waits for the range, and "
		       "leases come after it";
	case -EDEADLK:
		return "a change of the file waits for the range and for a lease that this process "
		       "holds: let go of that first";
	case -EINTR:
		return "a signal came while waiting for a change of the file";
	case -ENOLCK:
		return "the filesystem has no room to note more leases";
	case -EUSERS:
		return "too many leases hold the same page";
	default:
		return plain_reason(ret);
	}
}

static int say_refused(int ret, int fd, const struct ddfs_client_pin_params *p)
{
	if (ret == -EOPNOTSUPP)
		return say_not_dax(fd);
	if (ret == -ENXIO)
		return say_too_short(p);
	return ddfs_client_error(ret, "no lease: %s", lease_reason(ret));
}

/* ---- extents -------------------------------------------------------------------------------- */

static int fetch_rest(int fd, uint64_t id, struct ddfs_ioc_extent *extents, size_t have, size_t nr)
{
	struct ddfs_ioc_pin_extents arg;
	int ret;

	while (have < nr) {
		memset(&arg, 0, sizeof(arg));
		arg.id = id;
		arg.first = (uint32_t)have;
		ret = run_ioctl(fd, DDFS_IOC_PIN_EXTENTS, &arg);
		if (ret)
			return ret;
		if (arg.nr == 0 || arg.nr > DDFS_IOC_EXTENTS_MAX || arg.nr > nr - have)
			return -EIO;
		memcpy(extents + have, arg.extents, arg.nr * sizeof(extents[0]));
		have += arg.nr;
	}
	return 0;
}

static int fetch(int fd, const struct ddfs_ioc_pin *arg, struct ddfs_ioc_extent **out)
{
	const size_t max = sizeof(arg->extents) / sizeof(arg->extents[0]);
	size_t nr = arg->nr_extents, have = nr < max ? nr : max;
	struct ddfs_ioc_extent *extents = calloc(nr ? nr : 1, sizeof(*extents));
	int ret;

	if (!extents)
		return -ENOMEM;
	memcpy(extents, arg->extents, have * sizeof(*extents));
	ret = fetch_rest(fd, arg->id, extents, have, nr);
	if (ret)
		free(extents);
	else
		*out = extents;
	return ret;
}

/* What is mapped by them later must lie where it was asked for. */
static bool make_sense(const struct ddfs_client_pin *pin)
{
	uint64_t off = pin->off;
	size_t i;

	for (i = 0; i < pin->nr_extents; i++) {
		const struct ddfs_ioc_extent *e = &pin->extents[i];

		if (e->off != off || !e->len || (e->off | e->len | e->device_off) % PAGE_BYTES ||
			e->len > pin->off + pin->len - off)
			return false;
		off += e->len;
	}
	return off == pin->off + pin->len;
}

int ddfs_client_pin_new(
	int fd, const struct ddfs_client_pin_params *params, struct ddfs_client_pin *out)
{
	struct ddfs_ioc_pin arg = {
		.off = params->off,
		.len = params->len,
		.mode = params->mode,
		.flags = params->flags,
		.epoch = params->epoch,
	};
	struct ddfs_client_pin pin;
	int ret = run_ioctl(fd, DDFS_IOC_PIN, &arg);

	if (ret)
		return say_refused(ret, fd, params);
	pin = (struct ddfs_client_pin){ arg.id, arg.off, arg.len, arg.nr_extents, NULL };
	ret = fetch(fd, &arg, &pin.extents);
	if (!ret && !make_sense(&pin))
		ret = -EIO;
	if (ret) {
		ddfs_client_pin_delete(fd, &pin);
		return ddfs_client_error(
			ret, "the extents of the range cannot be had: %s", strerror(-ret));
	}
	*out = pin;
	return 0;
}

void ddfs_client_pin_delete(int fd, struct ddfs_client_pin *pin)
{
	__u64 id = pin->id;

	/* It ends with the file's descriptor if not by this. */
	run_ioctl(fd, DDFS_IOC_UNPIN, &id);
	ddfs_client_pin_free(pin);
}

void ddfs_client_pin_free(struct ddfs_client_pin *pin)
{
	free(pin->extents);
	pin->extents = NULL;
}

static bool covers(const struct ddfs_client_pin *pin, uint64_t off, uint64_t len, uint32_t holes)
{
	size_t i;

	if (off < pin->off || len > pin->len || off - pin->off > pin->len - len)
		return false;
	for (i = 0; i < pin->nr_extents; i++) {
		const struct ddfs_ioc_extent *e = &pin->extents[i];

		if ((e->flags & DDFS_CLIENT_NO_PAGES & ~holes) && e->off < off + len &&
			off < e->off + e->len)
			return false;
	}
	return true;
}

int ddfs_client_pin_check(
	const struct ddfs_client_pin *pin, uint64_t off, uint64_t len, uint32_t holes)
{
	if (covers(pin, off, len, holes))
		return 0;
	return ddfs_client_error(-EBADF,
		"the range has holes, and the file is open for reading alone: open it with O_RDWR, "
		"so that they can be filled");
}
