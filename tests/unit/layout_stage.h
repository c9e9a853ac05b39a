/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stage for the rules of layout/layout.h: two files whose blocks lie on the pages of the same
 * numbers, two open files, two processes, and what they are told.
 */
#ifndef DDFS_TEST_LAYOUT_STAGE_H
#define DDFS_TEST_LAYOUT_STAGE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "layout/layout.h"

#define NR_PAGES    (4 * DDFS_UNIT_PAGES)
#define NOT_WOKEN   1  /* no errno is positive */
#define STAGE_LEASE 10 /* seconds */

/* A wait that notes how it was woken. */
struct waiter {
	struct ddfs_wait wait; /* first */
	int err;
	unsigned int nr_woken;
};

/* An open file that notes what it is told. */
struct opened {
	struct ddfs_pin_owner owner; /* first */
	bool recalled;
};

extern struct ddfs_pagemaps set;
extern struct ddfs_layouts *ls;
extern struct ddfs_layout file, other;
extern struct ddfs_holder *self, *child;
extern pid_t child_pid; /* 0: it has ended */
extern struct opened mine, theirs;
extern unsigned int nr_erased, nr_ended; /* callbacks of the layouts */

/* Before and after each test; the latter asserts that no page is held. */
void stage_setup(void);
void stage_teardown(void);
/* Kill the child, and wait for its end. */
void stage_end_child(void);

void stage_waiter_init(struct waiter *w);

/* Pin blocks [first, last) of l. */
int stage_try_pin(struct ddfs_layout *l, struct opened *o, struct ddfs_holder *h, uint64_t first,
	uint64_t last, struct waiter *w, uint64_t *id);
uint64_t stage_pin(struct ddfs_layout *l, struct opened *o, struct ddfs_holder *h, uint64_t first,
	uint64_t last);
void stage_unpin(struct opened *o, uint64_t id);
/* What a change does before it changes anything. 0: it may. */
int stage_try_break(struct ddfs_layout *l, uint64_t first, uint64_t last, struct waiter *w);

struct stage_case {
	const char *name;
	const TTest *test;
};
/* Returns what main returns. */
int stage_run(const char *name, const struct stage_case *cases, size_t nr);

#endif
