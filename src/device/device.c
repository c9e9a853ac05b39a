/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/mkfs.h"
#include "src/device/device.h"
#include "src/device/door.h"
#include "src/device/lock.h"
#include "src/device/map.h"
#include "src/device/mc.h"
#include "src/device/say.h"

struct ddfs_device {
	struct ddfs_source source;
	int fd; /* carries the owner lock */
	bool fd_writable;
	char readonly_reason[PATH_MAX + 64]; /* "": writable */
	struct ddfs_map map;
	struct ddfs_door door;
};

static int check_size(const struct ddfs_source *src, const struct ddfs_listener *to)
{
	if (src->size_bytes >= DDFS_MIN_BYTES)
		return 0;
	ddfs_say(to, LOG_ERR,
		"%s is too small: %" PRIu64 " KiB, and devdaxfs needs at least %" PRIu64 " MiB",
		src->path, src->size_bytes >> 10, DDFS_MIN_BYTES >> 20);
	return -ENOSPC;
}

static int say_open_failed(int err, const struct ddfs_source *src, const struct ddfs_listener *to)
{
	switch (err) {
	case EACCES:
	case EPERM:
		ddfs_say(to, LOG_ERR, "%s: %s; run as root or ask for access to it", src->path,
			strerror(err));
		break;
	case ENXIO:
	case ENODEV:
		ddfs_say(to, LOG_ERR,
			"%s: no driver; enable it with: daxctl enable-device %s (or ndctl "
			"enable-namespace)",
			src->path, src->dax_name);
		break;
	default:
		ddfs_say(to, LOG_ERR, "%s: %s", src->path, strerror(err));
	}
	return -err;
}

/* For writing where that is allowed, even if only reading is asked for: then the lock is
 * exclusive. */
static int open_source(struct ddfs_device *dev, const struct ddfs_listener *to)
{
	const struct ddfs_source *src = &dev->source;
	int err;

	dev->fd = open(src->path, O_RDWR | O_CLOEXEC);
	if (dev->fd >= 0) {
		dev->fd_writable = true;
		return 0;
	}
	err = errno;
	if (err != EACCES && err != EPERM && err != EROFS)
		return say_open_failed(err, src, to);
	snprintf(dev->readonly_reason, sizeof(dev->readonly_reason),
		"%s cannot be opened for writing: %s", src->path, strerror(err));
	dev->fd = open(src->path, O_RDONLY | O_CLOEXEC);
	return dev->fd < 0 ? say_open_failed(errno, src, to) : 0;
}

/* An open file that can only be read: nobody waits for it, and it locks nobody out. */
static int open_to_look(struct ddfs_device *dev, const struct ddfs_listener *to)
{
	dev->fd = open(dev->source.path, O_RDONLY | O_CLOEXEC);
	return dev->fd < 0 ? say_open_failed(errno, &dev->source, to) : 0;
}

static int check_clients(const struct ddfs_device *dev, const struct ddfs_device_options *opt,
	const char *name, const struct ddfs_listener *to)
{
	if (opt->readonly || opt->with_clients || !ddfs_lock_has_clients(dev->fd))
		return 0;
	ddfs_say(to, LOG_ERR,
		"programs that used a mount of %s, which is gone, still have the device mapped: "
		"end them first (fuser -v %s)",
		name, dev->source.path);
	return -EBUSY;
}

static int own(struct ddfs_device *dev, const struct ddfs_device_options *opt, const char *name,
	const struct ddfs_listener *to)
{
	int ret;

	if (opt->look)
		return 0;
	ret = ddfs_lock_owner(dev->fd, dev->fd_writable, opt->no_wait, &dev->source, name, to);
	return ret ? ret : check_clients(dev, opt, name, to);
}

/* Anything the platform forbids first, since a remount could not change that. */
static void settle_readonly(struct ddfs_device *dev, bool wanted, const struct ddfs_listener *to)
{
	char *reason = dev->readonly_reason;

	if (!reason[0] && dev->source.region_readonly)
		snprintf(reason, sizeof(dev->readonly_reason), "%s is set read-only",
			dev->source.region_name);
	if (reason[0] && !wanted)
		ddfs_say(to, LOG_WARNING, "%s: it can only be read", reason);
	if (!reason[0] && wanted)
		strcpy(reason, "opened read-only");
}

static int open_door(
	struct ddfs_device *dev, enum ddfs_persistence persistence, const struct ddfs_listener *to)
{
	int ret = ddfs_mc_init();

	if (ret)
		return ret;
	if (dev->readonly_reason[0])
		ddfs_door_init_readonly(&dev->door, &dev->map, &dev->source);
	else
		ret = ddfs_door_init(&dev->door, dev->fd, &dev->map, &dev->source, persistence, to);
	if (ret)
		ddfs_mc_fini();
	return ret;
}

