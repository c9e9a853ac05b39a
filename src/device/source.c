/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>

#include "src/device/devdax.h"
#include "src/device/ndctl.h"
#include "src/device/scan.h"
#include "src/device/source.h"

#define IMAGE_ALIGN UINT64_C(4096)

/* "dax0.0", "namespace1.0": a kernel name rather than a path. */
static bool is_kernel_name(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	unsigned int x, y;
	int end = 0;

	return strncmp(name, prefix, len) == 0 &&
	       sscanf(name + len, "%u.%u%n", &x, &y, &end) == 2 && name[len + end] == '\0';
}

static bool is_tag(const char *name)
{
	return strncmp(name, "UUID=", 5) == 0 || strncmp(name, "LABEL=", 6) == 0;
}

/* path has room for PATH_MAX. */
static int name_to_path(const char *name, char *path, const struct ddfs_listener *to)
{
	if (is_tag(name))
		return ddfs_scan_tag(name, path, to);
	if (is_kernel_name(name, "namespace"))
		return ddfs_ndctl_find_namespace(name, path, to);
	if (snprintf(path, PATH_MAX, "%s%s", is_kernel_name(name, "dax") ? "/dev/" : "", name) >=
		PATH_MAX) {
		ddfs_say(to, LOG_ERR, "the path is longer than %d bytes", PATH_MAX - 1);
		return -ENAMETOOLONG;
	}
	return 0;
}

/* Makes path absolute and free of links. */
static int resolve(const char *path, char *out, struct stat *st, const struct ddfs_listener *to)
{
	int err;

	if (realpath(path, out) && stat(out, st) == 0)
		return 0;
	err = errno;
	if (err == ENOENT && strncmp(path, "/dev/dax", 8) == 0)
		ddfs_say(to, LOG_ERR,
			"there is no %s; `daxctl list` shows the devices there are, and `ndctl "
			"create-namespace -m devdax` makes one",
			path);
	else if (err == ENOENT)
		ddfs_say(to, LOG_ERR,
			"%s: no such file (a new image begins with: truncate -s 1G FILE)", path);
	else
		ddfs_say(to, LOG_ERR, "%s: %s", path, strerror(err));
	return -err;
}

static int refuse_block(const struct ddfs_source *src, const struct ddfs_listener *to)
{
	const char *disk = strrchr(src->path, '/') + 1;
	char ns[32];

	if (ddfs_ndctl_find_block(disk, ns, sizeof(ns)))
		ddfs_say(to, LOG_ERR,
			"%s is a block device and devdaxfs needs device-dax; this turns it into "
			"one and destroys what it holds: ndctl create-namespace -f -e %s -m devdax",
			src->path, ns);
	else
		ddfs_say(to, LOG_ERR,
			"%s is a block device; devdaxfs needs device-dax (/dev/daxX.Y, as made by "
			"`ndctl create-namespace -m devdax`) or an image file",
			src->path);
	return -ENODEV;
}

static int describe_char(struct ddfs_source *out, const struct ddfs_listener *to)
{
	int ret;

	out->kind = DDFS_SOURCE_DEVDAX;
	if (!ddfs_devdax_is(out->rdev)) {
		ddfs_say(to, LOG_ERR, "%s is a character device but not device-dax", out->path);
		return -ENODEV;
	}
	ret = ddfs_devdax_describe(out, to);
	if (!ret)
		ddfs_ndctl_describe(out);
	return ret;
}

static void describe_image(struct ddfs_source *out, const struct stat *st)
{
	out->kind = DDFS_SOURCE_IMAGE;
	out->align_bytes = IMAGE_ALIGN;
	out->size_bytes = (uint64_t)st->st_size & ~(IMAGE_ALIGN - 1);
}

static int describe(struct ddfs_source *out, const struct stat *st, const struct ddfs_listener *to)
{
	out->dev = st->st_dev;
	out->ino = st->st_ino;
	out->rdev = st->st_rdev;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		describe_image(out, st);
		return 0;
	case S_IFCHR:
		return describe_char(out, to);
	case S_IFBLK:
		return refuse_block(out, to);
	case S_IFDIR:
		ddfs_say(to, LOG_ERR, "%s is a directory; name a device or an image file",
			out->path);
		return -EISDIR;
	default:
		ddfs_say(to, LOG_ERR, "%s is neither device-dax nor an image file", out->path);
		return -EINVAL;
	}
}

int ddfs_source_find(const char *name, struct ddfs_source *out, ddfs_log_fn log, void *log_arg)
{
	const struct ddfs_listener to = { .log = log, .arg = log_arg };
	struct ddfs_source src = { .domain = DDFS_DOMAIN_UNKNOWN };
	char path[PATH_MAX];
	struct stat st;
	int ret;

	ret = name_to_path(name, path, &to);
	if (!ret)
		ret = resolve(path, src.path, &st, &to);
	if (!ret)
		ret = describe(&src, &st, &to);
	if (!ret)
		*out = src;
	return ret;
}

bool ddfs_source_is_same(const struct ddfs_source *a, const struct ddfs_source *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == DDFS_SOURCE_DEVDAX)
		return a->rdev == b->rdev;
	return a->dev == b->dev && a->ino == b->ino;
}
