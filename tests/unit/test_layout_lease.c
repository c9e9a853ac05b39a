/* SPDX-License-Identifier: BSD-3-Clause */
/* Leases that run out, and the ways in which pins end. */
#include "tests/unit/layout_stage.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "layout/holder.h"

/* ---- leases --------------------------------------------------------------------------------- */

START_TEST(lease_that_waits)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4);
	struct ddfs_pin_info info;
	struct waiter w;

	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 0, 4, &w), -EINPROGRESS);
	ddfs_layouts_tick(ls, INT64_MAX);
	ck_assert_uint_eq(w.nr_woken, 0);
	ck_assert_uint_eq(ddfs_layouts_list(ls, NULL, 0, &info, 1), 1);
	ck_assert(info.recalled && info.expired && !info.lingering);
	ck_assert_uint_eq(info.nr_waiting, 1);
	ck_assert_int_eq(info.pid, getpid());
	ck_assert_uint_eq(info.file, 100);
	stage_unpin(&mine, a);
	ck_assert_int_eq(w.err, 0);
	ddfs_wait_end(ls, &w.wait);
}
END_TEST

START_TEST(lease_that_fails)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4);
	struct timespec now;
	struct waiter w;

	ddfs_layouts_set_lease(ls, STAGE_LEASE, DDFS_LEASE_FAIL);
	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 0, 4, &w), -EINPROGRESS);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ddfs_layouts_tick(ls, now.tv_sec);
	ck_assert_uint_eq(w.nr_woken, 0);
	ddfs_layouts_tick(ls, now.tv_sec + STAGE_LEASE + 1);
	ck_assert_uint_eq(w.nr_woken, 1);
	ck_assert_int_eq(w.err, -EBUSY);
	ck_assert(!mine.recalled);
	/* The next change gives it another lease time. */
	ck_assert_int_eq(stage_try_break(&file, 0, 4, &w), -EINPROGRESS);
	stage_unpin(&mine, a);
	ck_assert_int_eq(w.err, 0);
	ddfs_wait_end(ls, &w.wait);
}
END_TEST

START_TEST(lease_that_ran_out_fails_who_comes_later)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 1), b = stage_pin(&file, &mine, self, 1, 2);
	struct waiter first, second;

	ddfs_layouts_set_lease(ls, STAGE_LEASE, DDFS_LEASE_FAIL);
	stage_waiter_init(&first);
	stage_waiter_init(&second);
	ck_assert_int_eq(stage_try_break(&file, 0, 2, &first), -EINPROGRESS);
	stage_unpin(&mine, a);
	/* It stands, and has not looked again, when the other lease runs out. */
	ddfs_layouts_tick(ls, INT64_MAX);
	ck_assert_int_eq(stage_try_break(&file, 0, 2, &second), -EBUSY);
	ck_assert_int_eq(stage_try_break(&file, 0, 2, &first), -EBUSY);
	ddfs_wait_end(ls, &first.wait);
	ck_assert(!mine.recalled);
	stage_unpin(&mine, b);
}
END_TEST

/* Until the child is wholly gone, and collected. */
static void collect_child(void)
{
	stage_end_child();
	while (!ddfs_holder_is_gone(child))
		sched_yield();
	ddfs_layouts_collect(ls);
}

START_TEST(lease_that_kills)
{
	struct waiter w;
	int status;

	stage_pin(&file, &theirs, child, 0, 4);
	ddfs_layouts_set_lease(ls, STAGE_LEASE, DDFS_LEASE_KILL);
	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 0, 4, &w), -EINPROGRESS);
	ddfs_layouts_tick(ls, INT64_MAX);
	ck_assert_int_eq(waitpid(child_pid, &status, 0), child_pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	child_pid = 0;
	ddfs_pin_owner_release(ls, &theirs.owner);
	ddfs_layouts_collect(ls);
	ck_assert_int_eq(w.err, 0);
	ddfs_wait_end(ls, &w.wait);
}
END_TEST

START_TEST(nobody_kills_himself)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4);
	struct waiter w;

	ddfs_layouts_set_lease(ls, STAGE_LEASE, DDFS_LEASE_KILL);
	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 0, 4, &w), -EINPROGRESS);
	ddfs_layouts_tick(ls, INT64_MAX);
	stage_unpin(&mine, a);
	ddfs_wait_end(ls, &w.wait);
}
END_TEST

/* ---- ends ----------------------------------------------------------------------------------- */

