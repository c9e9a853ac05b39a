/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A page of metadata stops being readable in the middle of an operation: when it has begun a
 * transaction, when it was promised blocks, when it has stored something. What it holds at such a
 * moment is more than locks.
 */
#include <check.h>
#include <stdio.h>

#include "fs/core.h"
#include "fs/tx.h"
#include "tests/unit/poison_run.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 7
#else
#define STRIDE 1
#endif

enum moment { BEGIN_TX, PROMISED, NEW_INODE, FOUND_INODE };
#define NR_MOMENTS 4
#define NR_TIMES   2

/* What the wrapped functions look at: the test is one thread. */
static struct {
	struct poison_stage *s;
	uint64_t off;
	enum moment moment;
	unsigned int left; /* how often it comes until the page goes bad; 0: it does not */
} plan;

static void came(enum moment m)
{
	if (plan.moment == m && plan.left && !--plan.left)
		poison_page(plan.s, plan.off);
}

struct ddfs_tx *__real_ddfs_tx_begin(struct ddfs_fs *fs);
struct ddfs_tx *__wrap_ddfs_tx_begin(struct ddfs_fs *fs);
struct ddfs_tx *__wrap_ddfs_tx_begin(struct ddfs_fs *fs)
{
	struct ddfs_tx *tx = __real_ddfs_tx_begin(fs);

	came(BEGIN_TX);
	return tx;
}

int __real_ddfs_alloc_get(struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align,
	unsigned int flags, struct ddfs_range *out);
int __wrap_ddfs_alloc_get(struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align,
	unsigned int flags, struct ddfs_range *out);
int __wrap_ddfs_alloc_get(struct ddfs_fs *fs, uint64_t goal, uint64_t want, uint64_t align,
	unsigned int flags, struct ddfs_range *out)
{
	int err = __real_ddfs_alloc_get(fs, goal, want, align, flags, out);

	came(PROMISED);
	return err;
}

int __real_ddfs_inode_new(struct ddfs_fs *fs, struct ddfs_ino_grant *g, uint32_t mode, bool dax,
	struct ddfs_inode **out);
int __wrap_ddfs_inode_new(struct ddfs_fs *fs, struct ddfs_ino_grant *g, uint32_t mode, bool dax,
	struct ddfs_inode **out);
int __wrap_ddfs_inode_new(struct ddfs_fs *fs, struct ddfs_ino_grant *g, uint32_t mode, bool dax,
	struct ddfs_inode **out)
{
	int err = __real_ddfs_inode_new(fs, g, mode, dax, out);

	came(NEW_INODE);
	return err;
}

int __real_ddfs_inode_get_ino(struct ddfs_fs *fs, uint32_t ino, struct ddfs_inode **out);
int __wrap_ddfs_inode_get_ino(struct ddfs_fs *fs, uint32_t ino, struct ddfs_inode **out);
int __wrap_ddfs_inode_get_ino(struct ddfs_fs *fs, uint32_t ino, struct ddfs_inode **out)
{
	int err = __real_ddfs_inode_get_ino(fs, ino, out);

	came(FOUND_INODE);
	return err;
}

static unsigned int times;

static void arm(struct poison_world *w)
{
	plan.s = w->s;
	plan.left = times;
}

static void disarm(struct poison_world *w)
{
	plan.left = 0;
	poison_heal(w->s);
}

static void try_page(struct poison_stage *s, uint64_t off)
{
	const struct ddfs_fs_options writable = { .readonly = false };
	struct poison_world w = { .s = s, .poisoned = true, .before = arm, .after = disarm };

	poison_reset(s);
	ck_assert_int_eq(poison_mount(s, false, &w.fs), 0);
	w.root = ram_root(w.fs);
	poison_world_open(&w);
	plan.off = off;
	poison_run_all(&w);
	poison_world_close(&w);
	ck_assert_int_eq(ddfs_fs_remount(w.fs, &writable), 0);
	poison_check_idle(s, w.fs);
	ddfs_inode_put(w.root);
	ck_assert_int_eq(ddfs_fs_close(w.fs), 0);
	poison_check_image(s);
}

START_TEST(midway)
{
	unsigned int stride = (unsigned int)env_number("DDFS_POISON_STRIDE", STRIDE);
	struct poison_stage *s = malloc(sizeof(*s));

	poison_init(s, false);
	plan.moment = (enum moment)(_i % NR_MOMENTS);
	times = 1 + (unsigned int)_i / NR_MOMENTS;
	for (unsigned int i = 0; i < s->nr_pages; i += stride)
		/* Lanes and tables of their own are read by mounts only. */
		if (s->page[i].part != POISON_LANE && s->page[i].part != POISON_PINS &&
			s->page[i].part != POISON_BAD)
			try_page(s, s->page[i].off);
	poison_fini(s);
}
END_TEST

/* Both copies of the inode table's inode, when the table gives blocks back. */
START_TEST(table_is_cut)
{
	struct poison_stage *s = malloc(sizeof(*s));
	struct poison_world w = { .s = s };
	struct ddfs_statfs st;
	char name[60];

	poison_init(s, false);
	poison_reset(s);
	ck_assert_int_eq(poison_mount(s, false, &w.fs), 0);
	w.root = ram_root(w.fs);
	for (unsigned int i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ck_assert_int_eq(tree_make(w.root, name, S_IFREG | 0644), 0);
	}
	for (unsigned int i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ck_assert_int_eq(tree_unlink(w.root, name), 0);
	}
	times = 1;
	plan.moment = BEGIN_TX;
	plan.off = s->page[_i].off;
	ck_assert_int_eq(s->page[_i].part, POISON_ROOT_BLOCK);
	arm(&w);
	ck_assert_int_eq(ddfs_fs_statfs(w.fs, &st), 0);
	ck_assert_uint_eq(plan.left, 0);
	disarm(&w);
	poison_check_idle(s, w.fs);
	ddfs_inode_put(w.root);
	ck_assert_int_eq(ddfs_fs_close(w.fs), 0);
	poison_check_image(s);
	poison_fini(s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "midway", midway, NR_MOMENTS * NR_TIMES },
		{ "the table is cut", table_is_cut, 2 },
	};

	return suite_run("fs_poison_midway", cases, 2);
}
