/* SPDX-License-Identifier: BSD-3-Clause */
/* The judge: what it must refuse, and what it must not. Each case runs a workload, takes what was
 * there before and after its last operation, and shows the judge something made of those. */
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/judge_stage.h"
#include "tests/unit/suite.h"

/* ---- what is found -------------------------------------------------------------------------- */

static void nothing(struct stage *s)
{
	(void)s;
}

static void both_names(struct stage *s)
{
	snap_add(s->found, "a", snap_find(s->found, "b"));
}

static void no_name(struct stage *s)
{
	snap_remove(s->found, "a");
}

static void another_link_count(struct stage *s)
{
	stage_own(s, "a")->nlink++;
}

static void another_inode(struct stage *s)
{
	stage_own(s, "a")->id++;
}

static void lost_xattr(struct stage *s)
{
	ck_assert(snap_node_remove_xattr(stage_own(s, "other"), "user.k"));
}

static void wrong_xattr(struct stage *s)
{
	snap_node_set_xattr(stage_own(s, "other"), "user.k", "x", 1);
}

static void another_file(struct stage *s)
{
	stage_put_byte(s, "other", 4097, 1);
}

static void another_mode(struct stage *s)
{
	stage_own(s, "other")->mode ^= 1;
}

static void another_size(struct stage *s)
{
	stage_own(s, "other")->size++;
}

static void another_space(struct stage *s)
{
	stage_own(s, "other")->blocks += 8;
}

static void another_target(struct stage *s)
{
	stage_own(s, "s")->target[0]++;
}

static void another_time(struct stage *s)
{
	stage_own(s, "other")->time[SNAP_MTIME]++;
}

static void new_file(struct stage *s)
{
	struct snap_node *n = snap_node_new(S_IFREG | 0644);

	n->nlink = 1;
	snap_add(s->found, "new", n);
	snap_node_put(n);
}

static void last_file(struct stage *s)
{
	snap_add(s->found, "zz", snap_find(s->found, "other"));
}

static void no_last_file(struct stage *s)
{
	snap_remove(s->found, "s");
}

static void split_link(struct stage *s)
{
	struct snap_node *n = snap_node_clone(snap_find(s->found, "l"));

	snap_remove(s->found, "l");
	snap_add(s->found, "l", n);
	snap_node_put(n);
}

static void first_word_new(struct stage *s)
{
	stage_put_part(s, "a", s->after, 0, 8);
}

static void later_words_new(struct stage *s)
{
	stage_put_part(s, "a", s->after, 64, 1000 - 64);
}

static void torn_word(struct stage *s)
{
	stage_put_part(s, "a", s->after, 8, 4);
}

static void a_byte_off(struct stage *s)
{
	stage_put_byte(s, "a", 17, 0x11);
}

static void outside(struct stage *s)
{
	stage_put_byte(s, "a", 2000, 0x11);
}

static void stale(struct stage *s)
{
	stage_put_value(s, "a", 8, 8, CRASH_STALE);
}

static void a_word_zero(struct stage *s)
{
	stage_put_value(s, "a", 8, 8, 0);
}

static void size_between(struct stage *s)
{
	stage_set_size(s, "a", 8192);
}

static void size_crooked(struct stage *s)
{
	stage_set_size(s, "a", 8200);
}

static void size_beyond(struct stage *s)
{
	stage_set_size(s, "a", 20480);
}

static void size_before_old(struct stage *s)
{
	stage_set_size(s, "a", 4096);
}

static void size_without_data(struct stage *s)
{
	stage_put_value(s, "a", 8192, 4096, 0);
}

static void size_with_stale(struct stage *s)
{
	stage_put_value(s, "a", 8192, 4096, CRASH_STALE);
}

static void tail_of_old_lost(struct stage *s)
{
	stage_put_value(s, "a", 4992, 8, 0);
}

static void half_zeroed(struct stage *s)
{
	stage_put_value(s, "a", 0, 4096, 0);
}

static void zeroed_outside(struct stage *s)
{
	stage_put_value(s, "a", 9000, 100, 0);
}

static void shifted_half(struct stage *s)
{
	stage_put_part(s, "a", s->after, 0, 4096);
}

static void copied_in_part(struct stage *s)
{
	stage_set_size(s, "b", 5001);
}

static void mode_kept(struct stage *s)
{
	stage_own(s, "a")->mode = snap_find(s->before, "a")->mode;
}

static void mode_mixed(struct stage *s)
{
	stage_own(s, "a")->mode ^= S_ISVTX;
}

