/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run of the checker knows, for its passes and its repairs.
 *
 * A run: start (superblocks, lanes), then rounds: all passes look, in parallel and without a store,
 * and note in inode[] what is to be done to each inode; unless only a check is wanted, repair does
 * it, one inode after the other; the next round must find less. The last round finds nothing, or
 * what can't be repaired.
 *
 *	pass 1	inodes, their maps and attributes; claims blocks
 *	pass 1b	blocks claimed twice: whose
 *	pass 2	directories: their entries
 *	pass 3	what leads to the root
 *	pass 4	link counts, orphans
 *	pass 5	bitmaps, counts, pins, bad blocks
 */
#ifndef DDFS_FSCK_STATE_H
#define DDFS_FSCK_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fsck/fsck.h"
#include "image/image.h"

/* What is wrong with an inode, and so what repair does to it. */
enum fsck_inode_flags {
	FSCK_SLOT_BAD = 1 << 0,	 /* not what an inode can be: reseal if plausible, else clear */
	FSCK_MAP_BAD = 1 << 1,	 /* extents: make a new map of those that hold */
	FSCK_NAMES_BAD = 1 << 2, /* directory: make a new tree of the records that hold */
	FSCK_XATTR_BAD = 1 << 3,
	FSCK_COUNT_BAD = 1 << 4,    /* nr_blocks, size of a directory or symlink */
	FSCK_SHARES = 1 << 5,	    /* claims a block that another has claimed before */
	FSCK_LINKS_BAD = 1 << 6,    /* nlink is not the number of names */
	FSCK_PARENT_BAD = 1 << 7,   /* `parent` names another directory than the one it is in */
	FSCK_LOST = 1 << 8,	    /* nothing leads to it: lost+found */
	FSCK_ENTRIES_BAD = 1 << 9,  /* directory: entries lead to nothing, or lie about the type */
	FSCK_ORPHAN = 1 << 10,	    /* the orphan directory has it */
	FSCK_REACHED = 1 << 11,	    /* directory: the root leads to it */
	FSCK_UNREADABLE = 1 << 12,  /* some of its structures can't be read: poison */
	FSCK_NAMED_TWICE = 1 << 13, /* a directory with two names: one is dropped */
	FSCK_BEHIND = 1 << 14,	    /* written blocks behind the end of file; means nothing with
				     * FSCK_ORPHAN */
	FSCK_SEEN = 1 << 15,	    /* of the passes alone */
};

/* What is wrong with the filesystem as a whole. */
enum fsck_whole_flags {
	FSCK_WHOLE_SUPER = 1 << 0,
	FSCK_WHOLE_ROOT = 1 << 1, /* root blocks */
	FSCK_WHOLE_LANE = 1 << 2,
	FSCK_WHOLE_GROUP = 1 << 3, /* group descriptors, but for nr_free */
	FSCK_WHOLE_BITMAP = 1 << 4,
	FSCK_WHOLE_COUNT = 1 << 5, /* nr_free, nr_used_inodes, first_free_inode */
	FSCK_WHOLE_PINS = 1 << 6,
	FSCK_WHOLE_PAGEMAP = 1 << 7,
	FSCK_WHOLE_BAD = 1 << 8, /* the table of bad blocks */
	/* Of some inode it is not known which blocks it has: bitmaps may be right all the same. */
	FSCK_WHOLE_UNSURE = 1 << 9,
};

struct fsck_inode {
	_Atomic uint32_t nr_names;
	_Atomic uint32_t nr_subdirs;
	_Atomic uint32_t parent; /* of a directory: where its name was found */
	_Atomic uint16_t flags;
	uint8_t type; /* S_IFMT >> 12; 0: free, or FSCK_SLOT_BAD */
	_Atomic uint8_t named_as;
};
static_assert(sizeof(struct fsck_inode) == 16, "memory bound");

struct fsck_sentence {
	char *text;
	unsigned int pass;
	bool preen;
};

/* Problems as sentences: those of a round are told when it is known what became of them. */
struct fsck_sentences {
	struct fsck_sentence *s;
	size_t nr, room;
};

struct fsck {
	struct ddfs_media *media;
	const struct ddfs_fsck_options *opt;
	struct ddfs_fsck_result *out;
	unsigned int nr_threads;
	struct ddfs_image img;
	/* A bit a block; _twice: claimed again. Blocks of fixed structures are not claimed. */
	_Atomic uint64_t *claimed, *claimed_twice;
	struct fsck_inode *inode; /* nr_inodes of them */
	uint32_t nr_inodes;	  /* img.nr_slots, but 16 at least */
	_Atomic unsigned int whole;
	atomic_int err;	     /* the first one, -errno: the run ends */
	atomic_bool clashed; /* blocks were claimed twice */
	bool ordered;	     /* claims are made in the order of numbers, by one thread */

	pthread_mutex_t say_lock;     /* of what follows, and of *out during a pass */
	struct fsck_sentences now;    /* of this round */
	struct fsck_sentences before; /* of the one before */
	uint64_t nr_unsafe;	      /* of this round, those that are not preen */
	unsigned int pass, round;
	bool starting; /* before the first round */

	bool marked; /* by repair: on media, as not cleanly unmounted */
	uint32_t asked, granted;
	bool orphans_lost; /* entries of the directory of orphans were */
	bool full;	   /* the last repair wanted a block, and none was free */
};

/* Tell of a problem. preen: one that is safe to repair without asking. Any thread. */
__attribute__((format(printf, 3, 4))) void fsck_problem(
	struct fsck *f, bool preen, const char *fmt, ...);
/* And note what is to be done. Flags of inodes that the table does not have are nobody's. */
void fsck_inode_flag(struct fsck *f, uint32_t ino, uint16_t flags);
void fsck_whole_flag(struct fsck *f, unsigned int flags);
static inline bool fsck_inode_has(const struct fsck *f, uint32_t ino, uint16_t flags)
{
	return f->inode[ino].flags & flags;
}

/* Whether to repair what `question` is about. ASK: asked once a run for each kind, below 32. */
bool fsck_may(struct fsck *f, unsigned int kind, const char *question);

/* Whether the run is to end: the user wants so, or an error. Any thread. */
bool fsck_is_ending(struct fsck *f);
void fsck_fail(struct fsck *f, int err);

/* Claims blocks for an inode; false: some were claimed before. Blocks are valid. Any thread. */
bool fsck_claim(struct fsck *f, uint64_t start, uint64_t len);
bool fsck_is_claimed(const struct fsck *f, uint64_t blk);

#endif
