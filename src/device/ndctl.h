/* SPDX-License-Identifier: BSD-3-Clause */
/* What libndctl knows of a device. Its codes and types end here. */
#ifndef DDFS_DEVICE_NDCTL_H
#define DDFS_DEVICE_NDCTL_H

#include <stdbool.h>

#include "src/device/say.h"

struct ddfs_source;

/* The character device, "/dev/daxX.Y" in path, of a namespace in devdax mode. -ENOENT, -ENODEV
 * (another mode or disabled). */
int ddfs_ndctl_find_namespace(const char *name, char *path, const struct ddfs_listener *to);

/* Fills in region, namespace, read-only state and persistence domain of out->dax_name; leaves
 * them alone if no NVDIMM region has the device. */
void ddfs_ndctl_describe(struct ddfs_source *out);

/* The namespace behind a block device such as "pmem0"; false if there is none. size is that of
 * out. */
bool ddfs_ndctl_find_block(const char *disk, char *out, size_t size);

#endif
