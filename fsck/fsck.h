/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checker: everything that FORMAT.md says, checked, and made so again.
 *
 *	struct ddfs_fsck_options opt = { .mode = DDFS_FSCK_NO, .say = say };
 *	struct ddfs_fsck_result r;
 *
 *	ret = ddfs_fsck(media, &opt, &r);
 *	if (!ret && !r.nr_left)
 *		... it is clean now
 *
 * A check never stores; it may look at an image that is mounted, if nothing changes it meanwhile
 * (mounted read-only, or, in tests, between operations): what committed lanes hold counts as done.
 * A repair wants the device for itself. It keeps all that can be read, and is repeated until a
 * check finds nothing: what a crash leaves of it, the next run repairs.
 *
 * Memory: 2 bits for each block, 16 bytes for each inode, the pin table, the sentences; while a
 * damaged directory or map is made anew, what it holds.
 */
#ifndef DDFS_FSCK_FSCK_H
#define DDFS_FSCK_FSCK_H

#include <stdbool.h>
#include <stdint.h>

struct ddfs_media;

enum ddfs_fsck_mode {
	DDFS_FSCK_NO,	 /* say what is wrong, store nothing */
	DDFS_FSCK_PREEN, /* repair what is safe: what a crash or an old version can leave */
	DDFS_FSCK_YES,	 /* repair everything */
	DDFS_FSCK_ASK,	 /* ask before each kind of repair */
};

enum ddfs_fsck_flags {
	DDFS_FSCK_FORCE = 1 << 0,      /* PREEN: look closely also at what is marked clean */
	DDFS_FSCK_HASH_ANY = 1 << 1,   /* for tests that replace the name hash: do not compare it */
	DDFS_FSCK_STRAY_PINS = 1 << 2, /* for tests: pins of blocks that their file has not */
	DDFS_FSCK_DAX_WHOLE = 1 << 3,  /* for tests: every file has whole, congruent DAX units */
};

struct ddfs_fsck_options {
	enum ddfs_fsck_mode mode;
	unsigned int flags;
	unsigned int nr_threads; /* 0: one for each CPU */
	/* One problem, a sentence without a newline. Of many of a kind all are told, when a round
	 * is over that finds them no more (fixed) or the last one is that did; with ASK at once, as
	 * not fixed. Called by one thread at a time. */
	void (*say)(void *arg, const char *problem, bool fixed);
	/* ASK: may it be repaired? */
	bool (*ask)(void *arg, const char *question);
	/* Pass 1 to 5, and how much of it is done. */
	void (*progress)(void *arg, unsigned int pass, uint64_t done, uint64_t total);
	/* Whether to end as soon as nothing is half done: -EINTR. Any thread. */
	bool (*stop)(void *arg);
	void *arg;
};

struct ddfs_fsck_result {
	uint64_t nr_problems; /* found, in all */
	uint64_t nr_fixed;
	uint64_t nr_left;
	bool was_clean; /* marked cleanly unmounted when it began */
	bool skipped;	/* PREEN of a clean one: only superblocks were looked at */
	bool stored;	/* something, also if it then ended early */
	uint32_t nr_lanes_replayed;
	uint32_t nr_lanes_busy; /* not empty: of a crash, or a mount */
	/* What is there, at the end. */
	uint64_t nr_files, nr_dirs, nr_symlinks, nr_others; /* the root is a directory */
	uint64_t nr_orphans;
	uint64_t nr_inodes; /* in use, but for the fixed ones */
	uint64_t nr_slots;  /* of the inode table */
	uint64_t nr_blocks, nr_free;
	uint64_t nr_fragmented;	 /* files of more than one extent */
	uint64_t nr_bad;	 /* blocks that can't be read */
	uint64_t nr_reconnected; /* to lost+found */
};

/* 0: it ran, and *out says what it found. -EUCLEAN: no superblock was found that it could be
 * checked by; -EFBIG: the device is smaller than it was; -EOPNOTSUPP: another version or an
 * unknown feature; -EROFS: a repair, and the device can't be written; -ENOMEM; -EIO: a store
 * failed; -EINTR: stop said so, and *out says what was done until then. The sentence was told to
 * say. */
int ddfs_fsck(struct ddfs_media *media, const struct ddfs_fsck_options *opt,
	struct ddfs_fsck_result *out);

#endif
