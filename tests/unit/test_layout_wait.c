/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes that wait for pins, and pins that queue behind changes. */
#include "tests/unit/layout_stage.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "layout/holder.h"

START_TEST(break_waits_until_the_last_pin_goes)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4),
		 b = stage_pin(&file, &theirs, child, 2, 6);
	struct waiter w;

	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 3, UINT64_MAX, &w), -EINPROGRESS);
	ck_assert(mine.recalled && theirs.recalled);
	stage_unpin(&mine, a);
	ck_assert(!mine.recalled);
	/* Page 3 is held by the other one still. */
	ck_assert_uint_eq(w.nr_woken, 0);
	stage_unpin(&theirs, b);
	ck_assert_uint_eq(w.nr_woken, 1);
	ck_assert_int_eq(w.err, 0);
	ck_assert_int_eq(stage_try_break(&file, 3, UINT64_MAX, &w), 0);
	ddfs_wait_end(ls, &w.wait);
	ck_assert_uint_eq(nr_erased, 2);
	ck_assert_uint_eq(nr_ended, 2);
}
END_TEST

START_TEST(break_looks_on_when_its_page_goes_idle)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 1),
		 b = stage_pin(&file, &theirs, child, 8, 9);
	struct waiter w;

	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 0, 16, &w), -EINPROGRESS);
	stage_unpin(&mine, a);
	ck_assert_uint_eq(w.nr_woken, 1);
	ck_assert_int_eq(stage_try_break(&file, 0, 16, &w), -EINPROGRESS);
	stage_unpin(&theirs, b);
	ck_assert_uint_eq(w.nr_woken, 2);
	ck_assert_int_eq(stage_try_break(&file, 0, 16, &w), 0);
	ddfs_wait_end(ls, &w.wait);
}
END_TEST

START_TEST(break_leaves_other_pins_alone)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4),
		 b = stage_pin(&file, &theirs, child, 8, 12);
	struct waiter w;

	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 4, 8, &w), 0);
	ck_assert_int_eq(stage_try_break(&file, 8, 9, &w), -EINPROGRESS);
	ck_assert(!mine.recalled && theirs.recalled);
	stage_unpin(&theirs, b);
	ck_assert_int_eq(w.err, 0);
	ddfs_wait_end(ls, &w.wait);
	stage_unpin(&mine, a);
}
END_TEST

START_TEST(break_of_who_will_not_wait)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4);

	ck_assert_int_eq(stage_try_break(&file, 0, 4, NULL), -EBUSY);
	ck_assert(!mine.recalled);
	stage_unpin(&mine, a);
}
END_TEST

START_TEST(unit_and_page_meet)
{
	uint64_t unit = stage_pin(&file, &mine, self, 0, DDFS_UNIT_PAGES);
	uint64_t page = stage_pin(&file, &theirs, child, 7, 8);
	struct waiter w;

	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 7, 8, &w), -EINPROGRESS);
	stage_unpin(&theirs, page);
	ck_assert_uint_eq(w.nr_woken, 0);
	stage_unpin(&mine, unit);
	ck_assert_uint_eq(w.nr_woken, 1);
	ddfs_wait_end(ls, &w.wait);
}
END_TEST

START_TEST(new_pins_stand_behind_a_break)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4), b;
	struct waiter change, pin, free_pin;

	stage_waiter_init(&change);
	stage_waiter_init(&pin);
	stage_waiter_init(&free_pin);
	ck_assert_int_eq(stage_try_break(&file, 0, 8, &change), -EINPROGRESS);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 6, 10, NULL, &b), -EAGAIN);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 6, 10, &pin, &b), -EINPROGRESS);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 8, 10, &free_pin, &b), 0);
	stage_unpin(&theirs, b);
	stage_unpin(&mine, a);
	/* Woken, but it has not looked yet: it stands all the same. */
	ck_assert_uint_eq(change.nr_woken, 1);
	ck_assert_uint_eq(pin.nr_woken, 0);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 0, 1, NULL, &b), -EAGAIN);
	ddfs_wait_end(ls, &change.wait);
	ck_assert_uint_eq(pin.nr_woken, 1);
	ck_assert_int_eq(pin.err, 0);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 6, 10, &pin, &b), 0);
	stage_unpin(&theirs, b);
}
END_TEST

START_TEST(who_is_recalled_does_not_wait)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4),
		 b = stage_pin(&other, &theirs, child, 16, 20);
	struct waiter on_file, on_other, pin;
	uint64_t id;

	stage_waiter_init(&on_file);
	stage_waiter_init(&on_other);
	stage_waiter_init(&pin);
	/* A circle: each wants what a change keeps it from that waits for the other. */
	ck_assert_int_eq(stage_try_break(&other, 16, 20, &on_other), -EINPROGRESS);
	ck_assert_int_eq(stage_try_pin(&other, &mine, self, 16, 17, &pin, &id), -EINPROGRESS);
	ck_assert_int_eq(stage_try_break(&file, 0, 4, &on_file), -EINPROGRESS);
	ck_assert_uint_eq(pin.nr_woken, 1);
	ck_assert_int_eq(pin.err, -EDEADLK);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 0, 1, &pin, &id), -EDEADLK);
	stage_unpin(&mine, a);
	stage_unpin(&theirs, b);
	ck_assert_int_eq(on_file.err, 0);
	ck_assert_int_eq(on_other.err, 0);
	ddfs_wait_end(ls, &on_file.wait);
	ddfs_wait_end(ls, &on_other.wait);
}
END_TEST

