/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/verify.h"

#include <string.h>

#include "fsck/fsck.h"
#include "tests/crash/memory.h"

struct listener {
	FILE *say;
	struct crash_verdict *verdict;
};

static void hear(void *arg, const char *problem, bool fixed)
{
	struct listener *l = arg;

	(void)fixed;
	if (!l->verdict->nr_problems++)
		snprintf(l->verdict->first, sizeof(l->verdict->first), "%s", problem);
	if (l->say)
		fprintf(l->say, "fsck: %s\n", problem);
}

void crash_verify(struct crash_memory *m, FILE *say, struct crash_verdict *out)
{
	struct listener l = { .say = say, .verdict = out };
	const struct ddfs_fsck_options opt = {
		.mode = DDFS_FSCK_NO,
		.nr_threads = 1,
		.say = hear,
		.arg = &l,
	};
	struct ddfs_fsck_result r = { 0 };
	int err;

	*out = (struct crash_verdict){ 0 };
	err = ddfs_fsck(&m->media, &opt, &r);
	if (err && !out->nr_problems)
		hear(&l, strerror(-err), false);
	if (r.nr_lanes_busy)
		hear(&l, "lanes are not empty", false);
	out->clean = r.was_clean;
	out->nr_orphans = r.nr_orphans;
}
