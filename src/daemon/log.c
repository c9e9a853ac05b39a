/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#define FUSE_USE_VERSION 314
#include <fuse_log.h>

/* libfuse's own lines; its levels are those of syslog. */
static void log_fuse(enum fuse_log_level level, const char *fmt, va_list ap)
{
	vsyslog((int)level, fmt, ap);
}

void ddfs_log_init(struct ddfs_log *log, bool foreground, bool debug)
{
	atomic_init(&log->use_stderr, true);
	log->use_syslog = !foreground;
	log->max_priority = debug ? LOG_DEBUG : LOG_INFO;
	log->max_stderr_priority = foreground ? LOG_DEBUG : LOG_WARNING;
	if (log->use_syslog)
		openlog("devdaxfs", LOG_PID, LOG_DAEMON);
}

void ddfs_log_detach(struct ddfs_log *log)
{
	atomic_store(&log->use_stderr, false);
	fuse_set_log_func(log_fuse);
}

void ddfs_log_line(void *arg, int priority, const char *line)
{
	struct ddfs_log *log = arg;

	if (log && priority > log->max_priority)
		return;
	if (!log || (atomic_load(&log->use_stderr) && priority <= log->max_stderr_priority))
		fprintf(stderr, "devdaxfs: %s\n", line);
	if (log && log->use_syslog)
		syslog(priority, "%s", line);
}

void ddfs_log_printf(struct ddfs_log *log, int priority, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ddfs_log_line(log, priority, line);
}