static void time_back(struct stage *s)
{
	memcpy(stage_own(s, "a")->time, snap_find(s->before, "a")->time,
		sizeof(snap_find(s->before, "a")->time));
}

static void a_pin(struct stage *s)
{
	free(s->found->held);
	s->found->held = calloc(1, sizeof(*s->found->held));
	s->found->nr_held = 1;
}

static void fewer_pins(struct stage *s)
{
	ck_assert_uint_ge(s->found->nr_held, 2);
	s->found->nr_held--;
}

static void more_pins(struct stage *s)
{
	struct snap_held *held = calloc(s->found->nr_held + 1, sizeof(*held));

	memcpy(held, s->found->held, s->found->nr_held * sizeof(*held));
	held[s->found->nr_held] = held[s->found->nr_held - 1];
	held[s->found->nr_held++].lblk++;
	free(s->found->held);
	s->found->held = held;
}

static void moved_pin(struct stage *s)
{
	s->found->held[0].device_blk++;
}

static void no_pins(struct stage *s)
{
	s->found->nr_held = 0;
}

/* ---- the cases ------------------------------------------------------------------------------ */

#define OTHER                                                                                      \
	"create other; write other 0 9000; setxattr other user.k 30; utimes other 0 5000 0; "      \
	"symlink s 90; create h; link h l; "
#define RENAME	 OTHER "create a; write a 0 5000 | rename a b"
#define OVER	 OTHER "create a; write a 0 5000 | write a 0 1000"
#define APPEND	 OTHER "create a; write a 0 5000 | append a 9000"
#define PUNCH	 OTHER "create a; write a 0 16384 | fallocate a punch 0 8192"
#define COLLAPSE OTHER "create a; write a 0 16384 | fallocate a collapse 0 4096"
#define COPY	 OTHER "create a; write a 0 9000; create b | copy a b 1 3 8000"
#define KILL	 OTHER "create a; write a 0 5000; chmod a 06755 | write a 0 100 kill"
#define TIMES	 OTHER "create a; write a 0 5000; utimes a 100 200 300 | write a 0 100"
#define CHMOD	 OTHER "create a; write a 0 5000; utimes a 100 200 300; sync | chmod a 0600"
#define SYNC	 OTHER "create a; write a 0 5000 | fsync a"
#define PIN	 "with pinned dax=always; " OTHER "create a; write a 0 20000 | pin a 0 8192"
#define PINNED	 "with pinned dax=always; " OTHER "create a; write a 0 20000; pin a 0 8192 | unlink a"
#define PIN_LOST "with dax=always; " OTHER "create a; write a 0 20000 | pin a 0 8192"

