/* SPDX-License-Identifier: BSD-3-Clause */
/* Extents of a device, one behind the other in memory. */
#ifndef DDFS_CLIENT_VIEW_H
#define DDFS_CLIENT_VIEW_H

#include <stddef.h>

struct ddfs_client_device;
struct ddfs_client_pin;

struct ddfs_client_view {
	char *base;
	size_t len;
};

/* Maps all extents of the pin, which are pages of the device, with mmap(2)'s prot; forked children
 * do not have it. -EOPNOTSUPP: they lie where the device does not let them be mapped; -ENOMEM, ...;
 * with the sentence. */
int ddfs_client_view_new(struct ddfs_client_view *view, const struct ddfs_client_device *device,
	const struct ddfs_client_pin *pin, int prot);
void ddfs_client_view_delete(struct ddfs_client_view *view);

#endif
