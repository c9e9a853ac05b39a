/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of holders ask for again and again. */
#ifndef DDFS_TEST_HOLDER_CHECK_H
#define DDFS_TEST_HOLDER_CHECK_H

#include <check.h>
#include <errno.h>
#include <poll.h>

#include "layout/holder.h"

static inline struct ddfs_holders *holders_new(void)
{
	struct ddfs_holders *hs;

	ck_assert_int_eq(ddfs_holders_new(&hs), 0);
	return hs;
}

static inline struct ddfs_holder *holder_get(struct ddfs_holders *hs, pid_t tid)
{
	struct ddfs_holder *h;

	ck_assert_int_eq(ddfs_holders_get(hs, tid, &h), 0);
	return h;
}

static inline bool some_gone(struct ddfs_holders *hs, int timeout_msec)
{
	struct pollfd p = { .fd = ddfs_holders_fd(hs), .events = POLLIN };

	return poll(&p, 1, timeout_msec) == 1;
}

/* Nothing tells of it, and nothing is to be collected. */
static inline void check_lives(struct ddfs_holders *hs, struct ddfs_holder *h, bool dying)
{
	ck_assert_int_eq(ddfs_holder_is_dying(h), dying);
	ck_assert(!ddfs_holder_is_gone(h));
	ck_assert(!some_gone(hs, 0));
	ck_assert_ptr_null(ddfs_holders_collect(hs));
}

/* It is or gets gone, is collected once, and h, ours, is put. */
static inline void check_goes(struct ddfs_holders *hs, struct ddfs_holder *h)
{
	ck_assert(some_gone(hs, -1));
	ck_assert(ddfs_holder_is_gone(h));
	ck_assert(ddfs_holder_is_dying(h));
	ck_assert_ptr_eq(ddfs_holders_collect(hs), h);
	ck_assert_ptr_null(ddfs_holders_collect(hs));
	ck_assert(!some_gone(hs, 0));
	ddfs_holder_put(h);
	ck_assert_int_eq(ddfs_holder_kill(h), -ESRCH);
	ddfs_holder_put(h);
}

#endif
