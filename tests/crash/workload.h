/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the workloads of each set come from. */
#ifndef DDFS_TEST_CRASH_WORKLOAD_H
#define DDFS_TEST_CRASH_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "tests/crash/crash.h"
#include "tests/unit/rng.h"

/* Texts, whole; NULL ends each. */
extern const char *const workload_singles_names[], *const workload_singles_data[],
							   *const workload_singles_more[];

/* What pairs are made of, behind the preparation that all of them have. */
extern const char workload_stage[];
extern const char *const workload_steps[];
extern const size_t workload_nr_steps;

/* Two at the same time: "create d/c & unlink a", behind a stage of their own; or texts, whole. */
extern const char workload_together_stage[];
extern const char *const workload_together[];
extern const size_t workload_nr_together;

/* A random operation on the stage's names, to out. */
void workload_random_step(struct rng *r, char out[256]);

#endif