static const struct {
	const char *text;
	bool from_after; /* what is found is that, changed; else what was before */
	void (*change)(struct stage *s);
	bool allowed;
} cases[] = {
	{ RENAME, false, nothing, true },
	{ RENAME, true, nothing, true },
	{ RENAME, true, both_names, false },
	{ RENAME, false, no_name, false },
	{ RENAME, false, another_link_count, false },
	{ RENAME, false, another_inode, false },
	{ RENAME, false, lost_xattr, false },
	{ RENAME, true, wrong_xattr, false },
	{ RENAME, true, another_file, false },
	{ RENAME, true, another_mode, false },
	{ RENAME, false, another_size, false },
	{ RENAME, false, another_space, false },
	{ RENAME, false, another_target, false },
	{ RENAME, true, another_time, false },
	{ RENAME, true, new_file, false },
	{ RENAME, true, last_file, false },
	{ RENAME, true, no_last_file, false },
	{ RENAME, true, split_link, false },
	{ RENAME, false, a_byte_off, false },
	{ OVER, false, nothing, true },
	{ OVER, true, nothing, true },
	{ OVER, false, first_word_new, true },
	{ OVER, false, later_words_new, true },
	{ OVER, false, torn_word, false },
	{ OVER, false, a_byte_off, false },
	{ OVER, true, a_byte_off, false },
	{ OVER, true, outside, false },
	{ OVER, true, stale, false },
	{ OVER, true, a_word_zero, false },
	{ OVER, false, another_file, false },
	{ OVER, false, lost_xattr, false },
	{ OVER, false, another_mode, false },
	{ OVER, false, split_link, false },
	{ OVER, false, another_inode, false },
	{ OVER, false, new_file, false },
	{ OVER, false, another_time, false },
	{ OVER, true, another_link_count, false },
	{ OVER, true, size_before_old, false },
	{ OVER, true, size_between, false },
	{ APPEND, false, nothing, true },
	{ APPEND, true, nothing, true },
	{ APPEND, true, size_between, true },
	{ APPEND, false, size_between, false },
	{ APPEND, true, size_crooked, false },
	{ APPEND, true, size_beyond, false },
	{ APPEND, true, size_before_old, false },
	{ APPEND, true, size_without_data, false },
	{ APPEND, true, size_with_stale, false },
	{ APPEND, true, tail_of_old_lost, false },
	{ APPEND, true, stale, false },
	{ APPEND, true, another_file, false },
	{ PUNCH, true, nothing, true },
	{ PUNCH, false, half_zeroed, true },
	{ PUNCH, false, a_word_zero, true },
	{ PUNCH, false, stale, false },
	{ PUNCH, true, zeroed_outside, false },
	{ PUNCH, true, size_between, false },
	{ COLLAPSE, false, nothing, true },
	{ COLLAPSE, true, nothing, true },
	{ COLLAPSE, false, shifted_half, false },
	{ COLLAPSE, true, size_between, false },
	{ COPY, true, copied_in_part, true },
	{ COPY, false, copied_in_part, false },
	{ COPY, true, a_byte_off, false },
	{ KILL, true, nothing, true },
	{ KILL, true, mode_kept, true },
	{ KILL, true, mode_mixed, false },
	{ TIMES, true, nothing, true },
	{ TIMES, true, time_back, true },
	{ CHMOD, true, nothing, true },
	{ CHMOD, true, time_back, false },
	{ CHMOD, false, mode_mixed, false },
	{ SYNC, true, nothing, true },
	{ SYNC, true, a_word_zero, false },
	{ PIN, false, nothing, true },
	{ PIN, true, nothing, true },
	{ PIN, true, fewer_pins, true },
	{ PIN, false, a_pin, false },
	{ PINNED, true, nothing, true },
	{ PINNED, true, fewer_pins, false },
	{ PINNED, true, moved_pin, false },
	{ PINNED, false, more_pins, false },
	{ PIN, true, moved_pin, false },
	{ PIN, true, no_pins, true },
	{ PIN, true, a_byte_off, false },
	{ PIN_LOST, false, nothing, true },
	{ PIN_LOST, true, no_pins, true },
	{ PIN_LOST, false, a_pin, false },
};

START_TEST(test_judge)
{
	struct stage s = { 0 };
	char why[256] = "";
	bool allowed;

	stage_init(&s, cases[_i].text);
	s.found = snap_clone(cases[_i].from_after ? s.after : s.before);
	cases[_i].change(&s);
	allowed = crash_judge(s.world, 0, s.before, s.after, s.found, why);
	ck_assert_msg(allowed == cases[_i].allowed, "case %d, %s: %s", _i, s.w.text,
		allowed ? "allowed" : why);
	if (!allowed)
		ck_assert_str_ne(why, "");
	stage_fini(&s);
}
END_TEST

/* Between two operations nothing may differ, whatever the one before may have left half done. */
START_TEST(test_returned)
{
	struct stage s = { 0 };
	char why[256];

	stage_init(&s, OVER);
	s.found = snap_clone(s.after);
	ck_assert_msg(crash_judge(s.world, 0, s.after, s.after, s.found, why), "%s", why);
	stage_own(&s, "a")->blocks += 8;
	ck_assert(!crash_judge(s.world, 0, s.after, s.after, s.found, why));
	crash_snap_delete(s.found);
	s.found = snap_clone(s.after);
	stage_put_part(&s, "a", s.before, 0, 8);
	ck_assert(!crash_judge(s.world, 0, s.after, s.after, s.found, why));
	stage_fini(&s);
}
END_TEST

/* What differs is told, and equal is equal. */
START_TEST(test_diff)
{
	struct stage s = { 0 };
	char *text;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	stage_init(&s, RENAME);
	s.found = stage_take(&s);
	ck_assert(crash_snap_is_equal(s.after, s.found));
	ck_assert(!crash_snap_is_equal(s.before, s.found));
	stage_put_byte(&s, "other", 4097, 0x17);
	crash_snap_print_diff(to, s.before, s.found);
	fclose(to);
	ck_assert_msg(strstr(text, "'a': is gone") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "'b': should not be there") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "'other': byte 4097 is 0x17") != NULL, "%s", text);
	free(text);
	stage_fini(&s);
}
END_TEST

int main(void)
{
	const struct suite_case suite[] = {
		{ "judge", test_judge, sizeof(cases) / sizeof(cases[0]) },
		{ "returned", test_returned, 0 },
		{ "diff", test_diff, 0 },
	};

	return suite_run("crash_judge", suite, sizeof(suite) / sizeof(suite[0]));
}
