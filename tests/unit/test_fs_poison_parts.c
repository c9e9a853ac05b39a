/* SPDX-License-Identifier: BSD-3-Clause */
/* What one page that can't be read costs: the objects in it, and nobody else. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/core.h"
#include "tests/unit/check_image.h"
#include "tests/unit/poison_ops.h"
#include "tests/unit/poison_stage.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

struct bench {
	struct poison_stage *s;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
};

static void begin(struct bench *b)
{
	b->s = malloc(sizeof(*b->s));
	poison_init(b->s, false);
	poison_reset(b->s);
	ck_assert_int_eq(poison_mount(b->s, false, &b->fs), 0);
	b->root = ram_root(b->fs);
}

static void end(struct bench *b)
{
	poison_check_idle(b->s, b->fs);
	poison_heal(b->s);
	poison_check_idle(b->s, b->fs);
	ddfs_inode_put(b->root);
	ck_assert_int_eq(ddfs_fs_close(b->fs), 0);
	poison_check_image(b->s);
	poison_fini(b->s);
}

/* The page that has the name's inode. */
static uint64_t page_of_inode(struct ddfs_inode *dir, const char *name)
{
	struct ddfs_inode *ip = tree_get(dir, name);
	uint64_t off = ip->off;

	ddfs_inode_put(ip);
	return off & ~UINT64_C(4095);
}

static bool is_in(struct ddfs_inode *dir, const char *name, uint64_t page)
{
	return page_of_inode(dir, name) == page;
}

static int lookup(struct ddfs_inode *dir, const char *name)
{
	struct ddfs_entry e;

	return ddfs_lookup(dir, name, strlen(name), &e);
}

/* ---- inodes --------------------------------------------------------------------------------- */

struct told {
	unsigned int nr, nr_attrs;
};

static int count(void *arg, const struct ddfs_dirent *d)
{
	struct told *told = arg;

	told->nr++;
	told->nr_attrs += d->attr != NULL;
	return 0;
}

static void file_name(char name[60], unsigned int i)
{
	snprintf(name, 60, "a name of some length %u", i);
}

/* With _i the inodes are in memory already. */
START_TEST(an_inode)
{
	struct told told = { 0, 0 };
	struct ddfs_inode *dir;
	unsigned int nr_bad = 0;
	bool in_it[150];
	char name[60];
	uint64_t page;
	struct bench b;

	begin(&b);
	dir = tree_get(b.root, "dir");
	page = page_of_inode(dir, "a name of some length 75");
	for (unsigned int i = 0; i < 150; i++) {
		file_name(name, i);
		in_it[i] = is_in(dir, name, page);
		nr_bad += in_it[i];
	}
	ck_assert_uint_eq(nr_bad, DDFS_INODES_PER_BLOCK);
	if (!_i) {
		ddfs_inode_put(dir);
		ddfs_inode_put(b.root);
		ck_assert_int_eq(ddfs_fs_close(b.fs), 0);
		ck_assert_int_eq(poison_mount(b.s, false, &b.fs), 0);
		b.root = ram_root(b.fs);
		dir = tree_get(b.root, "dir");
	}
	poison_page(b.s, page);
	ck_assert_int_eq(ddfs_readdir(dir, 0, true, count, &told), 0);
	ck_assert_uint_eq(told.nr, 153);
	ck_assert_uint_eq(told.nr_attrs, 151 - nr_bad);
	for (unsigned int i = 0; i < 150; i++) {
		file_name(name, i);
		ck_assert_int_eq(lookup(dir, name), in_it[i] ? -EIO : 0);
		ck_assert_int_eq(tree_unlink(dir, name), in_it[i] ? -EIO : 0);
	}
	/* None of their numbers is taken for free. */
	for (unsigned int i = 0; i < 200; i++) {
		file_name(name, 1000 + i);
		ck_assert_int_eq(tree_make(dir, name, S_IFREG | 0644), 0);
		ck_assert(!is_in(dir, name, page));
	}
	ddfs_inode_put(dir);
	end(&b);
}
END_TEST

/* ---- names ---------------------------------------------------------------------------------- */

static uint64_t leaf_of(const struct poison_stage *s, uint32_t owner)
{
	for (unsigned int i = 0; i < s->nr_pages; i++) {
		const struct ddfs_node *n = (const void *)(s->healthy + s->page[i].off);

		if (s->page[i].part == POISON_NODE && ddfs_le32(n->owner) == owner &&
			ddfs_le16(n->type) == DDFS_NODE_NAME_LEAF)
			return s->page[i].off;
	}
	ck_abort_msg("no leaf");
	return 0;
}

