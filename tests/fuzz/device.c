/* SPDX-License-Identifier: BSD-3-Clause */
/* src/device/device.h over an image in memory, for the daemon that is fuzzed. */
#include "tests/fuzz/device.h"

#include <errno.h>
#include <string.h>

struct ddfs_device *fuzz_device_init(struct ddfs_device *dev, struct ddfs_media *m)
{
	dev->media = m;
	dev->source = (struct ddfs_source){
		.kind = DDFS_SOURCE_DEVDAX,
		.path = "/dev/null",
		.size_bytes = m->size,
		.align_bytes = m->align_bytes,
	};
	return dev;
}

int ddfs_device_open(
	const char *source, const struct ddfs_device_options *opt, struct ddfs_device **out)
{
	(void)source;
	(void)opt;
	(void)out;
	return -ENODEV;
}

void ddfs_device_close(struct ddfs_device *dev)
{
	(void)dev;
}

struct ddfs_media_stats *ddfs_device_stats(struct ddfs_device *dev)
{
	return &dev->media->stats;
}

struct ddfs_media *ddfs_device_media(struct ddfs_device *dev)
{
	return dev->media;
}

const struct ddfs_source *ddfs_device_source(const struct ddfs_device *dev)
{
	return &dev->source;
}

int ddfs_device_set_persistence(
	struct ddfs_device *dev, enum ddfs_persistence wanted, ddfs_log_fn log, void *log_arg)
{
	(void)dev;
	(void)wanted;
	(void)log;
	(void)log_arg;
	return 0;
}

void ddfs_device_set_used(struct ddfs_device *dev, ddfs_device_used_fn fn, void *arg)
{
	(void)dev;
	(void)fn;
	(void)arg;
}

uint32_t ddfs_device_granularity(const struct ddfs_device *dev)
{
	(void)dev;
	return 0;
}

bool ddfs_device_clients_alive(const struct ddfs_device *dev, uint32_t epoch)
{
	(void)dev;
	(void)epoch;
	return false;
}

const char *ddfs_device_persistence(const struct ddfs_device *dev)
{
	(void)dev;
	return "none";
}

bool ddfs_device_take_notice(struct ddfs_device *dev, uint64_t *off, uint64_t *len)
{
	(void)dev;
	(void)off;
	(void)len;
	return false;
}

int ddfs_device_health(const struct ddfs_device *dev, struct ddfs_device_health *out)
{
	(void)dev;
	(void)out;
	return -EOPNOTSUPP;
}

int ddfs_persistence_parse(const char *word, enum ddfs_persistence *out)
{
	if (strcmp(word, "auto"))
		return -EINVAL;
	*out = DDFS_PERSISTENCE_AUTO;
	return 0;
}
