/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "src/device/devdax.h"
#include "src/device/source.h"

#define MIN_ALIGN UINT64_C(4096)

/* The last component of what a link in the device's sysfs directory, or the directory itself
 * (leaf ""), points at. */
static bool link_name(dev_t rdev, const char *leaf, char *out, size_t size)
{
	char link[64], target[PATH_MAX];
	const char *base;

	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u%s", major(rdev), minor(rdev), leaf);
	if (!realpath(link, target))
		return false;
	base = strrchr(target, '/') + 1;
	return (size_t)snprintf(out, size, "%s", base) < size;
}

static int read_number(dev_t rdev, const char *leaf, uint64_t *out)
{
	char path[96];
	unsigned long long n;
	FILE *f;
	int got;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/%s", major(rdev), minor(rdev), leaf);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	got = fscanf(f, "%llu", &n);
	fclose(f);
	if (got != 1)
		return -EINVAL;
	*out = n;
	return 0;
}

bool ddfs_devdax_is(dev_t rdev)
{
	char bus[32];

	return link_name(rdev, "/subsystem", bus, sizeof(bus)) && strcmp(bus, "dax") == 0;
}

/* The device has an alignment of its own since Linux 5.10; before, its region's was used. */
static int read_align(dev_t rdev, uint64_t *out)
{
	if (read_number(rdev, "align", out) == 0)
		return 0;
	return read_number(rdev, "../dax_region/align", out);
}

int ddfs_devdax_describe(struct ddfs_source *out, const struct ddfs_listener *to)
{
	uint64_t size, align;
	char driver[32];

	if (!link_name(out->rdev, "", out->dax_name, sizeof(out->dax_name)))
		return -ENODEV;
	if (!link_name(out->rdev, "/driver", driver, sizeof(driver)) ||
		strcmp(driver, "device_dax") != 0) {
		ddfs_say(to, LOG_ERR,
			"%s is not in devdax mode (it is disabled or used as system memory); make "
			"it so with: daxctl reconfigure-device --mode=devdax %s",
			out->path, out->dax_name);
		return -ENODEV;
	}
	if (read_number(out->rdev, "size", &size) || read_align(out->rdev, &align) ||
		align < MIN_ALIGN || (align & (align - 1))) {
		ddfs_say(to, LOG_ERR, "%s: sysfs does not give its size and alignment", out->path);
		return -EINVAL;
	}
	out->size_bytes = size & ~(align - 1);
	out->align_bytes = align;
	return 0;
}
