/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every page of metadata can't be read, one after the other: from the mount on, from before
 * anything was looked at, and after all of it was brought in. Every operation then works or fails
 * with an expected error, changes nothing where it fails, and lets go of everything; what does not
 * need the page works; and once the page reads again the filesystem is as good as ever.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "fs/core.h"
#include "tests/unit/check_image.h"
#include "tests/unit/poison_run.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* Every so many pages are tried: 1 is all. Sanitizers take ten times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 7
#else
#define STRIDE 1
#endif

static unsigned int stride(void)
{
	return (unsigned int)env_number("DDFS_POISON_STRIDE", STRIDE);
}

/* ---- poisoned while it is mounted ----------------------------------------------------------- */

static int look(void *arg, const struct ddfs_dirent *d)
{
	(void)arg;
	(void)d;
	return 0;
}

/* Bring in what there is. */
static void bring_in(struct ddfs_fs *fs, struct ddfs_inode *root)
{
	static uint8_t buf[1 << 20];

	for (unsigned int i = 0; i < poison_nr_names; i++) {
		struct ddfs_inode *ip = tree_get(root, poison_names[i]);

		ddfs_readdir(ip, 0, true, look, NULL);
		ddfs_pread(ip, buf, sizeof(buf), 0);
		ddfs_pread(ip, buf, sizeof(buf), sizeof(buf));
		ddfs_getxattr(ip, "user.large", buf, sizeof(buf));
		ddfs_inode_put(ip);
	}
	ck_assert_int_eq(tree_make(root, "in", S_IFREG | 0644), 0);
	ck_assert_int_eq(tree_unlink(root, "in"), 0);
	ck_assert_int_eq(ddfs_fs_sync(fs), 0);
}

static void try_page(struct poison_stage *s, uint64_t off, bool warm)
{
	const struct ddfs_fs_options writable = { .readonly = false };
	struct poison_world w = { .s = s, .poisoned = true };

	poison_reset(s);
	ck_assert_int_eq(poison_mount(s, false, &w.fs), 0);
	w.root = ram_root(w.fs);
	if (warm) {
		bring_in(w.fs, w.root);
		poison_world_open(&w);
	}
	poison_page(s, off);
	if (!warm)
		poison_world_open(&w);
	poison_run_all(&w);
	poison_world_close(&w);
	poison_check_idle(s, w.fs);
	poison_heal(s);
	ck_assert_int_eq(ddfs_fs_remount(w.fs, &writable), 0);
	poison_check_idle(s, w.fs);
	w.poisoned = false;
	poison_world_open(&w);
	poison_run_all(&w);
	poison_world_close(&w);
	poison_check_idle(s, w.fs);
	ddfs_inode_put(w.root);
	ck_assert_int_eq(ddfs_fs_close(w.fs), 0);
	poison_check_image(s);
}

static void log_page(const struct poison_page *page)
{
	if (getenv("DDFS_POISON_LOG"))
		fprintf(stderr, "---- page %#llx (%d)\n", (unsigned long long)page->off,
			page->part);
}

static void try_pages(bool crash, bool warm, bool clears)
{
	struct poison_stage *s = malloc(sizeof(*s));

	poison_init(s, crash);
	s->clears = clears;
	for (unsigned int i = 0; i < s->nr_pages; i += stride()) {
		log_page(&s->page[i]);
		try_page(s, s->page[i].off, warm);
	}
	poison_fini(s);
}

START_TEST(mounted_cold)
{
	try_pages(false, false, _i);
}
END_TEST

START_TEST(mounted_warm)
{
	try_pages(false, true, _i);
}
END_TEST

START_TEST(mounted_after_crash)
{
	try_pages(true, false, _i);
}
END_TEST

/* ---- poisoned before it is mounted ---------------------------------------------------------- */

/* Whether the page must not keep anybody from mounting. */
static bool is_spare(const struct poison_page *p, bool crash, bool readonly)
{
	switch (p->part) {
	case POISON_SUPER:
	case POISON_ROOT_BLOCK:
	case POISON_PINS:
	case POISON_BAD:
		return true;
	case POISON_LANE:
		/* Emptied, a lane is one whatever lies behind its header. */
		return !crash || readonly || !p->first;
	case POISON_GROUPS:
		return false;
	case POISON_INODES:
		/* Where root is, and the orphans'. */
		return !p->first;
	case POISON_CHUNKS:
	case POISON_NODE:
	case POISON_TARGET:
		/* A node of the orphan directory. */
		return !crash || readonly;
	}
	return false;
}

static void mount_page(
	struct poison_stage *s, const struct poison_page *p, bool crash, bool readonly)
{
	struct poison_world w = { .s = s, .poisoned = true };
	int err;

	poison_reset(s);
	poison_page(s, p->off);
	err = poison_mount(s, readonly, &w.fs);
	ck_assert_msg(!err || (!is_spare(p, crash, readonly) && (err == -EIO || err == -EUCLEAN)),
		"page %#llx: %s", (unsigned long long)p->off, strerror(-err));
	if (!err && !ddfs_inode_get(w.fs, DDFS_ID_ROOT, &w.root)) {
		poison_world_open(&w);
		poison_run_all(&w);
		poison_world_close(&w);
		poison_check_idle(s, w.fs);
		ddfs_inode_put(w.root);
	}
	if (!err)
		ddfs_fs_close(w.fs);
	poison_heal(s);
	poison_check_image(s);
}

static void mount_pages(bool crash, bool readonly, bool clears)
{
	struct poison_stage *s = malloc(sizeof(*s));

	poison_init(s, crash);
	s->clears = clears;
	for (unsigned int i = 0; i < s->nr_pages; i += stride()) {
		log_page(&s->page[i]);
		mount_page(s, &s->page[i], crash, readonly);
	}
	poison_fini(s);
}

START_TEST(mounting)
{
	mount_pages(_i & 1, _i & 2, _i & 4);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "nothing was looked at", mounted_cold, 2 },
		{ "all was looked at", mounted_warm, 2 },
		{ "after a crash", mounted_after_crash, 2 },
		{ "mounting", mounting, 8 },
	};

	return suite_run("fs_poison", cases, sizeof(cases) / sizeof(cases[0]));
}
