/* SPDX-License-Identifier: BSD-3-Clause */
/* What was found, and telling it. */
#ifndef DDFS_FSCK_SENTENCES_H
#define DDFS_FSCK_SENTENCES_H

#include <stddef.h>
#include <stdint.h>

#define FSCK_NAME_MAX  60 /* bytes of a name in a sentence */
#define FSCK_NAME_ROOM (FSCK_NAME_MAX * 4 + 4)

struct fsck;

/* For a terminal: what is not plain as octal numbers. Returns out. */
const char *fsck_name_show(const uint8_t *name, size_t len, char out[FSCK_NAME_ROOM]);

/* What was noted in this round since there were nr sentences is to be found anew. */
void fsck_sentences_forget(struct fsck *f, size_t nr);

/* The start is over. What it told, and was not to repair, the first round tells anew. */
void fsck_sentences_started(struct fsck *f);

/* A round of looking is over: those of the one before that are gone are told, as fixed. */
void fsck_sentences_settle(struct fsck *f);

/* This round is followed by another. */
void fsck_sentences_next(struct fsck *f);

/* There is no other round: those of this one stay. Also in the middle of one, if nothing is to be
 * repaired. */
void fsck_sentences_leave(struct fsck *f);

void fsck_sentences_fini(struct fsck *f);

#endif
