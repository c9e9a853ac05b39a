/* SPDX-License-Identifier: BSD-3-Clause */
/* Every change that takes pages away waits for who has them pinned, does nothing before, and is
 * done afterwards; what takes none away does not wait. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/check_image.h"
#include "tests/unit/pin_stage.h"
#include "tests/unit/pin_words.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* Files are of this many blocks, FIRST to LAST of them pinned. */
#define NR_BLOCKS 64u
#define FIRST	  16u
#define LAST	  20u

static struct ddfs_layouts *ls_of(struct pin_stage *s)
{
	return ddfs_fs_layouts(s->fs);
}

/* A file of which each block holds its number. */
static struct ddfs_inode *numbered(struct pin_stage *s, const char *name)
{
	struct ddfs_inode *ip = stage_file(s, name, 0);

	for (unsigned int i = 0; i < NR_BLOCKS; i++)
		ck_assert_int_eq(tree_fill(ip, i * BLK, BLK, (int)i + 1), (ssize_t)BLK);
	return ip;
}

static bool is_numbered(struct ddfs_inode *ip)
{
	for (unsigned int i = 0; i < NR_BLOCKS; i++)
		if (!stage_reads(ip, i * BLK, BLK, (int)i + 1))
			return false;
	return stage_size(ip) == NR_BLOCKS * BLK;
}

/* ---- changes -------------------------------------------------------------------------------- */

struct changing {
	struct pin_stage *s;
	struct ddfs_inode *ip, *source;
	struct ddfs_wait *wait;
	unsigned int first, last; /* blocks to change */
};

static int64_t do_truncate(struct changing *c)
{
	return stage_truncate(c->ip, c->first * BLK, c->wait);
}

static int64_t do_truncate_inside(struct changing *c)
{
	return stage_truncate(c->ip, c->first * BLK - 1000, c->wait);
}

static int64_t do_setattr(struct changing *c)
{
	struct ddfs_attr a = { .size = c->first * BLK, .mode = 0600, .uid = 7 };

	return ddfs_setattr(c->ip, &a, DDFS_SET_SIZE | DDFS_SET_MODE | DDFS_SET_UID, NULL, c->wait);
}

static int64_t do_open(struct changing *c)
{
	int err = ddfs_open(c->ip, O_RDWR | O_TRUNC, false, c->wait);

	if (!err)
		ddfs_release(c->ip);
	return err;
}

static int64_t do_fallocate(struct changing *c, int mode)
{
	return ddfs_fallocate(c->ip, mode, c->first * BLK, (c->last - c->first) * BLK, c->wait);
}

static int64_t do_punch(struct changing *c)
{
	return do_fallocate(c, PUNCH);
}

static int64_t do_zero(struct changing *c)
{
	return do_fallocate(c, FALLOC_FL_ZERO_RANGE);
}

static int64_t do_collapse(struct changing *c)
{
	return do_fallocate(c, FALLOC_FL_COLLAPSE_RANGE);
}

static int64_t do_insert(struct changing *c)
{
	return do_fallocate(c, FALLOC_FL_INSERT_RANGE);
}

static int64_t do_copy(struct changing *c)
{
	uint64_t len = (c->last - c->first) * BLK;
	int64_t n = ddfs_copy_range(
		c->source, (c->first + 1) * BLK, c->ip, c->first * BLK, len, c->wait);

	if (n >= 0)
		ck_assert_int_eq(n, (int64_t)len);
	return n < 0 ? n : 0;
}

static const struct {
	const char *name;
	int64_t (*fn)(struct changing *c);
	bool to_end; /* changes all behind the range too */
} changes[] = {
	{ "truncate", do_truncate, true },
	{ "truncate inside", do_truncate_inside, true },
	{ "setattr", do_setattr, true },
	{ "open", do_open, true },
	{ "punch", do_punch, false },
	{ "zero", do_zero, false },
	{ "collapse", do_collapse, true },
	{ "insert", do_insert, true },
	{ "copy", do_copy, false },
};

/* Which overlap what is pinned, and by how little. */
static const struct {
	unsigned int first, last;
} overlaps[] = { { FIRST, LAST }, { FIRST - 1, FIRST + 1 }, { LAST - 1, LAST + 1 }, { 5, 50 } };

struct breaking {
	struct pin_stage s;
	struct ddfs_inode *ip, *source;
	struct changing c;
	struct pin_waiter w;
	uint64_t id;
};

static void breaking_init(struct breaking *b, unsigned int first, unsigned int last)
{
	stage_init(&b->s, 32 * MIB, BLK, NULL);
	b->ip = numbered(&b->s, "file");
	b->source = numbered(&b->s, "source");
	b->id = stage_pin(&b->s, b->ip, FIRST * BLK, (LAST - FIRST) * BLK, 0);
	pin_waiter_init(&b->w);
	b->c = (struct changing){ &b->s, b->ip, b->source, &b->w.wait, first, last };
}

