/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/clean.h"

#include <string.h>

#include "fsck/fsck.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/stage.h"

static void say(void *arg, const char *problem, bool fixed)
{
	(void)arg;
	(void)fixed;
	fprintf(stderr, "fsck: %s\n", problem);
}

void clean_check(struct stage *s, const char *when)
{
	struct ddfs_fsck_options opt = { .mode = DDFS_FSCK_NO, .nr_threads = 1, .say = say };
	struct ddfs_fsck_result r;
	bool was_readonly = s->ram.media.readonly;
	int err;

	s->ram.media.readonly = true;
	err = ddfs_fsck(&s->ram.media, &opt, &r);
	s->ram.media.readonly = was_readonly;
	if (err)
		fuzz_fail("%s: fsck: %s", when, strerror(-err));
	if (r.nr_problems || r.nr_left)
		fuzz_fail("%s: %llu problems", when, (unsigned long long)r.nr_problems);
}
