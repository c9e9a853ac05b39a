/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker is about to do and what was acknowledged, outside of the filesystem.
 *
 * One record before each step and one after it, each a write(2) of its own to a file opened with
 * O_APPEND: whoever is killed, and wherever, what it had said stays. A last record that is not
 * whole was never said.
 */
#ifndef DDFS_TEST_SOAK_JOURNAL_H
#define DDFS_TEST_SOAK_JOURNAL_H

#include "tests/soak/model.h"

struct soak_journal {
	int fd;
};

/* Ends the program where it can't be written. */
void soak_journal_open(struct soak_journal *j, const char *path);
void soak_journal_begin(struct soak_journal *j, const struct soak_step *s);
/* error: 0, or an errno that the step may end with and leaves everything as it was. */
void soak_journal_end(struct soak_journal *j, const struct soak_step *s, int error);

/* Bring the model up to all that was acknowledged; *nr_lacked of its steps found no room. True:
 * *last is a step that was begun and not acknowledged. */
bool soak_journal_replay(
	const char *path, struct soak_model *m, struct soak_step *last, uint64_t *nr_lacked);

#endif