static void breaking_fini(struct breaking *b)
{
	ddfs_inode_put(b->source);
	ddfs_inode_put(b->ip);
	ck_image(&b->s.ram.media);
	stage_fini(&b->s);
}

START_TEST(waits)
{
	unsigned int how = (unsigned int)_i / NR(overlaps), which = _i % NR(overlaps);
	struct ddfs_attr before, after;
	struct ddfs_pin_args again = { .len = 1, .mode = DDFS_PIN_MODE_READ };
	struct ddfs_pinned out;
	struct breaking b;

	breaking_init(&b, overlaps[which].first, overlaps[which].last);
	again.off = (b.c.first > FIRST ? b.c.first : FIRST) * BLK;
	ddfs_getattr(b.ip, &before);
	b.c.wait = NULL;
	ck_assert_int_eq(changes[how].fn(&b.c), -EBUSY);
	b.c.wait = &b.w.wait;
	ck_assert_int_eq(changes[how].fn(&b.c), -EINPROGRESS);
	ddfs_getattr(b.ip, &after);
	ck_assert_int_eq(memcmp(&before, &after, sizeof(before)), 0);
	ck_assert(is_numbered(b.ip));
	/* Nothing is locked: reading and writing go on. */
	ck_assert_int_eq(tree_fill(b.ip, FIRST * BLK, BLK, FIRST + 1), (ssize_t)BLK);
	ck_assert_uint_eq(b.w.nr_wakes, 0);
	ck_assert(ddfs_pin_owner_is_recalled(ls_of(&b.s), &b.s.owner));
	/* And no new pin comes before it. */
	ck_assert_int_ne(stage_pin_args(&b.s, b.ip, again, &out, NULL, 0), 0);
	stage_unpin(&b.s, b.id);
	ck_assert_uint_eq(b.w.nr_wakes, 1);
	ck_assert_int_eq(b.w.err, 0);
	ck_assert_int_eq(stage_pin_args(&b.s, b.ip, again, &out, NULL, 0), -EAGAIN);
	ck_assert_msg(changes[how].fn(&b.c) == 0, "%s", changes[how].name);
	ddfs_wait_end(ls_of(&b.s), &b.w.wait);
	ck_assert(!is_numbered(b.ip));
	ck_assert_uint_eq(b.w.nr_wakes, 1);
	breaking_fini(&b);
}
END_TEST

/* What does not touch the pinned blocks does not wait. */
static const struct {
	unsigned int change, first, last;
} strangers[] = {
	{ 0, LAST, 0 },
	{ 0, NR_BLOCKS, 0 },
	{ 0, NR_BLOCKS + 5, 0 },
	{ 1, LAST, 0 },
	{ 2, LAST, 0 },
	{ 4, LAST, NR_BLOCKS },
	{ 4, 0, FIRST },
	{ 4, NR_BLOCKS, 2 * NR_BLOCKS },
	{ 5, LAST, NR_BLOCKS },
	{ 5, 0, FIRST },
	{ 6, LAST, LAST + 3 },
	{ 7, LAST, LAST + 3 },
	{ 8, LAST, LAST + 3 },
	{ 8, 1, FIRST },
};

START_TEST(goes_on)
{
	struct breaking b;

	breaking_init(&b, strangers[_i].first, strangers[_i].last);
	ck_assert_int_eq(changes[strangers[_i].change].fn(&b.c), 0);
	ck_assert(!ddfs_pin_owner_is_recalled(ls_of(&b.s), &b.s.owner));
	for (unsigned int i = FIRST; i < LAST; i++)
		ck_assert(stage_reads(b.ip, i * BLK, BLK - (i == LAST - 1 ? 1000 : 0), (int)i + 1));
	/* Nor do edges that are zeroed where they lie, nor what makes it larger. */
	ck_assert_int_eq(ddfs_fallocate(b.ip, PUNCH, FIRST * BLK + 1, BLK - 1, NULL), 0);
	ck_assert_int_eq(ddfs_fallocate(b.ip, FALLOC_FL_ZERO_RANGE, LAST * BLK - 50, 20, NULL), 0);
	ck_assert_int_eq(ddfs_fallocate(b.ip, 0, 0, 100 * BLK, NULL), 0);
	ck_assert_int_eq(tree_fill(b.ip, 0, 100 * BLK, 'w'), (ssize_t)(100 * BLK));
	breaking_fini(&b);
}
END_TEST

/* ---- the wait ------------------------------------------------------------------------------- */

