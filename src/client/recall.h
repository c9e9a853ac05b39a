/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that calls back when a lease is recalled. It is there as long as a lease has a
 * callback.
 */
#ifndef DDFS_CLIENT_RECALL_H
#define DDFS_CLIENT_RECALL_H

/* In a forked child, where that thread is not. With the process's lock held. */
void ddfs_client_recall_orphan(void);

#endif
