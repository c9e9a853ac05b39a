/* SPDX-License-Identifier: BSD-3-Clause */
/* Sentences for a person, on their way to whoever listens. */
#ifndef DDFS_DEVICE_SAY_H
#define DDFS_DEVICE_SAY_H

#include "fs/fs.h"

struct ddfs_listener {
	ddfs_log_fn log; /* NULL: nobody */
	void *arg;
};

/* One line, no newline; priority as in syslog(3). */
void ddfs_say(const struct ddfs_listener *to, int priority, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