START_TEST(cancelled)
{
	unsigned int how = (unsigned int)_i;
	struct breaking b;

	breaking_init(&b, FIRST, LAST);
	ck_assert_int_eq(changes[how].fn(&b.c), -EINPROGRESS);
	ck_assert(ddfs_wait_cancel(ls_of(&b.s), &b.w.wait, -EINTR));
	ck_assert_uint_eq(b.w.nr_wakes, 1);
	ck_assert_int_eq(b.w.err, -EINTR);
	ck_assert(!ddfs_wait_cancel(ls_of(&b.s), &b.w.wait, -EINTR));
	ddfs_wait_end(ls_of(&b.s), &b.w.wait);
	ck_assert(!ddfs_pin_owner_is_recalled(ls_of(&b.s), &b.s.owner));
	ck_assert(is_numbered(b.ip));
	stage_pin(&b.s, b.ip, 0, 0, 0);
	breaking_fini(&b);
}
END_TEST

/* Three hold parts of it: each is waited for. */
START_TEST(several)
{
	unsigned int how = (unsigned int)_i, rounds = 0;
	struct breaking b;
	uint64_t id[3];

	breaking_init(&b, FIRST, LAST);
	id[0] = b.id;
	id[1] = stage_pin(&b.s, b.ip, (LAST - 1) * BLK, 20 * BLK, 0);
	id[2] = stage_pin(&b.s, b.ip, 0, (FIRST + 1) * BLK, 0);
	while (changes[how].fn(&b.c) == -EINPROGRESS) {
		ck_assert_uint_lt(rounds, 3);
		ck_assert(!is_numbered(b.ip) || b.w.nr_wakes <= rounds);
		while (b.w.nr_wakes == 0)
			stage_unpin(&b.s, id[rounds++]);
		b.w.nr_wakes = 0;
	}
	ck_assert_uint_eq(rounds, 3);
	ddfs_wait_end(ls_of(&b.s), &b.w.wait);
	breaking_fini(&b);
}
END_TEST

/* A pin that queued behind the change gets what the change left. */
START_TEST(queued)
{
	struct ddfs_pin_args args = { .mode = DDFS_PIN_MODE_READ };
	struct ddfs_pin_owner other;
	struct ddfs_pinned out;
	struct pin_waiter q;
	struct breaking b;

	breaking_init(&b, FIRST, LAST);
	pin_waiter_init(&q);
	ddfs_pin_owner_init(&other, NULL);
	args.owner = &other;
	args.holder = b.s.holder;
	ck_assert_int_eq(do_truncate(&b.c), -EINPROGRESS);
	/* Not even that: its holder is asked to let go itself. */
	ck_assert_int_eq(ddfs_pin(b.ip, &args, &q.wait, &out, NULL, 0), -EDEADLK);
	stage_unpin(&b.s, b.id);
	ck_assert_int_eq(ddfs_pin(b.ip, &args, &q.wait, &out, NULL, 0), -EINPROGRESS);
	ck_assert_int_eq(do_truncate(&b.c), 0);
	ck_assert_uint_eq(q.nr_wakes, 0);
	ddfs_wait_end(ls_of(&b.s), &b.w.wait);
	ck_assert_uint_eq(q.nr_wakes, 1);
	ck_assert_int_eq(q.err, 0);
	ck_assert_int_eq(ddfs_pin(b.ip, &args, &q.wait, &out, NULL, 0), 0);
	ck_assert_uint_eq(out.len, FIRST * BLK);
	ddfs_pins_release(b.s.fs, &other);
	breaking_fini(&b);
}
END_TEST

