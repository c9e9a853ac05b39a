/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How stores become durable on a device; decided once, when it opens.
 *
 *	policy			a stored line		a fence
 *	memory_controller	clwb, or streamed	sfence
 *	cpu_cache		nothing: elided		sfence
 *	page			nothing			fdatasync
 *	volatile, none		nothing: elided		sfence
 */
#ifndef DDFS_DEVICE_POLICY_H
#define DDFS_DEVICE_POLICY_H

#include <libpmem2.h>
#include <stdbool.h>

#include "src/device/device.h"

struct ddfs_listener;

enum ddfs_policy {
	DDFS_POLICY_CPU_CACHE,
	DDFS_POLICY_MEMORY_CONTROLLER,
	DDFS_POLICY_PAGE,     /* an image file in the page cache of a disk */
	DDFS_POLICY_VOLATILE, /* an image file that a power loss takes along anyway */
	DDFS_POLICY_NONE,
};

/* What wanted means for src. granularity is what libpmem2 says of its mapping, in_memory whether
 * it is a file that has no disk behind it. Says what the platform leaves unclear. */
enum ddfs_policy ddfs_policy_choose(const struct ddfs_source *src,
	enum pmem2_granularity granularity, bool in_memory, enum ddfs_persistence wanted,
	const struct ddfs_listener *to);

/* "memory_controller, flush: clwb" */
const char *ddfs_policy_description(enum ddfs_policy policy);

#endif
