/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What keeps the device full: a file "ballast" that takes every block that is free, gives some back
 * and takes them again. A block of it is zero or says what it is, so that one which somebody else
 * had shows.
 */
#ifndef DDFS_TEST_SOAK_FILL_H
#define DDFS_TEST_SOAK_FILL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Says "ready" when nothing is free; until the filesystem is gone or *stop is set. False: a call
 * failed that must not. */
bool soak_fill_work(int root, uint64_t seed, const volatile sig_atomic_t *stop);

/* Whether it holds what it must, if it is there. */
bool soak_fill_check(int root, FILE *why);

#endif