START_TEST(close_ends_pins)
{
	struct waiter w;

	stage_pin(&file, &mine, self, 0, 4);
	stage_pin(&file, &mine, self, 2, 6);
	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 0, 8, &w), -EINPROGRESS);
	ddfs_pin_owner_release(ls, &mine.owner);
	ck_assert_uint_eq(mine.owner.nr_pins, 0);
	ck_assert_int_eq(w.err, 0);
	ck_assert_int_eq(stage_try_break(&file, 0, 8, &w), 0);
	ddfs_wait_end(ls, &w.wait);
}
END_TEST

START_TEST(pins_of_who_is_gone_end_at_the_close)
{
	stage_pin(&file, &theirs, child, 0, 4);
	collect_child();
	/* The file may be open elsewhere still. */
	ck_assert_uint_eq(nr_ended, 0);
	ddfs_pin_owner_release(ls, &theirs.owner);
	ck_assert_uint_eq(nr_ended, 1);
}
END_TEST

START_TEST(ids_are_the_owners_and_never_come_back)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4), b;

	ck_assert_int_eq(ddfs_pin_remove(ls, &theirs.owner, a), -ENOENT);
	stage_unpin(&mine, a);
	ck_assert_int_eq(ddfs_pin_remove(ls, &mine.owner, a), -ENOENT);
	for (int i = 0; i < 200; i++) {
		b = stage_pin(&file, &mine, self, 0, 4);
		ck_assert_uint_ne(a, b);
		stage_unpin(&mine, b);
		a = b;
	}
	ck_assert_int_eq(ddfs_pin_remove(ls, &mine.owner, UINT64_MAX), -ENOENT);
	ck_assert_int_eq(ddfs_pin_remove(ls, &mine.owner, 0), -ENOENT);
}
END_TEST

static bool epoch_is_gone(void *arg, uint32_t epoch)
{
	return epoch == *(const uint32_t *)arg;
}

static void add_earlier(uint32_t epoch, uint64_t block)
{
	const struct ddfs_page_run run = { block, block, 1 };
	const struct ddfs_pin_params params = {
		.first = block,
		.last = block + 1,
		.mode = DDFS_PIN_MODE_WRITE,
		.epoch = epoch,
		.runs = &run,
		.nr_runs = 1,
	};
	struct ddfs_pin *pin;

	ck_assert_int_eq(ddfs_pin_add(&file, &params, &pin), 0);
}

START_TEST(pins_of_earlier_mounts_end_by_epoch)
{
	uint32_t gone = 7;
	struct waiter w;

	add_earlier(7, 0);
	add_earlier(8, 1);
	add_earlier(7, 2);
	stage_waiter_init(&w);
	ck_assert_int_eq(stage_try_break(&file, 0, 8, &w), -EINPROGRESS);
	ck_assert_uint_eq(ddfs_layouts_end_epochs(ls, epoch_is_gone, &gone), 2);
	ck_assert_int_eq(w.err, 0);
	ck_assert_int_eq(stage_try_break(&file, 0, 8, &w), -EINPROGRESS);
	gone = 8;
	ck_assert_uint_eq(ddfs_layouts_end_epochs(ls, epoch_is_gone, &gone), 1);
	ck_assert_int_eq(stage_try_break(&file, 0, 8, &w), 0);
	ddfs_wait_end(ls, &w.wait);
}
END_TEST

/* Killed, and held where it begins to exit. */
static void stop_child_in_exit(void)
{
	int status;

	ck_assert_int_eq(ptrace(PTRACE_SEIZE, child_pid, NULL, PTRACE_O_TRACEEXIT), 0);
	kill(child_pid, SIGKILL);
	ck_assert_int_eq(waitpid(child_pid, &status, __WALL), child_pid);
	ck_assert(WIFSTOPPED(status));
}

static void let_child_end(void)
{
	ptrace(PTRACE_CONT, child_pid, NULL, NULL);
	waitpid(child_pid, NULL, 0);
	child_pid = 0;
}