/* Each entry is told until the one that can't be, and those in other leaves are found by name. */
START_TEST(a_directory)
{
	struct told told = { 0, 0 };
	struct ddfs_inode *dir;
	unsigned int nr_lost = 0;
	char name[60];
	struct bench b;

	begin(&b);
	dir = tree_get(b.root, "dir");
	poison_page(b.s, leaf_of(b.s, dir->ino));
	ck_assert_int_eq(ddfs_readdir(dir, 0, true, count, &told), 0);
	ck_assert_uint_ge(told.nr, 2);
	ck_assert_uint_lt(told.nr, 153);
	for (unsigned int i = 0; i < 150; i++) {
		int err;

		file_name(name, i);
		err = lookup(dir, name);
		ck_assert(err == 0 || err == -EIO);
		ck_assert_int_eq(tree_unlink(dir, name), err);
		nr_lost += err != 0;
	}
	ck_assert_uint_gt(nr_lost, 0);
	ck_assert_uint_lt(nr_lost, 150);
	ck_assert_int_eq(lookup(b.root, "small"), 0);
	ddfs_inode_put(dir);
	end(&b);
}
END_TEST

struct first {
	unsigned int nr;
	uint64_t cookie;
};

static int note_last(void *arg, const struct ddfs_dirent *d)
{
	struct first *f = arg;

	f->nr++;
	f->cookie = d->cookie;
	return 0;
}

/* A listing that begins where it can't be read says so. */
START_TEST(a_directory_goes_on)
{
	struct ddfs_inode *dir;
	struct first f = { 0, 0 };
	uint64_t cookie = 0;
	struct bench b;
	int err;

	begin(&b);
	dir = tree_get(b.root, "dir");
	poison_page(b.s, leaf_of(b.s, dir->ino));
	do {
		cookie = f.cookie;
		err = ddfs_readdir(dir, cookie, false, note_last, &f);
	} while (!err && f.cookie != cookie);
	ck_assert_int_eq(err, -EIO);
	ddfs_inode_put(dir);
	end(&b);
}
END_TEST

/* ---- file data ------------------------------------------------------------------------------ */

static uint64_t block_of(struct ddfs_inode *ip, uint64_t off)
{
	struct ddfs_file_extent e;
	uint64_t next;

	ck_assert_int_eq(ddfs_layout_query(ip, off, 4096, false, &e, 1, &next), 1);
	ck_assert(!e.hole);
	return e.device_off;
}

static ssize_t copy(struct ddfs_inode *from, uint64_t off, struct ddfs_inode *to, size_t len)
{
	return ddfs_copy_range(from, off, to, off, len, NULL);
}

/* Bytes before the block, then -EIO; nothing of it is metadata. */
START_TEST(file_data)
{
	static uint8_t buf[20000];
	struct ddfs_inode *ip, *to;
	struct bench b;

	begin(&b);
	ip = tree_get(b.root, "xattrs");
	to = tree_make_get(b.root, "to", S_IFREG | 0644);
	poison_page(b.s, block_of(ip, 4096));
	ck_assert_int_eq(ddfs_pread(ip, buf, sizeof(buf), 10), 4086);
	ck_assert_int_eq(ddfs_pread(ip, buf, sizeof(buf), 4096), -EIO);
	ck_assert_int_eq(ddfs_pread(ip, buf, sizeof(buf), 8000), -EIO);
	ck_assert_int_eq(ddfs_pread(ip, buf, sizeof(buf), 8192), 10000 - 8192);
	ck_assert_int_eq(copy(ip, 0, to, 10000), 4096);
	ck_assert_int_eq(copy(ip, 4096, to, 10000), -EIO);
	ck_assert_int_eq(copy(ip, 8192, to, 10000), 10000 - 8192);
	ck_assert(!ddfs_fs_is_readonly(b.fs));
	ddfs_inode_put(to);
	ddfs_inode_put(ip);
	end(&b);
}
END_TEST

/* ---- errors= -------------------------------------------------------------------------------- */

START_TEST(remount_ro)
{
	struct ddfs_fs_options opt = { .errors = DDFS_ERRORS_REMOUNT_RO };
	struct bench b;

	begin(&b);
	ck_assert_int_eq(ddfs_fs_remount(b.fs, &opt), 0);
	poison_page(b.s, page_of_inode(b.root, "xattrs"));
	ck_assert_int_eq(tree_unlink(b.root, "xattrs"), -EIO);
	ck_assert(ddfs_fs_is_readonly(b.fs));
	ck_assert_int_eq(tree_make(b.root, "new", S_IFREG | 0644), -EROFS);
	end(&b);
}
END_TEST

