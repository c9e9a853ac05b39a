/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this process has open through the library, and what becomes of it in a forked child: copies
 * of the descriptors, which are good for nothing but keeping the pins. A child has the descriptors
 * of devices too, and with them what the pages were registered with: when its parent is killed, a
 * NIC goes on writing to them until the child, too, has closed its copy, by exec or by ending.
 *
 * The lock is held over every step between opening a descriptor and entering it here, and by fork:
 * a child finds each descriptor entered. It is never held over a call that waits for somebody's
 * lease.
 */
#ifndef DDFS_CLIENT_PROCESS_H
#define DDFS_CLIENT_PROCESS_H

#include <sys/queue.h>

struct ddfs_client_device;
struct ddfs_lease;

/* protected by the lock */
struct ddfs_client_process {
	LIST_HEAD(, ddfs_lease) leases;
	LIST_HEAD(, ddfs_client_device) devices;
};

/* 0, or -ENOMEM with the sentence: to be called before anything is entered. */
int ddfs_client_process_init(void);

struct ddfs_client_process *ddfs_client_process_lock(void);
void ddfs_client_process_unlock(void);
/* With the lock held, which is dropped meanwhile: until somebody wakes. */
void ddfs_client_process_wait(void);
void ddfs_client_process_wake(void);

#endif