/* A pin of mine, the change that waits for it, and the pin of the same blocks that stands behind
 * that. Returns the first. */
static uint64_t pin_and_queue(struct waiter *change, struct waiter *pin)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4), id;

	stage_waiter_init(change);
	stage_waiter_init(pin);
	ck_assert_int_eq(stage_try_break(&file, 0, 4, change), -EINPROGRESS);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 0, 4, pin, &id), -EINPROGRESS);
	return a;
}

START_TEST(cancel_ends_a_wait_once)
{
	struct waiter change, pin;
	uint64_t a = pin_and_queue(&change, &pin);

	ck_assert(ddfs_wait_cancel(ls, &change.wait, -EINTR));
	ck_assert_int_eq(change.err, -EINTR);
	ck_assert(!ddfs_wait_cancel(ls, &change.wait, -EINTR));
	ck_assert_uint_eq(change.nr_woken, 1);
	/* Nobody asks any more, and who stood behind may come. */
	ck_assert(!mine.recalled);
	ck_assert_uint_eq(pin.nr_woken, 1);
	ck_assert_int_eq(pin.err, 0);
	ddfs_wait_end(ls, &change.wait);
	stage_unpin(&mine, a);
	ck_assert_uint_eq(change.nr_woken, 1);
}
END_TEST

START_TEST(cancel_of_a_queued_pin)
{
	struct waiter change, pin;
	uint64_t a = pin_and_queue(&change, &pin);

	ck_assert(ddfs_wait_cancel(ls, &pin.wait, -EINTR));
	ck_assert_int_eq(pin.err, -EINTR);
	stage_unpin(&mine, a);
	ddfs_wait_end(ls, &change.wait);
	ck_assert_uint_eq(pin.nr_woken, 1);
}
END_TEST

START_TEST(cancel_between_two_waits)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 1), b = stage_pin(&file, &mine, self, 1, 2);
	struct waiter w;

	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 0, 2, &w), -EINPROGRESS);
	stage_unpin(&mine, a);
	ck_assert_uint_eq(w.nr_woken, 1);
	ck_assert(!ddfs_wait_cancel(ls, &w.wait, -EINTR));
	/* The signal comes once: it must not be lost in looking again. */
	ck_assert_int_eq(stage_try_break(&file, 0, 2, &w), -EINTR);
	ddfs_wait_end(ls, &w.wait);
	ck_assert_uint_eq(w.nr_woken, 1);
	ck_assert(!mine.recalled);
	stage_unpin(&mine, b);
}
END_TEST

/* The maker of a pin may be gone, and somebody else have its open file: who shares the file is
 * asked to let go then. */
START_TEST(who_shares_a_recalled_file_does_not_wait)
{
	uint64_t a = stage_pin(&file, &mine, child, 0, 4), id;
	struct waiter change, pin;

	stage_waiter_init(&change);
	stage_waiter_init(&pin);
	ck_assert_int_eq(stage_try_break(&file, 0, 4, &change), -EINPROGRESS);
	ck_assert_int_eq(stage_try_pin(&file, &mine, self, 0, 1, &pin, &id), -EDEADLK);
	stage_unpin(&mine, a);
	ddfs_wait_end(ls, &change.wait);
}
END_TEST

START_TEST(holes_of_a_pin_are_not_recalled)
{
	const struct ddfs_page_run runs[2] = { { 0, 0, 1 }, { 7, 7, 1 } };
	const struct ddfs_pin_params params = {
		.owner = &mine.owner,
		.holder = self,
		.first = 0,
		.last = 8,
		.mode = DDFS_PIN_MODE_READ,
		.epoch = 1,
		.runs = runs,
		.nr_runs = 2,
	};
	uint64_t b = stage_pin(&file, &theirs, child, 3, 4);
	struct ddfs_pin *pin;
	struct waiter w;

	ck_assert_int_eq(ddfs_pin_add(&file, &params, &pin), 0);
	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 2, 5, &w), -EINPROGRESS);
	ck_assert(!mine.recalled && theirs.recalled);
	stage_unpin(&theirs, b);
	ddfs_wait_end(ls, &w.wait);
	ddfs_pin_owner_release(ls, &mine.owner);
}
END_TEST

int main(void)
{
	const struct stage_case cases[] = {
		{ "break_waits_until_the_last_pin_goes", break_waits_until_the_last_pin_goes },
		{ "break_looks_on_when_its_page_goes_idle",
			break_looks_on_when_its_page_goes_idle },
		{ "break_leaves_other_pins_alone", break_leaves_other_pins_alone },
		{ "break_of_who_will_not_wait", break_of_who_will_not_wait },
		{ "unit_and_page_meet", unit_and_page_meet },
		{ "new_pins_stand_behind_a_break", new_pins_stand_behind_a_break },
		{ "who_is_recalled_does_not_wait", who_is_recalled_does_not_wait },
		{ "cancel_ends_a_wait_once", cancel_ends_a_wait_once },
		{ "cancel_of_a_queued_pin", cancel_of_a_queued_pin },
		{ "cancel_between_two_waits", cancel_between_two_waits },
		{ "who_shares_a_recalled_file_does_not_wait",
			who_shares_a_recalled_file_does_not_wait },
		{ "holes_of_a_pin_are_not_recalled", holes_of_a_pin_are_not_recalled },
	};

	return stage_run("layout_wait", cases, sizeof(cases) / sizeof(cases[0]));
}