int ddfs_device_open(
	const char *source, const struct ddfs_device_options *opt, struct ddfs_device **out)
{
	const struct ddfs_listener to = { .log = opt->log, .arg = opt->log_arg };
	struct ddfs_device *dev = calloc(1, sizeof(*dev));
	int ret;

	if (!dev)
		return -ENOMEM;
	ret = ddfs_source_find(source, &dev->source, opt->log, opt->log_arg);
	if (!ret)
		ret = check_size(&dev->source, &to);
	if (!ret)
		ret = opt->look ? open_to_look(dev, &to) : open_source(dev, &to);
	if (ret)
		goto err_dev;
	ret = own(dev, opt, source, &to);
	if (ret)
		goto err_fd;
	settle_readonly(dev, opt->readonly || opt->look, &to);
	ret = ddfs_map_init(&dev->map, dev->fd, &dev->source, &to);
	if (ret)
		goto err_fd;
	ret = open_door(dev, opt->persistence, &to);
	if (ret)
		goto err_map;
	*out = dev;
	return 0;

err_map:
	ddfs_map_fini(&dev->map);
err_fd:
	close(dev->fd);
err_dev:
	free(dev);
	return ret;
}

bool ddfs_device_is_owned(const struct ddfs_device *dev)
{
	return ddfs_lock_has_owner(dev->fd);
}

void ddfs_device_close(struct ddfs_device *dev)
{
	ddfs_door_fini(&dev->door);
	ddfs_mc_fini();
	ddfs_map_fini(&dev->map);
	close(dev->fd);
	free(dev);
}

struct ddfs_media *ddfs_device_media(struct ddfs_device *dev)
{
	return &dev->door.media;
}

struct ddfs_media_stats *ddfs_device_stats(struct ddfs_device *dev)
{
	ddfs_store_sum(&dev->door);
	return &dev->door.media.stats;
}

const struct ddfs_source *ddfs_device_source(const struct ddfs_device *dev)
{
	return &dev->source;
}

int ddfs_device_set_persistence(
	struct ddfs_device *dev, enum ddfs_persistence wanted, ddfs_log_fn log, void *log_arg)
{
	const struct ddfs_listener to = { .log = log, .arg = log_arg };

	return ddfs_switch_policy(&dev->door, &dev->source, wanted, &to);
}

void ddfs_device_set_used(struct ddfs_device *dev, ddfs_device_used_fn fn, void *arg)
{
	dev->door.sw.used = fn;
	dev->door.sw.used_arg = arg;
}

uint32_t ddfs_device_granularity(const struct ddfs_device *dev)
{
	switch (ddfs_door_policy(&dev->door)) {
	case DDFS_POLICY_MEMORY_CONTROLLER:
		return DDFS_IOC_GRANULARITY_CACHE_LINE;
	case DDFS_POLICY_PAGE:
		return DDFS_IOC_GRANULARITY_PAGE;
	default:
		return DDFS_IOC_GRANULARITY_BYTE;
	}
}

bool ddfs_device_take_notice(struct ddfs_device *dev, uint64_t *off, uint64_t *len)
{
	const struct ddfs_media *m = &dev->door.media;
	uintptr_t addr;

	/* In the readable view, whichever the kernel named (ddfs_mc_add_view). What lies elsewhere
	 * is no business of ours. */
	while (ddfs_mc_take_notice(&addr)) {
		uint64_t at = addr - (uintptr_t)m->base;

		if (at >= m->size)
			continue;
		*len = dev->source.kind == DDFS_SOURCE_DEVDAX ? m->align_bytes : 4096;
		*off = at / *len * *len;
		return true;
	}
	return false;
}

bool ddfs_device_clients_alive(const struct ddfs_device *dev, uint32_t epoch)
{
	return ddfs_lock_clients_alive(dev->fd, epoch);
}

const char *ddfs_device_persistence(const struct ddfs_device *dev)
{
	return dev->door.media.readonly ? "read-only"
					: ddfs_policy_description(ddfs_door_policy(&dev->door));
}

const char *ddfs_device_readonly_reason(const struct ddfs_device *dev)
{
	return dev->readonly_reason[0] ? dev->readonly_reason : NULL;
}

int ddfs_device_health(const struct ddfs_device *dev, struct ddfs_device_health *out)
{
	struct ddfs_device_health health = { .unsafe_shutdowns = 0 };
	size_t len = sizeof(health.id);

	if (dev->source.kind != DDFS_SOURCE_DEVDAX)
		return -EOPNOTSUPP;
	if (pmem2_source_device_usc(dev->map.source, &health.unsafe_shutdowns) ||
		pmem2_source_device_id(dev->map.source, health.id, &len) || !health.id[0])
		return -EOPNOTSUPP;
	*out = health;
	return 0;
}
