/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the device itself knows of poison: its list of bad ranges, and how one is cleared. Offsets
 * are those of the memory that is mapped: libpmem2 leaves out what a namespace keeps for itself
 * before that.
 */
#ifndef DDFS_DEVICE_POISON_H
#define DDFS_DEVICE_POISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pmem2_source;

struct ddfs_device_poison {
	struct pmem2_source *source;
	int image_fd; /* an image, open for writing; else -1 */
};

/* As bad_ranges of struct ddfs_media_ops. Takes milliseconds. */
int ddfs_poison_list(const struct ddfs_device_poison *p,
	void (*found)(void *arg, uint64_t off, uint64_t len), void *arg);

/* As clear_poison of it. An image's pages are exchanged for other ones; on a filesystem that drops
 * a bad page by itself nothing is left to do. */
int ddfs_poison_clear(const struct ddfs_device_poison *p, uint64_t off, size_t len);

#endif
