/* SPDX-License-Identifier: BSD-3-Clause */
/* What failed, told so that it can be done again. */
#ifndef DDFS_TEST_CRASH_REPORT_H
#define DDFS_TEST_CRASH_REPORT_H

#include "tests/crash/jobs.h"

const char *crash_mode_name(enum crash_mode mode);

/* save: and at length to a file in the directory for failures. */
void crash_report_failure(const struct crash_jobs *jobs, const struct crash_failure *f,
	enum crash_mode mode, bool save);
/* The process ended, with that status, as waitpid gives it. */
void crash_report_death(const struct crash_jobs *jobs, const struct crash_workload *w,
	enum crash_mode mode, const struct crash_path *now, int status);

#endif
