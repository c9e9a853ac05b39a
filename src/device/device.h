/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device under a filesystem: found, opened, locked and mapped.
 *
 *	struct ddfs_device_options opt = { .log = log, .log_arg = arg };
 *	struct ddfs_device *dev;
 *
 *	ret = ddfs_device_open("/dev/dax0.0", &opt, &dev);
 *	ret = ddfs_fs_open(ddfs_device_media(dev), &fs_opt, &fs);
 *	...
 *	ddfs_device_close(dev);
 */
#ifndef DDFS_DEVICE_DEVICE_H
#define DDFS_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"
#include "fs/media.h"
#include "src/device/source.h"

struct ddfs_device;

/* The persistence= option. */
enum ddfs_persistence {
	DDFS_PERSISTENCE_AUTO, /* as the platform says */
	DDFS_PERSISTENCE_CPU_CACHE,
	DDFS_PERSISTENCE_MEMORY_CONTROLLER,
	DDFS_PERSISTENCE_NONE, /* survives a crash of the process, not of the machine */
};

/* -EINVAL for anything but auto, cpu_cache, memory_controller, none. */
int ddfs_persistence_parse(const char *word, enum ddfs_persistence *out);

struct ddfs_device_options {
	bool readonly; /* never map for writing. A read-only mount that may still recover leaves
			* it false and opens the filesystem read-only. */
	bool look;     /* readonly, and whoever owns it: it may change while it is looked at */
	bool no_wait;  /* -EBUSY at once, also when the owner is about to go */
	/* Clients of an earlier mount may still have it mapped: the caller leaves alone what they
	 * pinned. Else -EBUSY, unless readonly. */
	bool with_clients;
	enum ddfs_persistence persistence;
	ddfs_log_fn log; /* NULL: silent. Gets the sentence behind every failure. */
	void *log_arg;
};

/* Becomes the device's owner and maps it. A device or file that cannot be written opens with
 * media->readonly true, and the log says why. The lock belongs to the open file description: it
 * lives on in a forked child until the last of the processes closes or ends. To be called while
 * the process has one thread: libpmem2 is configured through the environment.
 *
 * An owner that has it mounted: -EBUSY, and the log names its pid and mount point. An owner whose
 * mount is gone but which has not ended yet is waited for, up to a minute.
 *
 * -EBUSY (also: clients, see with_clients), -ENOENT, -ENODEV (not device-dax), -EACCES, -ENOSPC
 * (too small), -ENOMEM, ... */
int ddfs_device_open(
	const char *source, const struct ddfs_device_options *opt, struct ddfs_device **out);

/* Of a device opened with look: whether somebody owns it, as far as that can be told. */
bool ddfs_device_is_owned(const struct ddfs_device *dev);

/* Unmaps and lets the lock go. Flushes nothing: that is ddfs_fs_close's part. */
void ddfs_device_close(struct ddfs_device *dev);

/* What went through the door so far. media->stats of a device itself may be behind. */
struct ddfs_media_stats *ddfs_device_stats(struct ddfs_device *dev);

/* The door; lives as long as dev. */
struct ddfs_media *ddfs_device_media(struct ddfs_device *dev);

const struct ddfs_source *ddfs_device_source(const struct ddfs_device *dev);

/* Change what a persist is while the device is in use; what was stored before is durable by the new
 * one when it returns. One caller at a time. Clients keep what they found when they mapped.
 * -EOPNOTSUPP: an image on a disk is what it is; -EROFS. The log has the sentence. */
int ddfs_device_set_persistence(
	struct ddfs_device *dev, enum ddfs_persistence wanted, ddfs_log_fn log, void *log_arg);

/* Who uses the device tells which parts of it hold something, in bytes, so that a change of what a
 * persist is need not look at the others; fn NULL: not any more. */
typedef void (*ddfs_device_used_fn)(
	void *arg, void (*found)(void *to, uint64_t off, uint64_t len), void *to);
void ddfs_device_set_used(struct ddfs_device *dev, ddfs_device_used_fn fn, void *arg);

/* How far clients that map the device must push a store, as of now: DDFS_IOC_GRANULARITY_*. */
uint32_t ddfs_device_granularity(const struct ddfs_device *dev);

/* Whether a client of the mount with that epoch still has the device mapped. */
bool ddfs_device_clients_alive(const struct ddfs_device *dev, uint32_t epoch);

/* What a persist is here, for a person: "memory_controller, flush: clwb". */
const char *ddfs_device_persistence(const struct ddfs_device *dev);

/* Why media->readonly is true, for a person: "region0 is set read-only". NULL if it is not. */
const char *ddfs_device_readonly_reason(const struct ddfs_device *dev);

/* The kernel tells that some of the memory has gone bad, in bytes of the device: no more than the
 * mapping's unit that it lies in is known. Takes the notice; false: there is none. */
bool ddfs_device_take_notice(struct ddfs_device *dev, uint64_t *off, uint64_t *len);

/* The device's identity, and how often power was lost in a way that may have dropped data.
 * -EOPNOTSUPP where the device has no such thing: image files, CXL, most virtual NVDIMMs. */
struct ddfs_device_health {
	char id[256];
	uint64_t unsafe_shutdowns;
};
int ddfs_device_health(const struct ddfs_device *dev, struct ddfs_device_health *out);

#endif
