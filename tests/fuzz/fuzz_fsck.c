/* SPDX-License-Identifier: BSD-3-Clause */
/* Any image: repaired, or refused because it has no superblock; then it is clean, can be used, and
 * is clean still. A check stores nothing. */
#include <errno.h>
#include <string.h>

#include "fsck/fsck.h"
#include "tests/fuzz/clean.h"
#include "tests/fuzz/edit.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/stage.h"
#include "tests/fuzz/use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a run has said, for the message if it was wrong. */
struct said {
	unsigned int nr;
	size_t len;
	char text[65536];
};

static void note(void *arg, const char *problem, bool fixed)
{
	struct said *said = arg;
	size_t room = sizeof(said->text) - said->len;
	int n = snprintf(
		said->text + said->len, room, "\t%s%s\n", fixed ? "(fixed) " : "", problem);

	fuzz_want(*problem);
	said->nr++;
	if (n > 0 && (size_t)n < room)
		said->len += (size_t)n;
}

static int run(
	struct stage *s, enum ddfs_fsck_mode mode, struct said *said, struct ddfs_fsck_result *r)
{
	struct ddfs_fsck_options opt = {
		.mode = mode, .flags = DDFS_FSCK_FORCE, .nr_threads = 1, .say = note, .arg = said
	};
	int err;

	memset(r, 0, sizeof(*r));
	said->nr = 0;
	said->len = 0;
	said->text[0] = '\0';
	s->ram.media.readonly = mode == DDFS_FSCK_NO;
	err = ddfs_fsck(&s->ram.media, &opt, r);
	s->ram.media.readonly = false;
	/* Whatever it does not like it says. */
	fuzz_want(err == 0 || said->nr);
	fuzz_want(!r->nr_problems || said->nr);
	return err;
}

/* What was found is repaired; false: nothing can be, for there is no superblock. */
static bool repair(struct stage *s, unsigned int how)
{
	struct ddfs_fsck_result before, r;
	struct said said;
	int looked = run(s, DDFS_FSCK_NO, &said, &before), err;

	if (how & 1)
		run(s, DDFS_FSCK_PREEN, &said, &r);
	err = run(s, DDFS_FSCK_YES, &said, &r);
	if (err && err != -EUCLEAN && err != -EFBIG && err != -EOPNOTSUPP)
		fuzz_fail("fsck: %s; said:\n%s", strerror(-err), said.text);
	if (err)
		return false;
	if (r.nr_left)
		fuzz_fail("fsck left %llu problems; said:\n%s", (unsigned long long)r.nr_left,
			said.text);
	/* A check finds what a repair finds. */
	fuzz_want(how & 1 || looked || !before.nr_problems || r.nr_problems);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct stage *s = stage_get(input_8(&in));
	unsigned int how = input_8(&in);
	struct ddfs_fs_options opt = use_options(how & ~7u);
	int err;

	opt.clients_alive = NULL; /* who repairs has the device alone */
	edit_image(s, &in);
	if (repair(s, how)) {
		clean_check(s, "repaired");
		err = use_image(s, &opt);
		if (err)
			fuzz_fail("repaired, and can't be mounted: %s", strerror(-err));
		clean_check(s, "used");
	}
	stage_mend(s);
	return 0;
}
