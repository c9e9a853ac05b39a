/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking for a filesystem on every devdax there is. */
#ifndef DDFS_DEVICE_SCAN_H
#define DDFS_DEVICE_SCAN_H

#include "src/device/say.h"

/* The device, "/dev/daxX.Y" in path, whose filesystem carries tag: "UUID=..." or "LABEL=...".
 * -ENOENT, -ENOTUNIQ, -EINVAL (no UUID). */
int ddfs_scan_tag(const char *tag, char *path, const struct ddfs_listener *to);

#endif
