/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a power cut can leave.
 *
 * A cut is made of the stores that are not yet durable, in order, and of what is. Flushed: lines of
 * 64 bytes go to media one by one, whenever the cache likes, so each may be there as any of the
 * stores to it has left it, whatever others are; and of a line only some words of 8 bytes may be
 * there, for streaming stores of one line are not ordered, but no part of a word.
 *
 * That holds also for a moment in the middle of these stores: what of the later ones is not made
 * yet is as if it was lost. So a cut is wanted only where stores become durable (a fence), and
 * where what is allowed changes (an operation ends). Whose stores a fence makes durable is told in
 * pending.h.
 *
 * In order (CRASH_IN_ORDER): the caches survive, or only the process dies; then what is there is
 * the stores up to some moment, and one of them up to some word. A cut is wanted at each store.
 */
#ifndef DDFS_TEST_CRASH_STATES_H
#define DDFS_TEST_CRASH_STATES_H

#include <stdio.h>

#include "tests/crash/log.h"
#include "tests/crash/memory.h"
#include "tests/crash/pending.h"

enum crash_mode { CRASH_FLUSHED, CRASH_IN_ORDER };

#define CRASH_LINE  64u
#define CRASH_WORDS 8u /* of a line */

struct crash_line {
	uint64_t off;
	size_t first; /* image: version 0, what is durable; then nr others, each other than the last
		       */
	uint32_t nr;
};

/* How the states of a cut are counted. */
enum crash_scheme {
	CRASH_PREFIXES,	     /* n words of the store, for each n from 0 on */
	CRASH_SOME_PREFIXES, /* none, all, and some between */
	CRASH_ALL_WORDS,     /* each version of each word with each of the others */
	CRASH_ALL_LINES,     /* the same of lines; then as below */
	CRASH_EXTREMES,	     /* none, all, each line alone, all but each; then as below */
	/* Below: each word alone, all but each; then lines at random, some of them torn. Of lines
	 * and words, where they are too many, those that stores begin with, and some others. */
};

struct crash_word {
	size_t line;
	unsigned int word;
};

struct crash_cut {
	enum crash_scheme scheme;
	uint64_t seed;
	uint64_t nr_states;
	uint64_t nr_whole; /* ALL_LINES, EXTREMES: states before those of words, */
	uint64_t nr_ruled; /* and before those at random */
	uint32_t nr_each;  /* EXTREMES: lines that are tried alone, and left out */
	uint64_t nr_words; /* that change */
	struct crash_line *lines;
	size_t nr_lines, lines_cap;
	struct crash_word *words; /* that are tried alone, and left out */
	size_t nr_tried, words_cap;
	uint64_t (*images)[CRASH_WORDS];
	size_t nr_images, images_cap;
	struct crash_piece *pieces; /* scratch memory of build */
	size_t nr_pieces, pieces_cap;
};

void crash_cut_init(struct crash_cut *c);
void crash_cut_fini(struct crash_cut *c);

/* Of what is not durable yet, in the order of log; IN_ORDER: one store at most. durable is what
 * they were made to. About budget states; the same for equal arguments. */
void crash_cut_build(struct crash_cut *c, enum crash_mode mode, const struct crash_log *log,
	const struct crash_pending *pending, const struct crash_memory *durable, uint32_t budget,
	uint64_t seed);

/* m, which is equal to what is durable, becomes state i of nr_states. */
void crash_cut_apply(const struct crash_cut *c, uint64_t i, struct crash_memory *m);

/* Which lines are there, and which not. */
void crash_cut_print(FILE *out, const struct crash_cut *c, uint64_t i);

#endif
