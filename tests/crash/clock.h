/* SPDX-License-Identifier: BSD-3-Clause */
/* Time for those who are linked with --wrap=clock_gettime and the like: it passes by calls. */
#ifndef DDFS_TEST_CRASH_CLOCK_H
#define DDFS_TEST_CRASH_CLOCK_H

/* Seconds since it all began. */
void crash_clock_set(unsigned int sec);

#endif
