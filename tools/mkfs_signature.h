/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device holds before a filesystem is made on it. */
#ifndef DDFS_TOOLS_MKFS_SIGNATURE_H
#define DDFS_TOOLS_MKFS_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

struct ddfs_device;

struct mkfs_signature {
	char text[256];	   /* "an ext4 filesystem (label "x")"; "" if there is nothing known */
	bool unreadable;   /* some of where it could be is poisoned */
	uint64_t off, len; /* of the magic bytes; len 0 if they are not known */
};

/* 0 or -errno. */
int mkfs_signature_find(struct ddfs_device *dev, struct mkfs_signature *out);

/* Wipes the magic bytes of everything that is found, so that nobody takes the device for what it
 * was. */
int mkfs_signature_wipe(struct ddfs_device *dev);

#endif
