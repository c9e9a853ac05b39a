/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations as text: each is one call of the filesystem, which is made, and whose result the model
 * tells by itself. Some, for preparations only, are many calls.
 *
 * A path's component may end in "~200": it is filled up to that length. A path "@a" is the inode
 * that "open a" has opened, whatever became of its name.
 */
#ifndef DDFS_TEST_CRASH_OPS_H
#define DDFS_TEST_CRASH_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"

struct crash_op;
struct crash_world;

/* What may be found when the power goes during the operation; see judge.c. */
enum judge_rule {
	JUDGE_WHOLE,  /* before or after */
	JUDGE_PIECES, /* contents of one file, word by word */
};

enum op_flags {
	OP_PREPARES = 1 << 0,	 /* not one call: not behind the bar */
	OP_TAKES_SPACE = 1 << 1, /* may fail with -ENOSPC where the model knows of no space */
	OP_ANY_SIZE = 1 << 2,	 /* JUDGE_PIECES: the size may be anything between */
	OP_SYNCS = 1 << 3,	 /* ends with a deep flush */
	OP_SETS_TIMES = 1 << 4,
};

struct op_kind {
	const char *name;
	/* p, q: path; n: number; o: octal one; w: word; W: a word that may be left out */
	const char *args;
	enum judge_rule rule;
	unsigned int flags;
	/* Makes the call; returns what it returns. */
	int64_t (*call)(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op);
	/* What it should return; does the same to the model. */
	int64_t (*model)(struct crash_world *w, const struct crash_op *op);
};

#define OP_NUMBERS 5

struct crash_op {
	const struct op_kind *kind;
	char *path, *to;
	uint64_t n[OP_NUMBERS];
	char word[64];
	char *text;
	unsigned int nr; /* of the workload's: what it writes depends on it */
};

/* nr: see there. -EINVAL, and says why on stderr. */
int op_parse(const char *text, unsigned int nr, struct crash_op *out);
void op_fini(struct crash_op *op);

/* The kinds, by file; each ends with one without name. */
extern const struct op_kind op_kinds_names[], op_kinds_data[], op_kinds_attrs[], op_kinds_open[];

/* Bytes that no other operation writes there, and neither 0 nor CRASH_STALE. */
void op_pattern(const struct crash_op *op, uint64_t off, uint8_t *dst, size_t len);

#endif
