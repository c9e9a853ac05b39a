/* SPDX-License-Identifier: BSD-3-Clause */
#include "fsck/check.h"

#include <errno.h>
#include <stdlib.h>

#include "fsck/passes.h"
#include "fsck/sentences.h"
#include "fsck/state.h"
#include "fsck/work.h"

void fsck_check_fini(struct fsck *f)
{
	free((void *)f->claimed);
	free((void *)f->claimed_twice);
	free(f->inode);
	f->claimed = f->claimed_twice = NULL;
	f->inode = NULL;
}

/* Nothing is known: as before the first round. */
static int forget(struct fsck *f)
{
	size_t words = (f->img.nr_blocks + 63) / 64;

	fsck_check_fini(f);
	f->nr_inodes = f->img.nr_slots > DDFS_INO_FIRST ? f->img.nr_slots : DDFS_INO_FIRST;
	f->claimed = calloc(words, sizeof(*f->claimed));
	f->claimed_twice = calloc(words, sizeof(*f->claimed_twice));
	f->inode = calloc(f->nr_inodes, sizeof(*f->inode));
	if (!f->claimed || !f->claimed_twice || !f->inode)
		return -ENOMEM;
	f->clashed = false;
	f->whole = 0;
	return 0;
}

static void forget_counts(struct ddfs_fsck_result *r)
{
	r->nr_files = r->nr_dirs = r->nr_symlinks = r->nr_others = 0;
	r->nr_orphans = r->nr_inodes = r->nr_free = r->nr_fragmented = r->nr_bad = 0;
	r->nr_lanes_busy = 0;
}

/* All that claims blocks. */
static int find_owners(struct fsck *f)
{
	int err = forget(f);

	if (err)
		return err;
	forget_counts(f->out);
	f->pass = 0;
	fsck_check_supers(f);
	f->pass = 1;
	fsck_check_table(f);
	err = fsck_check_slots(f);
	f->pass = 2;
	return err ? err : fsck_check_entries(f);
}

/* If blocks have two owners, who is the first must not depend on which thread was: then all is
 * looked at once more, by one. */
static int find_owners_in_order(struct fsck *f)
{
	size_t nr = f->now.nr;
	int err;

	f->ordered = f->nr_threads == 1;
	err = find_owners(f);
	if (err || f->ordered || !f->clashed)
		return err;
	fsck_sentences_forget(f, nr);
	f->ordered = true;
	err = find_owners(f);
	f->ordered = false;
	return err;
}

static void check_reach(struct fsck *f, uint64_t from, uint64_t to)
{
	(void)from;
	(void)to;
	fsck_check_reach(f);
}

int fsck_check(struct fsck *f)
{
	int err = find_owners_in_order(f);

	if (err)
		return err;
	f->out->nr_slots = f->img.nr_slots;
	f->out->nr_blocks = f->img.nr_blocks;
	if (!f->round)
		f->out->was_clean |= ddfs_le32(f->img.super.state) == DDFS_STATE_CLEAN;
	f->pass = 3;
	err = fsck_work(f, 3, 1, 1, check_reach);
	if (err)
		return err;
	f->pass = 4;
	err = fsck_check_links(f);
	if (err)
		return err;
	f->pass = 5;
	err = fsck_check_space(f);
	if (err)
		return err;
	fsck_check_counts(f);
	fsck_check_pins(f);
	fsck_check_bad(f);
	return atomic_load(&f->err);
}

/* ---- no closer look ------------------------------------------------------------------------- */

static bool add_free(struct fsck *f)
{
	for (uint32_t g = 0; g < ddfs_le32(f->img.super.nr_groups); g++) {
		uint64_t off = DDFS_GROUP_TABLE_OFF + g * sizeof(struct ddfs_group_desc);
		struct ddfs_group_desc d;

		if (ddfs_image_read(&f->img, off, &d, sizeof(d)) ||
			!ddfs_image_sum_holds(&f->img, off, &d, sizeof(d)))
			return false;
		f->out->nr_free += ddfs_le64(d.nr_free);
	}
	return true;
}

bool fsck_check_is_clean(struct fsck *f)
{
	struct ddfs_fsck_result *r = f->out;

	if (ddfs_le32(f->img.super.state) != DDFS_STATE_CLEAN || !fsck_supers_agree(f))
		return false;
	if (!add_free(f)) {
		r->nr_free = 0;
		return false;
	}
	r->nr_slots = f->img.nr_slots;
	r->nr_blocks = f->img.nr_blocks;
	r->nr_inodes = ddfs_le32(f->img.super.nr_used_inodes);
	return true;
}