START_TEST(abort_all)
{
	struct ddfs_fs_options opt = { .errors = DDFS_ERRORS_ABORT };
	struct bench b;
	int status;
	pid_t pid;

	begin(&b);
	ck_assert_int_eq(ddfs_fs_remount(b.fs, &opt), 0);
	poison_page(b.s, page_of_inode(b.root, "xattrs"));
	pid = fork();
	if (!pid) {
		lookup(b.root, "xattrs");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	end(&b);
}
END_TEST

/* ---- what a mount makes anew ---------------------------------------------------------------- */

static bool is_made_anew(const struct poison_page *p)
{
	return p->part == POISON_SUPER || p->part == POISON_ROOT_BLOCK || p->part == POISON_LANE;
}

START_TEST(made_anew)
{
	struct poison_stage *s = malloc(sizeof(*s));

	poison_init(s, false);
	for (unsigned int i = 0; i < s->nr_pages; i++) {
		struct ddfs_fs *fs;

		if (!is_made_anew(&s->page[i]))
			continue;
		poison_reset(s);
		poison_page(s, s->page[i].off);
		ck_assert_int_eq(poison_mount(s, false, &fs), 0);
		ck_assert_uint_eq(s->poisoned, UINT64_MAX);
		ck_assert_uint_eq(fs->recovery.used_backup_super, s->page[i].off == DDFS_SUPER_OFF);
		ck_assert_int_eq(ddfs_fs_close(fs), 0);
		poison_check_image(s);
	}
	poison_fini(s);
}
END_TEST

/* Lanes that can't be made anew are not used. */
START_TEST(lanes_left_out)
{
	struct poison_stage *s = malloc(sizeof(*s));

	poison_init(s, false);
	s->clears = false;
	for (unsigned int i = 0; i < s->nr_pages; i++) {
		uint64_t lane = (s->page[i].off - s->lanes_off) / DDFS_LANE_BYTES;
		struct ddfs_fs *fs;

		if (s->page[i].part != POISON_LANE)
			continue;
		poison_reset(s);
		poison_page(s, s->page[i].off);
		ck_assert_int_eq(poison_mount(s, false, &fs), 0);
		ck_assert(!(fs->lanes.usable >> lane & 1));
		ck_assert(!(fs->lanes.free >> lane & 1));
		ck_assert_int_eq(ddfs_fs_close(fs), 0);
	}
	poison_fini(s);
}
END_TEST

/* ---- threads -------------------------------------------------------------------------------- */

#define NR_THREADS 4

struct worker {
	pthread_t thread;
	struct bench *b;
	unsigned int nr;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct poison_target t = { .fs = w->b->fs, .root = w->b->root };

	for (unsigned int i = 0; i < poison_nr_names * poison_nr_ops; i++) {
		unsigned int op = i % poison_nr_ops;
		struct ddfs_entry e;

		t.name = poison_names[(i / poison_nr_ops + w->nr) % poison_nr_names];
		t.round = w->nr * 10000 + i;
		t.ip = NULL;
		/* Remounts would make the others' changes fail. */
		if (!strcmp(poison_ops[op].name, "remount") ||
			ddfs_lookup(t.root, t.name, strlen(t.name), &e) ||
			ddfs_inode_get(t.fs, e.attr.id, &t.ip))
			continue;
		poison_ops[op].run(&t);
		ddfs_inode_put(t.ip);
	}
	return NULL;
}

START_TEST(threads)
{
	struct worker w[NR_THREADS];
	unsigned int page = 0;
	struct bench b;

	begin(&b);
	/* Inode blocks and nodes: what they share. */
	for (unsigned int n = 0; b.s->page[page].part < POISON_INODES || n < (unsigned int)_i;)
		n += b.s->page[page++].part >= POISON_INODES;
	poison_page(b.s, b.s->page[page].off);
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		w[i] = (struct worker){ .b = &b, .nr = i };
		ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(w[i].thread, NULL);
	end(&b);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "an inode", an_inode, 2 },
		{ "a directory", a_directory, 0 },
		{ "a directory goes on", a_directory_goes_on, 0 },
		{ "file data", file_data, 0 },
		{ "errors=remount-ro", remount_ro, 0 },
		{ "errors=abort", abort_all, 0 },
		{ "made anew", made_anew, 0 },
		{ "lanes left out", lanes_left_out, 0 },
		{ "threads", threads, 24 },
	};

	return suite_run("fs_poison_parts", cases, sizeof(cases) / sizeof(cases[0]));
}
