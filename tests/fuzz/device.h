/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DDFS_FUZZ_DEVICE_H
#define DDFS_FUZZ_DEVICE_H

#include "src/device/device.h"

struct ddfs_device {
	struct ddfs_media *media;
	struct ddfs_source source;
};

/* Returns dev. */
struct ddfs_device *fuzz_device_init(struct ddfs_device *dev, struct ddfs_media *m);

#endif
