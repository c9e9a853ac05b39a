/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that do everything at once in the same few directories and to the same few files. No
 * result is predicted: each must be one that the call may give, and in the end the image must be
 * consistent and give every block back. Made for ThreadSanitizer too.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check_image.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define NR_THREADS 6
#define NR_DIRS	   3
#define NR_NAMES   24

struct worker {
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
	struct rng rng;
	uint64_t steps;
	bool kernel_refs;
	pthread_t thread;
};

/* What threads that meet may find. */
static void expect(const char *what, int64_t got)
{
	static const int fine[] = { ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ENOSPC, EINVAL,
		EPERM, ESTALE, ENODATA, ENXIO, ENODEV, ELOOP, EFBIG };
	size_t i = 0;

	if (got >= 0)
		return;
	while (i < sizeof(fine) / sizeof(fine[0]) && fine[i] != -got)
		i++;
	ck_assert_msg(i < sizeof(fine) / sizeof(fine[0]), "%s: %s", what, strerror((int)-got));
}

/* A directory, mostly one that all know; referenced. */
static struct ddfs_inode *any_dir(struct worker *w)
{
	struct ddfs_inode *ip;
	struct ddfs_entry e;
	char name[16];

	snprintf(name, sizeof(name), "dir%u", (unsigned int)rng_below(&w->rng, NR_DIRS + 1));
	if (ddfs_lookup(w->root, name, strlen(name), &e) || ddfs_inode_get(w->fs, e.attr.id, &ip))
		ck_assert_int_eq(ddfs_inode_get(w->fs, DDFS_ID_ROOT, &ip), 0);
	return ip;
}

static const char *any_name(struct worker *w, char name[16])
{
	snprintf(name, 16, "name%u", (unsigned int)rng_below(&w->rng, NR_NAMES));
	return name;
}

static int emit_some(void *arg, const struct ddfs_dirent *d)
{
	(void)d;
	return --*(int *)arg == 0;
}

static void forget(struct worker *w, struct ddfs_inode *ip)
{
	ddfs_id id = ddfs_inode_id(ip);

	ddfs_inode_put(ip);
	if (w->kernel_refs)
		ddfs_forget(w->fs, id);
}

static void on_names(struct worker *w)
{
	struct ddfs_inode *a = any_dir(w), *b = any_dir(w), *ip;
	uint32_t mode = rng_below(&w->rng, 4) ? S_IFREG | 0644 : S_IFDIR | 0755;
	static const unsigned int flags[] = { 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	char x[16], y[16];
	struct ddfs_entry e;
	int left = 10;

	any_name(w, x);
	any_name(w, y);
	switch (rng_below(&w->rng, 8)) {
	case 0:
	case 1:
		expect("create", tree_make(a, x, mode));
		break;
	case 2:
		expect("unlink", tree_unlink(a, x));
		break;
	case 3:
		expect("rmdir", ddfs_rmdir(a, x, strlen(x)));
		break;
	case 4:
	case 5:
		expect("rename", tree_rename(a, x, b, y, flags[rng_below(&w->rng, 4)]));
		break;
	case 6:
		expect("readdir",
			ddfs_readdir(a, rng_below(&w->rng, 2) << 40, true, emit_some, &left));
		break;
	default:
		if (ddfs_lookup(a, x, strlen(x), &e) || ddfs_inode_get(w->fs, e.attr.id, &ip))
			break;
		expect("link", ddfs_link(ip, b, y, strlen(y), &e));
		expect("parent", ddfs_lookup_parent(ip, &e));
		forget(w, ip);
	}
	ddfs_inode_put(a);
	ddfs_inode_put(b);
}

static void on_data(struct worker *w, struct ddfs_inode *ip)
{
	uint64_t off = rng_below(&w->rng, 1 << 20), len = 1 + rng_below(&w->rng, 40000);
	static uint8_t nothing[64];
	struct ddfs_attr a = { .size = off };
	uint8_t buf[5000] = { 1 };

	switch (rng_below(&w->rng, 10)) {
	case 0:
	case 1:
	case 2:
		expect("write", tree_fill(ip, off, len, (int)off));
		break;
	case 3:
		expect("read", ddfs_pread(ip, buf, sizeof(buf), off));
		break;
	case 4:
		expect("truncate", ddfs_setattr(ip, &a, DDFS_SET_SIZE, &a, NULL));
		break;
	case 5:
		expect("punch", ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
					len, NULL));
		break;
	case 6:
		expect("collapse",
			ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, off & ~4095u, 8192, NULL));
		break;
	case 7:
		expect("setxattr", ddfs_setxattr(ip, "user.x", buf, len % 5000, 0, false));
		expect("getxattr", ddfs_getxattr(ip, "user.x", NULL, 0));
		break;
	case 8:
		expect("removexattr", ddfs_removexattr(ip, "user.x"));
		expect("fsync", ddfs_fsync(ip, false));
		break;
	default:
		expect("append", ddfs_write(ip, 0, nothing, sizeof(nothing), DDFS_WRITE_APPEND));
		ddfs_getattr(ip, &a);
	}
}

