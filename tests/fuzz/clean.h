/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether an image is what FORMAT.md says. */
#ifndef DDFS_FUZZ_CLEAN_H
#define DDFS_FUZZ_CLEAN_H

struct stage;

/* Fails, with the problems, if the checker finds any; stores nothing. when: for the message. */
void clean_check(struct stage *s, const char *when);

#endif
