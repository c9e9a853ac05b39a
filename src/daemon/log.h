/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines for people: to stderr while somebody is there to read it, to syslog otherwise. */
#ifndef DDFS_DAEMON_LOG_H
#define DDFS_DAEMON_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

struct ddfs_log {
	atomic_bool use_stderr;
	bool use_syslog;
	int max_priority;	 /* LOG_DEBUG: everything */
	int max_stderr_priority; /* LOG_WARNING keeps a successful start quiet */
};

/* In the foreground everything goes to stderr; else to syslog, and until ddfs_log_detach errors
 * and warnings to stderr as well. */
void ddfs_log_init(struct ddfs_log *log, bool foreground, bool debug);

/* stderr is not to be written any more. */
void ddfs_log_detach(struct ddfs_log *log);

/* priority as in syslog(3); log may be NULL: stderr. No newline. */
void ddfs_log_printf(struct ddfs_log *log, int priority, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A ddfs_log_fn with the log as its argument. */
void ddfs_log_line(void *log, int priority, const char *line);

#endif
