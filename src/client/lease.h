/* SPDX-License-Identifier: BSD-3-Clause */
/* A lease: a pin of an open file of its own, and the device that its pages are on. */
#ifndef DDFS_CLIENT_LEASE_H
#define DDFS_CLIENT_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "src/client/devdaxfs.h"
#include "src/client/pin.h"

struct ddfs_client_device;

/* What recall.c keeps of a lease; protected by the process's lock. */
struct ddfs_client_callback {
	uint64_t id; /* given with the first, kept; 0: there was none yet */
	void (*fn)(struct ddfs_lease *lease, void *arg); /* NULL: none is set */
	void *arg;
	LIST_ENTRY(ddfs_lease) of_thread;
};

struct ddfs_lease {
	int fd;	       /* of the file; -1 in a forked child */
	int inherited; /* a forked child's copy of fd; else -1 */
	struct ddfs_client_device *device;
	uint32_t granularity; /* DDFS_IOC_GRANULARITY_*: of stores, when it was made */
	struct ddfs_client_pin pin;
	struct ddfs_extent_range *ranges; /* nr_ranges that are pinned, then the bad ones */
	size_t nr_ranges, nr_bad;

	/* protected by the process's lock */
	struct ddfs_client_callback callback;
	LIST_ENTRY(ddfs_lease) of_process;
};

/* As ddfs_lease_new, with further DDFS_IOC_PIN_* in pin_flags. */
int ddfs_client_lease_new(int fd, uint64_t off, uint64_t len, unsigned int flags,
	unsigned int pin_flags, struct ddfs_lease **out);

/* Another pin through the lease's file. */
int ddfs_client_lease_pin(struct ddfs_lease *lease, uint64_t off, uint64_t len, unsigned int flags,
	unsigned int pin_flags, struct ddfs_client_pin *out);
/* The lease is of that pin from now on, and the one that it had ends. On failure pin is still the
 * caller's. */
int ddfs_client_lease_replace(struct ddfs_lease *lease, struct ddfs_client_pin *pin);

/* -ECHILD, with the sentence, in a forked child. */
int ddfs_client_lease_check(const struct ddfs_lease *lease);
/* In a forked child, which can do nothing with the lease but keep it alive. */
void ddfs_client_lease_orphan(struct ddfs_lease *lease);

#endif
