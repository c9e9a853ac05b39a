/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/check_image.h"

#include <stdio.h>

#include "fs/media.h"
#include "fsck/fsck.h"
#include "src/device/mc.h"

#define SAY_MAX 20

struct report {
	unsigned int flags, nr_said;
};

static void say(void *arg, const char *problem, bool fixed)
{
	struct report *r = arg;

	(void)fixed;
	if (r->nr_said++ < SAY_MAX && !(r->flags & IMAGE_QUIET))
		fprintf(stderr, "image: %s\n", problem);
}

/* All that a check needs of a door. */
static size_t copy_out(struct ddfs_media *m, void *dst, uint64_t off, size_t len)
{
	return ddfs_copy_mc(dst, m->base + off, len);
}

static size_t probe(struct ddfs_media *m, uint64_t off, size_t len)
{
	return ddfs_probe_mc(m->base + off, len);
}

static unsigned int fsck_flags(unsigned int flags)
{
	return (flags & IMAGE_HASH_FAKED ? DDFS_FSCK_HASH_ANY : 0u) |
	       (flags & IMAGE_DAX_ALIGNED ? DDFS_FSCK_DAX_WHOLE : 0u) |
	       (flags & IMAGE_STRAY_PINS ? DDFS_FSCK_STRAY_PINS : 0u);
}

void image_check(const uint8_t *base, uint64_t size, unsigned int flags, struct image_summary *out)
{
	static const struct ddfs_media_ops ops = { .copy_out = copy_out, .probe = probe };
	struct ddfs_media m = { .ops = &ops, .base = base, .size = size, .readonly = true };
	struct report report = { .flags = flags };
	const struct ddfs_fsck_options opt = {
		.mode = DDFS_FSCK_NO,
		.flags = fsck_flags(flags),
		.nr_threads = 1,
		.say = say,
		.arg = &report,
	};
	struct ddfs_fsck_result r;
	int err = ddfs_fsck(&m, &opt, &r);

	/* Not damage, but what only a crash leaves. */
	if (r.nr_lanes_busy && !(flags & IMAGE_LANES_BUSY))
		say(&report, "lanes are not empty", false);
	*out = (struct image_summary){
		.nr_problems = err && !report.nr_said ? 1 : report.nr_said,
		.nr_free = r.nr_free,
		.nr_inodes = r.nr_inodes,
		.nr_orphans = r.nr_orphans,
		.nr_slots = r.nr_slots,
		.clean = r.was_clean,
	};
}
