/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "src/device/say.h"

void ddfs_say(const struct ddfs_listener *to, int priority, const char *fmt, ...)
{
	char line[8192]; /* room for two paths */
	va_list ap;

	if (!to->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	to->log(to->arg, priority, line);
}
