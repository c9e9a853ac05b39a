/* SPDX-License-Identifier: BSD-3-Clause */
/* What the client can be asked for. Each takes its words of the command line, prints a line of
 * JSON for each measurement, and ends the program with a message if anything fails. */
#ifndef DDFS_BENCH_WORKLOAD_H
#define DDFS_BENCH_WORKLOAD_H

#include <stdint.h>

/* FILE MIB: writes all of FILE, so that nothing is allocated later. */
void workload_fill(char **argv);

/* FILE read|write random|sequential BYTES JOBS MSEC: direct I/O, each job by itself. */
void workload_data(char **argv);

/* DIR OP COUNT FIRST: one of names_ops[] on names number FIRST to FIRST + COUNT - 1. */
void workload_names(char **argv);

/* DIR list|stat COUNT PASSES: reads a whole directory, or the attributes of its names number 0 to
 * COUNT - 1, which passes that are not measured have brought into the kernel. */
void workload_cached(char **argv);

/* ROOT COUNT: fences of each kind of operation in a mounted devdaxfs. */
void workload_fences(char **argv);

/* ROOT SMALL NR_SMALL BIG NR_BIG BATCH ROUNDS: operations on random names of two directories by
 * turns, which have names numbered from 0 to NR - 1 before and afterwards. */
void workload_scale(char **argv);

/* ONE MANY COUNT MSEC ROUNDS: makes two files of COUNT blocks at every other block's offset, MANY
 * in COUNT extents and ONE in a single one, and reads random blocks of them by turns. */
void workload_extents(char **argv);

/* FILE BYTES MSEC: pins and unpins random aligned runs of so many bytes, each pair is one sample.
 */
void workload_pin(char **argv);

/* FILE MSEC: two ioctls that nothing is done for, each pair is one sample. */
void workload_ioctl(char **argv);
#define BENCH_IOC_EMPTY _IO('b', 1)

/* FILE COUNT STEP: pins a page at each multiple of STEP bytes, and holds them until its input
 * ends. */
void workload_hold(char **argv);

/* ROOT COUNT: so many truncates of as many files there wait for pins, until its input ends. */
void workload_park(char **argv);

/* DEVICE FILE MSEC ROUNDS: copies to and from a file in one piece, and random lines of it, through
 * a mapping of libdevdaxfs and through one of the device that it lies on, by turns. */
void workload_map(char **argv);

/* FILE THREADS MSEC: each thread appends blocks to FILE.0, FILE.1 ... and syncs each of them. */
void workload_sync(char **argv);

/* ---- shared --------------------------------------------------------------------------------- */

uint64_t number(const char *word);

/* xorshift; *state is not 0. */
uint64_t random_next(uint64_t *state);

#endif
