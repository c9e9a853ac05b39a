/* SPDX-License-Identifier: BSD-3-Clause */
/* What sysfs says of a device-dax character device. */
#ifndef DDFS_DEVICE_DEVDAX_H
#define DDFS_DEVICE_DEVDAX_H

#include <stdbool.h>
#include <sys/types.h>

#include "src/device/say.h"

struct ddfs_source;

/* Whether the character device rdev belongs to the dax bus. */
bool ddfs_devdax_is(dev_t rdev);

/* Fills in name, size and alignment of the device out->rdev. -ENODEV, -EINVAL. */
int ddfs_devdax_describe(struct ddfs_source *out, const struct ddfs_listener *to);

#endif
