/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "src/client/devdaxfs.h"
#include "src/client/error.h"

/* Longer than any sentence with a path in it that people have; longer ones are cut. */
static _Thread_local char message[1024];

int ddfs_client_error(int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return ret;
}

const char *ddfs_errormsg(void)
{
	return message;
}
