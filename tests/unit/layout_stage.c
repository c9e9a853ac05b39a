/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/layout_stage.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layout/holder.h"

struct ddfs_pagemaps set;
struct ddfs_layouts *ls;
struct ddfs_layout file, other;
struct ddfs_holder *self, *child;
pid_t child_pid;
struct opened mine, theirs;
unsigned int nr_erased, nr_ended;

static void note_wake(struct ddfs_wait *w, int err)
{
	struct waiter *waiter = (struct waiter *)w;

	waiter->err = err;
	waiter->nr_woken++;
}

static void note_recall(struct ddfs_pin_owner *o, bool pending)
{
	((struct opened *)o)->recalled = pending;
}

static void note_erase(void *arg, struct ddfs_pin *pin)
{
	(void)arg;
	/* The record goes while the pages are still held. */
	for (size_t i = 0; i < pin->nr_runs; i++)
		ck_assert_uint_gt(ddfs_pagemap_count(set.range[0].pm, pin->runs[i].page), 1);
	nr_erased++;
}

static void note_ended(void *arg, struct ddfs_pin *pin)
{
	(void)arg;
	(void)pin;
	nr_ended++;
}

void stage_waiter_init(struct waiter *w)
{
	*w = (struct waiter){ .wait = { .wake = note_wake }, .err = NOT_WOKEN };
}

void stage_setup(void)
{
	const struct ddfs_pagemap_params pages = {
		.nr_pages = NR_PAGES,
		.type = DDFS_MEMORY_HOST,
		.idle = ddfs_layouts_page_idle,
	};
	const struct ddfs_layouts_params params = {
		.pagemaps = &set,
		.lease_time = STAGE_LEASE,
		.lease_expire = DDFS_LEASE_WAIT,
		.erase = note_erase,
		.ended = note_ended,
	};
	struct ddfs_pagemap *pm;

	ck_assert_int_eq(ddfs_pagemap_new(&pages, &pm), 0);
	set.nr = 0;
	ck_assert_int_eq(ddfs_pagemaps_add(&set, pm, 0), 0);
	ck_assert_int_eq(ddfs_layouts_new(&params, &ls), 0);
	ddfs_layout_init(&file, ls, 100);
	ddfs_layout_init(&other, ls, 200);
	ddfs_pin_owner_init(&mine.owner, note_recall);
	ddfs_pin_owner_init(&theirs.owner, note_recall);
	mine.recalled = theirs.recalled = false;
	nr_erased = nr_ended = 0;
	child_pid = fork();
	if (!child_pid)
		for (;;)
			pause();
	ck_assert_int_eq(ddfs_holders_get(ddfs_layouts_holders(ls), getpid(), &self), 0);
	ck_assert_int_eq(ddfs_holders_get(ddfs_layouts_holders(ls), child_pid, &child), 0);
}

void stage_end_child(void)
{
	if (!child_pid)
		return;
	kill(child_pid, SIGKILL);
	waitpid(child_pid, NULL, 0);
	child_pid = 0;
}

void stage_teardown(void)
{
	stage_end_child();
	ck_assert_uint_eq(ddfs_pagemap_busy_page(set.range[0].pm, 0, NR_PAGES), NR_PAGES);
	ddfs_holder_put(self);
	ddfs_holder_put(child);
	ddfs_layout_fini(&file);
	ddfs_layout_fini(&other);
	ddfs_layouts_delete(ls);
	ddfs_pagemap_delete(set.range[0].pm);
}

/* Pin blocks [first, last) of l, which lie on the pages of the same numbers. */
int stage_try_pin(struct ddfs_layout *l, struct opened *o, struct ddfs_holder *h, uint64_t first,
	uint64_t last, struct waiter *w, uint64_t *id)
{
	const struct ddfs_page_run run = { first, first, last - first };
	const struct ddfs_pin_params params = {
		.owner = &o->owner,
		.holder = h,
		.first = first,
		.last = last,
		.mode = DDFS_PIN_MODE_READ,
		.epoch = 1,
		.runs = &run,
		.nr_runs = 1,
	};
	struct ddfs_pin *pin;
	int err = ddfs_pin_admit(l, &o->owner, h, first, last, w ? &w->wait : NULL);

	if (!err)
		err = ddfs_pin_add(l, &params, &pin);
	if (!err)
		*id = pin->id;
	return err;
}

uint64_t stage_pin(struct ddfs_layout *l, struct opened *o, struct ddfs_holder *h, uint64_t first,
	uint64_t last)
{
	uint64_t id;

	ck_assert_int_eq(stage_try_pin(l, o, h, first, last, NULL, &id), 0);
	return id;
}

void stage_unpin(struct opened *o, uint64_t id)
{
	ck_assert_int_eq(ddfs_pin_remove(ls, &o->owner, id), 0);
}

/* What a change does: 0, it may go on. */
int stage_try_break(struct ddfs_layout *l, uint64_t first, uint64_t last, struct waiter *w)
{
	uint64_t end = last < NR_PAGES ? last : NR_PAGES, page;
	int err;

	do {
		page = ddfs_pagemap_busy_page(set.range[0].pm, first, end - first);
		if (page == end)
			return 0;
		err = ddfs_layout_wait(l, first, last, page, w ? &w->wait : NULL);
	} while (err == -EAGAIN);
	return err;
}

int stage_run(const char *name, const struct stage_case *cases, size_t nr)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int nr_failed;

	for (size_t i = 0; i < nr; i++) {
		TCase *tc = tcase_create(cases[i].name);

		tcase_add_checked_fixture(tc, stage_setup, stage_teardown);
		tcase_add_test(tc, cases[i].test);
		suite_add_tcase(suite, tc);
	}
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
