/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/fsck_summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "tools/fsck_options.h"

bool fsck_summary_is_modified(const struct fsck_options *o, const struct ddfs_fsck_result *r)
{
	if (o->mode == DDFS_FSCK_NO || r->skipped)
		return false;
	return r->stored || r->nr_fixed || r->nr_lanes_replayed ||
	       (!r->was_clean && r->nr_blocks && !r->nr_left);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_table(const struct ddfs_fsck_result *r)
{
	uint64_t used = r->nr_blocks - r->nr_free;

	printf("\n%12" PRIu64 " inodes used (%.2f%%, out of %" PRIu64 ")\n", r->nr_inodes,
		percent(r->nr_inodes, r->nr_slots), r->nr_slots);
	printf("%12" PRIu64 " non-contiguous files (%.1f%%)\n", r->nr_fragmented,
		percent(r->nr_fragmented, r->nr_files));
	printf("%12" PRIu64 " blocks used (%.2f%%, out of %" PRIu64 ")\n", used,
		percent(used, r->nr_blocks), r->nr_blocks);
	printf("%12" PRIu64 " bad blocks\n\n", r->nr_bad);
	printf("%12" PRIu64 " regular files\n", r->nr_files);
	printf("%12" PRIu64 " directories\n", r->nr_dirs);
	printf("%12" PRIu64 " symbolic links\n", r->nr_symlinks);
	printf("%12" PRIu64 " devices, fifos and sockets\n", r->nr_others);
	printf("------------\n%12" PRIu64 " files\n",
		r->nr_files + r->nr_dirs + r->nr_symlinks + r->nr_others);
	printf("%12" PRIu64 " of them removed, but not freed yet (orphans)\n", r->nr_orphans);
	if (r->nr_reconnected)
		printf("%12" PRIu64 " of them put into lost+found\n", r->nr_reconnected);
}

static void print_counts(const char *name, const struct ddfs_fsck_result *r)
{
	uint64_t used = r->nr_blocks - r->nr_free;

	if (r->skipped)
		printf("%s: clean, %" PRIu64 "/%" PRIu64 " files, %" PRIu64 "/%" PRIu64 " blocks\n",
			name, r->nr_inodes, r->nr_slots, used, r->nr_blocks);
	else
		printf("%s: %" PRIu64 "/%" PRIu64 " files (%.1f%% non-contiguous), %" PRIu64
		       "/%" PRIu64 " blocks\n",
			name, r->nr_inodes, r->nr_slots, percent(r->nr_fragmented, r->nr_files),
			used, r->nr_blocks);
}

/* What a crash, or a mount, has left, which is no damage. */
static void print_state(
	const struct fsck_options *o, const char *name, const struct ddfs_fsck_result *r)
{
	if (r->was_clean || r->skipped)
		return;
	if (o->mode == DDFS_FSCK_NO)
		printf("%s: it is marked as mounted, %" PRIu32
		       " lanes of its log are in use: checked as the next mount will find it\n",
			name, r->nr_lanes_busy);
	else
		printf("%s: it was not cleanly unmounted, %" PRIu32
		       " lanes of its log were replayed\n",
			name, r->nr_lanes_replayed);
}

static const char *advice(enum ddfs_fsck_mode mode)
{
	switch (mode) {
	case DDFS_FSCK_NO:
		return "nothing was changed; fsck.devdaxfs -y repairs it, or asks without -y";
	case DDFS_FSCK_PREEN:
		return "some need a decision; run fsck.devdaxfs without -p or -a";
	case DDFS_FSCK_ASK:
		return "run fsck.devdaxfs again to repair them";
	case DDFS_FSCK_YES:
		break;
	}
	return "run fsck.devdaxfs -y again; if they stay, save what can be read";
}

static void print_left(
	const struct fsck_options *o, const char *name, const struct ddfs_fsck_result *r)
{
	if (!r->nr_left)
		return;
	if (r->nr_left == 1)
		printf("\n%s: ********** 1 PROBLEM IS LEFT **********\n", name);
	else
		printf("\n%s: ********** %" PRIu64 " PROBLEMS ARE LEFT **********\n", name,
			r->nr_left);
	printf("%s: %s\n", name, advice(o->mode));
}

void fsck_summary_print(
	const struct fsck_options *o, const char *name, int err, const struct ddfs_fsck_result *r)
{
	if (err == -EINTR) {
		printf("%s: interrupted%s\n", name,
			fsck_summary_is_modified(o, r) ? ", and changed so far" : "");
		return;
	}
	if (err) {
		printf("%s: it could not be %s\n", name,
			o->mode == DDFS_FSCK_NO ? "checked" : "repaired");
		return;
	}
	print_state(o, name, r);
	if (fsck_summary_is_modified(o, r))
		printf("\n%s: ***** FILE SYSTEM WAS MODIFIED *****\n", name);
	print_left(o, name, r);
	if (o->verbose && !r->skipped)
		print_table(r);
	print_counts(name, r);
}