/* A client of a daemon that crashed dies: its lock on the device goes before all of it is gone. */
START_TEST(pins_of_earlier_mounts_outlive_their_lock)
{
	const struct ddfs_page_run run = { 5, 5, 1 };
	struct ddfs_pin_params params = {
		.first = 5,
		.last = 6,
		.mode = DDFS_PIN_MODE_WRITE,
		.epoch = 7,
		.pid = child_pid,
		.since = time(NULL),
		.runs = &run,
		.nr_runs = 1,
	};
	struct ddfs_pin *pin;
	uint32_t gone = 7;

	/* Who lives and has let go has let go. */
	ck_assert_int_eq(ddfs_pin_add(&file, &params, &pin), 0);
	ck_assert_uint_eq(ddfs_layouts_end_epochs(ls, epoch_is_gone, &gone), 1);
	stop_child_in_exit();
	ck_assert_int_eq(ddfs_pin_add(&file, &params, &pin), 0);
	/* The same number, but another process had it then. */
	params.since -= 3600;
	ck_assert_int_eq(ddfs_pin_add(&file, &params, &pin), 0);
	ck_assert_uint_eq(ddfs_layouts_end_epochs(ls, epoch_is_gone, &gone), 1);
	ck_assert_uint_eq(ddfs_layouts_end_epochs(ls, epoch_is_gone, &gone), 0);
	let_child_end();
	ck_assert_uint_eq(ddfs_layouts_end_epochs(ls, epoch_is_gone, &gone), 1);
}
END_TEST

START_TEST(unmount_recalls_and_gives_up)
{
	uint64_t a = stage_pin(&file, &mine, self, 0, 4), id;
	struct waiter change, pin;

	add_earlier(3, 20);
	stage_waiter_init(&change);
	stage_waiter_init(&pin);
	ck_assert_int_eq(stage_try_break(&file, 0, 2, &change), -EINPROGRESS);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 0, 1, &pin, &id), -EINPROGRESS);
	ck_assert_uint_eq(ddfs_layouts_kill(ls, 10), 2);
	ck_assert(mine.recalled);
	ck_assert_int_eq(pin.err, -ENODEV);
	ck_assert_int_eq(stage_try_pin(&file, &theirs, child, 8, 9, NULL, &id), -ENODEV);
	stage_unpin(&mine, a);
	ck_assert_int_eq(change.err, 0);
	ddfs_wait_end(ls, &change.wait);
	ck_assert_uint_eq(ddfs_layouts_kill(ls, -1), 1);
	nr_erased = 0;
	ddfs_layouts_abandon(ls);
	ck_assert_uint_eq(nr_erased, 0);
	ck_assert_uint_eq(nr_ended, 2);
}
END_TEST

START_TEST(a_count_at_its_limit_undoes_the_pin)
{
	struct ddfs_layouts_stats stats;
	uint64_t id;
	int err = 0;

	for (unsigned int i = 0; i <= DDFS_PAGE_HOLDS_MAX && !err; i++)
		err = stage_try_pin(&file, &mine, self, 0, 2, NULL, &id);
	ck_assert_int_eq(err, -EUSERS);
	ddfs_layouts_stats(ls, &file, &stats);
	ck_assert_uint_eq(stats.nr_pins, DDFS_PAGE_HOLDS_MAX);
	ck_assert_uint_eq(stats.nr_pages, 2 * DDFS_PAGE_HOLDS_MAX);
	ddfs_pin_owner_release(ls, &mine.owner);
	ddfs_layouts_stats(ls, NULL, &stats);
	ck_assert_uint_eq(stats.nr_pins + stats.nr_pages + stats.nr_recalled, 0);
}
END_TEST

int main(void)
{
	const struct stage_case cases[] = {
		{ "lease_that_waits", lease_that_waits },
		{ "lease_that_fails", lease_that_fails },
		{ "lease_that_ran_out_fails_who_comes_later",
			lease_that_ran_out_fails_who_comes_later },
		{ "lease_that_kills", lease_that_kills },
		{ "nobody_kills_himself", nobody_kills_himself },
		{ "close_ends_pins", close_ends_pins },
		{ "pins_of_who_is_gone_end_at_the_close", pins_of_who_is_gone_end_at_the_close },
		{ "ids_are_the_owners_and_never_come_back",
			ids_are_the_owners_and_never_come_back },
		{ "pins_of_earlier_mounts_end_by_epoch", pins_of_earlier_mounts_end_by_epoch },
		{ "pins_of_earlier_mounts_outlive_their_lock",
			pins_of_earlier_mounts_outlive_their_lock },
		{ "unmount_recalls_and_gives_up", unmount_recalls_and_gives_up },
		{ "a_count_at_its_limit_undoes_the_pin", a_count_at_its_limit_undoes_the_pin },
	};

	return stage_run("layout_lease", cases, sizeof(cases) / sizeof(cases[0]));
}
