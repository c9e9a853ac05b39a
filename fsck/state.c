/* SPDX-License-Identifier: BSD-3-Clause */
#include "fsck/state.h"

#include <errno.h>

/* Without knowing these of an inode it is not known which blocks it has. */
#define UNSURE                                                                                     \
	(FSCK_SLOT_BAD | FSCK_MAP_BAD | FSCK_NAMES_BAD | FSCK_XATTR_BAD | FSCK_SHARES |            \
		FSCK_UNREADABLE)

void fsck_inode_flag(struct fsck *f, uint32_t ino, uint16_t flags)
{
	if (flags & UNSURE)
		fsck_whole_flag(f, FSCK_WHOLE_UNSURE);
	if (ino < f->nr_inodes)
		atomic_fetch_or(&f->inode[ino].flags, flags);
}

void fsck_whole_flag(struct fsck *f, unsigned int flags)
{
	atomic_fetch_or(&f->whole, flags);
}

void fsck_fail(struct fsck *f, int err)
{
	int none = 0;

	atomic_compare_exchange_strong(&f->err, &none, err);
}

bool fsck_is_ending(struct fsck *f)
{
	if (atomic_load_explicit(&f->err, memory_order_relaxed))
		return true;
	if (!f->opt->stop || !f->opt->stop(f->opt->arg))
		return false;
	fsck_fail(f, -EINTR);
	return true;
}

bool fsck_may(struct fsck *f, unsigned int kind, const char *question)
{
	uint32_t bit = UINT32_C(1) << kind;

	if (f->opt->mode != DDFS_FSCK_ASK)
		return f->opt->mode != DDFS_FSCK_NO;
	if (!(f->asked & bit) && f->opt->ask && f->opt->ask(f->opt->arg, question))
		f->granted |= bit;
	f->asked |= bit;
	return f->granted & bit;
}