static void on_file(struct worker *w)
{
	struct ddfs_inode *dir = any_dir(w), *ip;
	struct ddfs_entry e;
	char name[16];
	int err;

	any_name(w, name);
	if (!ddfs_lookup(dir, name, strlen(name), &e) && !ddfs_inode_get(w->fs, e.attr.id, &ip)) {
		err = ddfs_open(ip, O_RDWR, false, NULL);
		expect("open", err);
		for (unsigned int i = 0; i < 4 && !err && S_ISREG(e.attr.mode); i++)
			on_data(w, ip);
		if (rng_below(&w->rng, 4) == 0)
			expect("unlink", tree_unlink(dir, name));
		if (!err)
			ddfs_release(ip);
		forget(w, ip);
	}
	ddfs_inode_put(dir);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct ddfs_statfs st;

	for (uint64_t i = 0; i < w->steps; i++) {
		if (rng_below(&w->rng, 2))
			on_names(w);
		else
			on_file(w);
		if (i % 64 == 0)
			ddfs_fs_statfs(w->fs, &st);
		if (i % 128 == 0)
			ddfs_fs_writeback(w->fs);
	}
	return NULL;
}

/* ---- the end -------------------------------------------------------------------------------- */

struct name {
	char s[256];
	size_t len;
};

static int take_first(void *arg, const struct ddfs_dirent *d)
{
	struct name *n = arg;

	if (d->cookie <= 2)
		return 0;
	memcpy(n->s, d->name, d->name_len);
	n->s[d->name_len] = 0;
	n->len = d->name_len;
	return 1;
}

static void remove_below(struct ddfs_inode *dir)
{
	for (;;) {
		struct name n = { .len = 0 };
		struct ddfs_inode *ip;

		ck_assert_int_eq(ddfs_readdir(dir, 0, false, take_first, &n), 0);
		if (!n.len)
			return;
		ip = tree_get(dir, n.s);
		if (tree_unlink(dir, n.s) == -EISDIR) {
			remove_below(ip);
			ck_assert_int_eq(ddfs_rmdir(dir, n.s, n.len), 0);
		}
		ddfs_inode_put(ip);
	}
}

static void run_all(struct ddfs_fs *fs, struct ddfs_inode *root, bool kernel_refs, int i)
{
	struct worker w[NR_THREADS];

	for (unsigned int t = 0; t < NR_THREADS; t++) {
		w[t] = (struct worker){ .fs = fs,
			.root = root,
			.steps = env_number("DDFS_STEPS", 15000),
			.kernel_refs = kernel_refs };
		rng_seed(&w[t].rng, env_number("DDFS_SEED", 1) * 100 + (uint64_t)i * 10 + t);
		ck_assert_int_eq(pthread_create(&w[t].thread, NULL, work, &w[t]), 0);
	}
	for (unsigned int t = 0; t < NR_THREADS; t++)
		pthread_join(w[t].thread, NULL);
}

START_TEST(all_at_once)
{
	static const struct ddfs_fs_options opts[] = {
		{ .atime = DDFS_ATIME_STRICT },
		{ .kernel_refs = true, .lazytime = true },
		{ .dax = DDFS_DAX_ALWAYS },
	};
	struct ddfs_fs_options opt = opts[_i];
	struct ddfs_inode *root;
	struct ddfs_statfs st, end;
	struct image_summary s;
	struct ddfs_fs *fs;
	struct ram ram;
	char name[16];

	ram_mkfs(&ram, UINT64_C(24) << 20, 4096);
	fs = ram_mount(&ram, &opt);
	ddfs_fs_statfs(fs, &st);
	root = ram_root(fs);
	for (unsigned int i = 0; i < NR_DIRS; i++) {
		snprintf(name, sizeof(name), "dir%u", i);
		ck_assert_int_eq(tree_make(root, name, S_IFDIR | 0755), 0);
	}
	run_all(fs, root, opt.kernel_refs, _i);
	/* Nothing is open: what was unlinked meanwhile is gone. */
	image_check(ram.media.base, ram.media.size, 0, &s);
	ck_assert_uint_eq(s.nr_problems, 0);
	ck_assert_uint_eq(s.nr_orphans, 0);
	remove_below(root);
	ck_image(&ram.media);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	fs = ram_mount(&ram, &opt);
	ddfs_fs_statfs(fs, &end);
	ck_image(&ram.media);
	ck_assert_uint_eq(end.nr_free, st.nr_free);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ram_fini(&ram);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "all at once", all_at_once, 3 },
	};

	return suite_run("fs_threads", cases, 1);
}
