/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory that many write to at the same time. Nobody knows what must be there, but whatever is
 * there must hold: every name leads to a file or a directory, a file has as many names as links,
 * and holds a beginning of what its first bytes say that it was made of.
 */
#ifndef DDFS_TEST_SOAK_SHARED_H
#define DDFS_TEST_SOAK_SHARED_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Until the filesystem is gone or *stop is set; room may lack if it is full. False: a call failed
 * that must not. */
bool soak_shared_work(const char *dir, uint64_t seed, bool full, const volatile sig_atomic_t *stop);

bool soak_shared_check(const char *dir, FILE *why);

#endif
