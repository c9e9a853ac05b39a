/* SPDX-License-Identifier: BSD-3-Clause */
/* Pass 3: whether the root leads to every directory that has a name. */
#include <sys/stat.h>

#include "fsck/passes.h"
#include "fsck/state.h"

#define TYPE_DIR (S_IFDIR >> 12)

static bool set_flag(struct fsck *f, uint32_t ino, uint16_t flag)
{
	if (fsck_inode_has(f, ino, flag))
		return false;
	f->inode[ino].flags |= flag;
	return true;
}

/* Up from ino, setting flag in all that do not have it; to the first one that has, or that has no
 * name. Returns that one, and how many were set. */
static uint32_t climb(struct fsck *f, uint32_t ino, uint16_t flag, uint32_t *steps)
{
	for (*steps = 0; set_flag(f, ino, flag); ino = f->inode[ino].parent) {
		++*steps;
		if (!f->inode[ino].nr_names)
			break;
	}
	return ino;
}

static bool is_on_way(const struct fsck *f, uint32_t ino, uint32_t steps, uint32_t what)
{
	for (; steps; steps--, ino = f->inode[ino].parent)
		if (ino == what)
			return true;
	return false;
}

/* Of directories that lie in each other. */
static uint32_t least_of_circle(const struct fsck *f, uint32_t ino)
{
	uint32_t least = ino;

	for (uint32_t at = f->inode[ino].parent; at != ino; at = f->inode[at].parent)
		least = at < least ? at : least;
	return least;
}

static void check_dir(struct fsck *f, uint32_t ino)
{
	uint32_t steps, top = climb(f, ino, FSCK_SEEN, &steps);

	if (fsck_inode_has(f, top, FSCK_REACHED)) {
		climb(f, ino, FSCK_REACHED, &steps);
		return;
	}
	/* What has no name is for the next pass to tell. The way met itself, or one that was gone
	 * before. */
	if (!steps || !f->inode[top].nr_names || !is_on_way(f, ino, steps, top))
		return;
	/* Wherever the way met the circle: lost+found gets the least one (is_top). */
	top = least_of_circle(f, top);
	fsck_problem(f, false, "directory %u lies in itself", top);
	fsck_inode_flag(f, top, FSCK_LOST);
}

void fsck_check_reach(struct fsck *f)
{
	f->inode[DDFS_INO_ROOT].flags |= FSCK_SEEN | FSCK_REACHED;
	for (uint32_t ino = DDFS_INO_FIRST; ino < f->img.nr_slots; ino++)
		if (f->inode[ino].type == TYPE_DIR)
			check_dir(f, ino);
}