START_TEST(lease_fails)
{
	struct timespec now;
	struct breaking b;

	breaking_init(&b, FIRST, LAST);
	ddfs_layouts_set_lease(ls_of(&b.s), 10, DDFS_LEASE_FAIL);
	ck_assert_int_eq(do_truncate(&b.c), -EINPROGRESS);
	ddfs_pins_tick(b.s.fs);
	ck_assert_uint_eq(b.w.nr_wakes, 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ddfs_layouts_tick(ls_of(&b.s), now.tv_sec + 11);
	ck_assert_uint_eq(b.w.nr_wakes, 1);
	ck_assert_int_eq(b.w.err, -EBUSY);
	ddfs_wait_end(ls_of(&b.s), &b.w.wait);
	ck_assert(is_numbered(b.ip));
	breaking_fini(&b);
}
END_TEST

/* ---- where pages lie ------------------------------------------------------------------------ */

/* Pinned in the last block that a file can have. */
START_TEST(last_block)
{
	struct pin_waiter w;
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t id, end = DDFS_FILE_SIZE_MAX;

	stage_init(&s, 32 * MIB, BLK, NULL);
	ip = stage_file(&s, "file", 0);
	ck_assert_int_eq(tree_fill(ip, end - 100, 100, 'e'), 100);
	id = stage_pin(&s, ip, end - 50, UINT64_MAX, 0);
	pin_waiter_init(&w);
	ck_assert_int_eq(stage_truncate(ip, 0, &w.wait), -EINPROGRESS);
	ck_assert(ddfs_wait_cancel(ls_of(&s), &w.wait, -EINTR));
	ddfs_wait_end(ls_of(&s), &w.wait);
	pin_waiter_init(&w);
	ck_assert_int_eq(ddfs_fallocate(ip, PUNCH, 1, UINT64_MAX - 1, &w.wait), -EINPROGRESS);
	stage_unpin(&s, id);
	ck_assert_uint_eq(w.nr_wakes, 1);
	ck_assert_int_eq(ddfs_fallocate(ip, PUNCH, 1, UINT64_MAX - 1, &w.wait), 0);
	ddfs_wait_end(ls_of(&s), &w.wait);
	ck_assert(stage_reads(ip, end - 100, 100, 0));
	ddfs_inode_put(ip);
	stage_fini(&s);
}
END_TEST

/* A page inside a unit that is held as a whole, and a unit with a page held inside. */
START_TEST(page_and_unit)
{
	struct pin_waiter w;
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t id;

	stage_init(&s, 64 * MIB, UNIT, NULL);
	ip = stage_file(&s, "file", 3 * UNIT);
	pin_waiter_init(&w);
	id = stage_pin(&s, ip, UNIT, UNIT, UNITS);
	ck_assert_int_eq(ddfs_fallocate(ip, PUNCH, UNIT + 77 * BLK, BLK, &w.wait), -EINPROGRESS);
	stage_unpin(&s, id);
	ck_assert_uint_eq(w.nr_wakes, 1);
	ck_assert_int_eq(ddfs_fallocate(ip, PUNCH, UNIT + 77 * BLK, BLK, &w.wait), 0);
	ddfs_wait_end(ls_of(&s), &w.wait);
	id = stage_pin(&s, ip, UNIT + 99 * BLK, BLK, 0);
	ck_assert_int_eq(
		ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 0, UNIT, &w.wait), -EINPROGRESS);
	stage_unpin(&s, id);
	ck_assert_uint_eq(w.nr_wakes, 2);
	ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 0, UNIT, &w.wait), 0);
	ddfs_wait_end(ls_of(&s), &w.wait);
	ddfs_inode_put(ip);
	ck_image_flags(&s.ram.media, IMAGE_DAX_ALIGNED);
	stage_fini(&s);
}
END_TEST

/* What is held behind the end of file, in its last unit, is made unwritten by a truncate. */
START_TEST(behind_end)
{
	struct ddfs_file_extent e;
	uint64_t next;
	struct pin_waiter w;
	struct pin_stage s;
	struct ddfs_inode *ip;
	uint64_t id;

	stage_init(&s, 64 * MIB, UNIT, NULL);
	ip = stage_file(&s, "file", 10 * BLK);
	id = stage_pin(&s, ip, 0, 0, UNITS | FAULT);
	pin_waiter_init(&w);
	/* To be as long as it is takes nothing away. */
	ck_assert_int_eq(stage_truncate(ip, 10 * BLK, &w.wait), 0);
	ck_assert_int_eq(stage_truncate(ip, UNIT, &w.wait), 0);
	ck_assert_int_eq(ddfs_layout_query(ip, 0, 0, false, &e, 1, &next), 1);
	ck_assert(!e.unwritten && e.len == UNIT);
	ck_assert_int_eq(stage_truncate(ip, 10 * BLK - 1, &w.wait), -EINPROGRESS);
	stage_unpin(&s, id);
	ck_assert_int_eq(stage_truncate(ip, 10 * BLK - 1, &w.wait), 0);
	ddfs_wait_end(ls_of(&s), &w.wait);
	ddfs_inode_put(ip);
	ck_image_flags(&s.ram.media, IMAGE_DAX_ALIGNED);
	stage_fini(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "waits", waits, NR(changes) * NR(overlaps) },
		{ "goes on", goes_on, NR(strangers) },
		{ "cancelled", cancelled, NR(changes) },
		{ "several", several, NR(changes) },
		{ "queued", queued, 0 },
		{ "lease fails", lease_fails, 0 },
		{ "last block", last_block, 0 },
		{ "page and unit", page_and_unit, 0 },
		{ "behind end", behind_end, 0 },
	};

	return suite_run("fs_pin_break", cases, sizeof(cases) / sizeof(cases[0]));
}
