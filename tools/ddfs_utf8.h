/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of files and programs may be any bytes, JSON may not. */
#ifndef DDFS_TOOLS_DDFS_UTF8_H
#define DDFS_TOOLS_DDFS_UTF8_H

#include <stddef.h>

/* Makes each byte that is no part of a character a '?'; returns how many. */
size_t ddfs_utf8_clean(char *text, size_t len);

#endif
