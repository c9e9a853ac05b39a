/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a SOURCE on the command line names.
 *
 *	struct ddfs_source src;
 *
 *	ret = ddfs_source_find("namespace0.0", &src, log, log_arg);
 *	// src.path is "/dev/dax0.0"
 */
#ifndef DDFS_DEVICE_SOURCE_H
#define DDFS_DEVICE_SOURCE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/fs.h"

enum ddfs_source_kind { DDFS_SOURCE_IMAGE, DDFS_SOURCE_DEVDAX };

/* How far a store must travel to survive power loss, as the platform says. */
enum ddfs_domain {
	DDFS_DOMAIN_UNKNOWN,
	DDFS_DOMAIN_NONE, /* the platform promises nothing */
	DDFS_DOMAIN_MEMORY_CONTROLLER,
	DDFS_DOMAIN_CPU_CACHE,
};

struct ddfs_source {
	enum ddfs_source_kind kind;
	char path[PATH_MAX];  /* what to open; absolute, no symbolic links */
	uint64_t size_bytes;  /* usable: a multiple of align_bytes */
	uint64_t align_bytes; /* of a mapping; a power of two, at least 4096 */
	dev_t dev;	      /* (dev, ino) identify an image, rdev a devdax */
	ino_t ino;
	dev_t rdev;

	/* Of a devdax alone, otherwise empty and unknown. */
	char dax_name[32];	 /* "dax0.0" */
	char region_name[32];	 /* "region0"; empty for device-dax that is no NVDIMM */
	char namespace_name[32]; /* "namespace0.0"; empty likewise */
	bool region_readonly;
	enum ddfs_domain domain;
};

/* Finds an image file, /dev/daxX.Y, daxX.Y, namespaceX.Y, UUID=... or LABEL=... (of the
 * filesystem). Nothing stays open. On failure the log gets a sentence that says what to do.
 * -ENOENT, -ENODEV (not device-dax), -EISDIR, -EACCES, -ENOTUNIQ (two devices carry that label),
 * -EINVAL. log may be NULL. */
int ddfs_source_find(const char *name, struct ddfs_source *out, ddfs_log_fn log, void *log_arg);

/* Whether both are the same device or the same file. */
bool ddfs_source_is_same(const struct ddfs_source *a, const struct ddfs_source *b);

#endif
