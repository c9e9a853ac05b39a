/* SPDX-License-Identifier: BSD-3-Clause */
/* A pin of an open file, and why there is none. */
#ifndef DDFS_CLIENT_PIN_H
#define DDFS_CLIENT_PIN_H

#include <stddef.h>
#include <stdint.h>

#include "src/devdaxfs_ioctl.h"

/* Of extents that are told but not pinned. */
#define DDFS_CLIENT_NO_PAGES                                                                       \
	(DDFS_IOC_EXTENT_HOLE | DDFS_IOC_EXTENT_UNWRITTEN | DDFS_IOC_EXTENT_BAD)

struct ddfs_client_pin {
	uint64_t id;
	uint64_t off, len; /* bytes; as the filesystem widened it */
	size_t nr_extents;
	struct ddfs_ioc_extent *extents; /* the pin's; never NULL; with those that hold no pages */
};

/* What was asked for, with DDFS_IOC_PIN_* for mode and flags. */
struct ddfs_client_pin_params {
	uint64_t off, len;
	unsigned int mode, flags;
	uint32_t epoch;
};

/* What fd is on. -ENOTTY: not on devdaxfs; with the sentence. */
int ddfs_client_info(int fd, struct ddfs_ioc_info *out);

/* -errno as DDFS_IOC_PIN, with the sentence. */
int ddfs_client_pin_new(
	int fd, const struct ddfs_client_pin_params *params, struct ddfs_client_pin *out);
/* Ends it. */
void ddfs_client_pin_delete(int fd, struct ddfs_client_pin *pin);
/* The memory alone. */
void ddfs_client_pin_free(struct ddfs_client_pin *pin);

/* -EBADF, with the sentence, if parts of [off, off + len) have no pages, but for such as holes
 * (DDFS_IOC_EXTENT_*) allows: only a file that is open for writing is given some. */
int ddfs_client_pin_check(
	const struct ddfs_client_pin *pin, uint64_t off, uint64_t len, uint32_t holes);

#endif
