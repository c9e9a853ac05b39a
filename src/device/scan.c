/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <daxctl/libdaxctl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "fs/mkfs.h"
#include "src/device/devdax.h"
#include "src/device/map.h"
#include "src/device/scan.h"
#include "src/device/source.h"

struct scan {
	const char *tag;
	const char *label; /* NULL: look for uuid */
	uuid_t uuid;
	char *path;  /* "" until found */
	bool denied; /* a device could not be read for lack of permission */
	const struct ddfs_listener *to;
};

/* The second superblock speaks for a first one that can't be read; not for one that is there no
 * more, since it is older than what took its place. */
static bool probe_backup(int fd, const struct ddfs_source *src, struct ddfs_probe *out,
	const struct ddfs_listener *to)
{
	uint8_t block[DDFS_HEAD_BYTES];

	if (src->size_bytes >= DDFS_MIN_BYTES &&
		!ddfs_map_read_block(fd, src, ddfs_probe_backup_off(src->size_bytes), block) &&
		ddfs_probe_backup(block, src->size_bytes, out))
		return true;
	ddfs_say(to, LOG_WARNING,
		"%s is left out: its first block can't be read, and there is no second superblock "
		"at its end",
		src->path);
	return false;
}

static bool probe_blocks(int fd, const struct ddfs_source *src, struct ddfs_probe *out,
	const struct ddfs_listener *to)
{
	uint8_t head[DDFS_HEAD_BYTES];
	int ret = ddfs_map_read_head(fd, src, head);

	if (ret == -EIO)
		return probe_backup(fd, src, out, to);
	return ret == 0 && ddfs_probe_super(head, out);
}

static bool probe_device(struct scan *s, const char *path, struct ddfs_probe *out)
{
	const struct ddfs_listener nobody = { .log = NULL };
	struct ddfs_source src = { .kind = DDFS_SOURCE_DEVDAX };
	struct stat st;
	bool found;
	int fd;

	if (stat(path, &st) || !S_ISCHR(st.st_mode))
		return false;
	snprintf(src.path, sizeof(src.path), "%s", path);
	src.rdev = st.st_rdev;
	if (ddfs_devdax_describe(&src, &nobody))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		s->denied |= errno == EACCES || errno == EPERM;
		return false;
	}
	found = probe_blocks(fd, &src, out, s->to);
	close(fd);
	return found;
}

static bool is_wanted(const struct scan *s, const struct ddfs_probe *probe)
{
	if (s->label)
		return strcmp(s->label, probe->label) == 0;
	return uuid_compare(s->uuid, probe->uuid) == 0;
}

static int look_at(struct scan *s, struct daxctl_dev *dev)
{
	char path[PATH_MAX];
	struct ddfs_probe probe;

	snprintf(path, sizeof(path), "/dev/%s", daxctl_dev_get_devname(dev));
	if (!probe_device(s, path, &probe) || !is_wanted(s, &probe))
		return 0;
	if (s->path[0]) {
		ddfs_say(s->to, LOG_ERR, "%s is on both %s and %s; name the device instead", s->tag,
			s->path, path);
		return -ENOTUNIQ;
	}
	strcpy(s->path, path);
	return 0;
}

/* libdaxctl lists the devices of NVDIMM namespaces as well as those that are none. */
static int look_everywhere(struct scan *s)
{
	struct daxctl_region *region;
	struct daxctl_dev *dev;
	struct daxctl_ctx *ctx;
	int ret = daxctl_new(&ctx);

	if (ret < 0) {
		ddfs_say(s->to, LOG_ERR, "libdaxctl does not work here: %s", strerror(-ret));
		return ret;
	}
	daxctl_region_foreach(ctx, region)
	{
		daxctl_dev_foreach(region, dev)
		{
			ret = look_at(s, dev);
			if (ret)
				goto out_ctx;
		}
	}
out_ctx:
	daxctl_unref(ctx);
	return ret;
}

static int parse_tag(struct scan *s)
{
	if (strncmp(s->tag, "LABEL=", 6) == 0) {
		s->label = s->tag + 6;
		return 0;
	}
	if (uuid_parse(s->tag + strlen("UUID="), s->uuid)) {
		ddfs_say(s->to, LOG_ERR, "%s is not a UUID", s->tag + strlen("UUID="));
		return -EINVAL;
	}
	return 0;
}

int ddfs_scan_tag(const char *tag, char *path, const struct ddfs_listener *to)
{
	struct scan s = { .tag = tag, .path = path, .to = to };
	int ret = parse_tag(&s);

	path[0] = '\0';
	if (!ret)
		ret = look_everywhere(&s);
	if (ret)
		return ret;
	if (path[0])
		return 0;
	ddfs_say(to, LOG_ERR,
		"no device-dax holds a devdaxfs with %s%s (an image file must be named by its "
		"path)",
		tag, s.denied ? ", but some may not be read by this user" : "");
	return s.denied ? -EACCES : -ENOENT;
}
