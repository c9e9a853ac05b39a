/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A filesystem that is damaged, repaired, and held against what was in it.
 *
 *	struct healed h;
 *
 *	healed_begin(&h);
 *	... damage h.r.writable
 *	healed_repair(&h);		repaired, checked, repaired again, mounted, used
 *	healed_expect(&h, &lost);	what may be missing or different
 *	healed_mend(&h);		as in the beginning
 *	healed_end(&h);
 */
#ifndef DDFS_TEST_REPAIR_STAGE_H
#define DDFS_TEST_REPAIR_STAGE_H

#include "fsck/fsck.h"
#include "tests/unit/image_stage.h"

#define HEALED_INODES 4096u

/* What a walk of a mounted filesystem finds of an inode. */
struct seen_inode {
	uint64_t hash;	/* of type, mode, owner, content, xattrs; 0: not found */
	uint64_t plain; /* the same without xattrs */
	uint64_t path;	/* a hash of one of its paths, the sum of all of them */
	uint32_t type;	/* S_IFMT */
};

struct healed {
	struct ram r;
	struct ram_ear ear;
	uint8_t *healthy;
	uint8_t dirty[STAGE_SIZE / 4096];
	uint64_t nr_stores;
	struct seen_inode before[HEALED_INODES], after[HEALED_INODES];
	uint64_t nr_used; /* blocks, in the beginning */
	struct ddfs_fsck_result result;
	unsigned int nr_said;
	bool quiet;
};

/* Inodes that the damage may have changed. */
struct harm {
	uint32_t ino[4]; /* 0: none */
	bool paths;	 /* others may have moved to lost+found */
	bool all;	 /* nothing is compared */
};

void healed_begin(struct healed *h);
void healed_end(struct healed *h);
void healed_mend(struct healed *h);

/* The structure from off on is changed; it is mended again by healed_mend. */
void healed_touch(struct healed *h, uint64_t off, size_t len);

/* A run of the checker. */
int healed_fsck(struct healed *h, enum ddfs_fsck_mode mode, struct ddfs_fsck_result *out);

/* Repair; then a check finds nothing, a second repair stores nothing, and it can be mounted, read,
 * and emptied. what: of the damage, for messages. */
void healed_repair(struct healed *h, const char *what);
void healed_expect(const struct healed *h, const struct harm *harm, const char *what);

/* Fills seen[] from what is mounted. */
void healed_look(struct ddfs_fs *fs, struct seen_inode *seen);

#endif
