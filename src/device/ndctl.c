/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <ndctl/libndctl.h>
#include <daxctl/libdaxctl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "src/device/ndctl.h"
#include "src/device/source.h"

/* Stops at the first namespace for which match says true. */
typedef bool (*match_fn)(struct ndctl_namespace *ndns, const void *key);

static struct ndctl_namespace *find_in_region(
	struct ndctl_region *region, match_fn match, const void *key)
{
	struct ndctl_namespace *ndns;

	ndctl_namespace_foreach(region, ndns) if (match(ndns, key)) return ndns;
	return NULL;
}

/* Valid until ctx is gone. */
static struct ndctl_namespace *find(struct ndctl_ctx *ctx, match_fn match, const void *key)
{
	struct ndctl_namespace *ndns;
	struct ndctl_region *region;
	struct ndctl_bus *bus;

	ndctl_bus_foreach(ctx, bus)
	{
		ndctl_region_foreach(bus, region)
		{
			ndns = find_in_region(region, match, key);
			if (ndns)
				return ndns;
		}
	}
	return NULL;
}

/* A namespace in devdax mode has exactly one device. */
static const char *dax_name(struct ndctl_namespace *ndns)
{
	struct ndctl_dax *dax = ndctl_namespace_get_dax(ndns);
	struct daxctl_region *region = dax ? ndctl_dax_get_daxctl_region(dax) : NULL;
	struct daxctl_dev *dev = region ? daxctl_dev_get_first(region) : NULL;

	return dev ? daxctl_dev_get_devname(dev) : NULL;
}

/* Each region has one without a size, for the next to be made from. */
static bool has_name(struct ndctl_namespace *ndns, const void *key)
{
	return ndctl_namespace_get_size(ndns) &&
	       strcmp(ndctl_namespace_get_devname(ndns), key) == 0;
}

static bool has_dax(struct ndctl_namespace *ndns, const void *key)
{
	const char *name = dax_name(ndns);

	return name && strcmp(name, key) == 0;
}

static bool has_block(struct ndctl_namespace *ndns, const void *key)
{
	struct ndctl_btt *btt = ndctl_namespace_get_btt(ndns);
	struct ndctl_pfn *pfn = ndctl_namespace_get_pfn(ndns);
	const char *disk;

	if (btt)
		disk = ndctl_btt_get_block_device(btt);
	else if (pfn)
		disk = ndctl_pfn_get_block_device(pfn);
	else
		disk = ndctl_namespace_get_block_device(ndns);
	return disk && strcmp(disk, key) == 0;
}

static const char *mode_name(struct ndctl_namespace *ndns)
{
	switch (ndctl_namespace_get_mode(ndns)) {
	case NDCTL_NS_MODE_FSDAX:
		return "fsdax";
	case NDCTL_NS_MODE_SECTOR:
		return "sector";
	case NDCTL_NS_MODE_RAW:
		return "raw";
	case NDCTL_NS_MODE_DEVDAX:
		return "devdax";
	default:
		return "an unknown";
	}
}

static int namespace_path(struct ndctl_namespace *ndns, char *path, const struct ddfs_listener *to)
{
	const char *name = ndctl_namespace_get_devname(ndns);
	const char *dax = dax_name(ndns);

	if (dax) {
		snprintf(path, PATH_MAX, "/dev/%s", dax);
		return 0;
	}
	/* a disabled one claims to be in raw mode: what it really is shows once enabled */
	if (!ndctl_namespace_is_enabled(ndns))
		ddfs_say(to, LOG_ERR, "%s is disabled; enable it with: ndctl enable-namespace %s",
			name, name);
	else
		ddfs_say(to, LOG_ERR,
			"%s is in %s mode and devdaxfs needs devdax; this changes it and destroys "
			"what it holds: ndctl create-namespace -f -e %s -m devdax",
			name, mode_name(ndns), name);
	return -ENODEV;
}

int ddfs_ndctl_find_namespace(const char *name, char *path, const struct ddfs_listener *to)
{
	struct ndctl_namespace *ndns;
	struct ndctl_ctx *ctx;
	int ret = ndctl_new(&ctx);

	if (ret < 0) {
		ddfs_say(to, LOG_ERR, "libndctl does not work here: %s", strerror(-ret));
		return ret;
	}
	ndns = find(ctx, has_name, name);
	if (ndns) {
		ret = namespace_path(ndns, path, to);
	} else {
		ddfs_say(to, LOG_ERR, "there is no %s; `ndctl list -Ni` shows those there are",
			name);
		ret = -ENOENT;
	}
	ndctl_unref(ctx);
	return ret;
}

static enum ddfs_domain region_domain(struct ndctl_region *region)
{
	switch (ndctl_region_get_persistence_domain(region)) {
	case PERSISTENCE_CPU_CACHE:
		return DDFS_DOMAIN_CPU_CACHE;
	case PERSISTENCE_MEM_CTRL:
		return DDFS_DOMAIN_MEMORY_CONTROLLER;
	case PERSISTENCE_NONE:
		return DDFS_DOMAIN_NONE;
	default:
		return DDFS_DOMAIN_UNKNOWN;
	}
}

void ddfs_ndctl_describe(struct ddfs_source *out)
{
	struct ndctl_namespace *ndns;
	struct ndctl_region *region;
	struct ndctl_ctx *ctx;

	if (ndctl_new(&ctx) < 0)
		return;
	ndns = find(ctx, has_dax, out->dax_name);
	if (ndns) {
		region = ndctl_namespace_get_region(ndns);
		snprintf(out->region_name, sizeof(out->region_name), "%s",
			ndctl_region_get_devname(region));
		snprintf(out->namespace_name, sizeof(out->namespace_name), "%s",
			ndctl_namespace_get_devname(ndns));
		out->region_readonly = ndctl_region_get_ro(region) == 1;
		out->domain = region_domain(region);
	}
	ndctl_unref(ctx);
}

bool ddfs_ndctl_find_block(const char *disk, char *out, size_t size)
{
	struct ndctl_namespace *ndns;
	struct ndctl_ctx *ctx;

	if (ndctl_new(&ctx) < 0)
		return false;
	ndns = find(ctx, has_block, disk);
	if (ndns)
		snprintf(out, size, "%s", ndctl_namespace_get_devname(ndns));
	ndctl_unref(ctx);
	return ndns;
}
