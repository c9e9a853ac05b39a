/* SPDX-License-Identifier: BSD-3-Clause */
/* The sentence that ddfs_errormsg gives. */
#ifndef DDFS_CLIENT_ERROR_H
#define DDFS_CLIENT_ERROR_H

/* Keeps the sentence for this thread and returns ret, -errno. */
int ddfs_client_error(int ret, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
