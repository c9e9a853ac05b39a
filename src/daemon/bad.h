/* SPDX-License-Identifier: BSD-3-Clause */
/* Poison that the kernel tells of before anybody has read it. */
#ifndef DDFS_DAEMON_BAD_H
#define DDFS_DAEMON_BAD_H

#include "src/daemon/daemon.h"

/* Ask to be told; for the whole process if it is called before its threads are made. Where the
 * kernel can't, poison is met when it is read. */
int ddfs_bad_listen(void);

/* Takes what was told. To be called when a signal came, and about once a second. */
void ddfs_bad_take(struct ddfs_daemon *d);

#endif
