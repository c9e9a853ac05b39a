/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that fails in the middle of a commit, while somebody else is on his way into one: what
 * is on media then is for recovery alone.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/core.h"
#include "fs/format.h"
#include "src/device/mc.h"
#include "tests/unit/mounted.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define SIZE  (UINT64_C(64) << 20)
#define BLOCK 4096u
#define LONG  (3 * BLOCK)

/* Fences of a write into new blocks: data, log, applied, lane empty. */
enum { FENCE_LOG = 2, FENCE_APPLIED = 3 };

static struct {
	struct mounted m;
	struct ddfs_media_ops ops;
	const struct ddfs_media_ops *ram;
	struct ddfs_inode *a, *b;
	volatile uint8_t *nowhere; /* a page that can't be stored to; NULL: none */
	int faults_behind;	   /* this many fences, the next store does; -1: none does */
	bool torn;		   /* only the first store of what is applied arrives */
	void *(*meanwhile)(
		void *); /* begins when the device has failed, and may wait for the commit */
	pthread_t thread;
	int result;
	sem_t stopped, go;
} t;

static _Thread_local int fences = -1; /* of the commit that is to fail; -1: not in this thread */
static _Thread_local int applied;
static _Thread_local bool stops; /* before its first set */

static int drain(struct ddfs_media *m)
{
	if (fences < 0 || ++fences < FENCE_APPLIED)
		return t.ram->drain(m);
	fences = -1;
	if (t.meanwhile) {
		ck_assert_int_eq(pthread_create(&t.thread, NULL, t.meanwhile, NULL), 0);
		usleep(100000);
	}
	return -EIO;
}

/* SIGBUS, as if the page at off of the writable view were gone. */
static void store_nowhere(const struct ddfs_media *m, uint64_t off)
{
	int fd = memfd_create("nowhere", MFD_CLOEXEC);

	t.faults_behind = -1;
	t.nowhere = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne((void *)(uintptr_t)t.nowhere, MAP_FAILED);
	close(fd);
	ddfs_mc_add_view((void *)(uintptr_t)t.nowhere, m->base + off / BLOCK * BLOCK, BLOCK);
	*t.nowhere = 1;
}

static void copy(struct ddfs_media *m, uint64_t off, const void *src, size_t len)
{
	if (t.faults_behind >= 0 && fences == t.faults_behind)
		store_nowhere(m, off);
	if (!t.torn || fences != FENCE_LOG || !applied++)
		t.ram->copy(m, off, src, len);
}

static void set(struct ddfs_media *m, uint64_t off, int c, size_t len)
{
	if (stops) {
		stops = false;
		sem_post(&t.stopped);
		sem_wait(&t.go);
	}
	t.ram->set(m, off, c, len);
}

/* All take blocks from one group then, and meet at its lock. */
static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void begin(void)
{
	stay_on_one_cpu();
	memset(&t, 0, sizeof(t));
	t.faults_behind = -1;
	sem_init(&t.stopped, 0, 0);
	sem_init(&t.go, 0, 0);
	ram_mkfs(&t.m.ram, SIZE, BLOCK);
	t.ram = t.m.ram.media.ops;
	t.ops = *t.ram;
	t.ops.drain = drain;
	t.ops.copy = copy;
	t.ops.set = set;
	t.m.ram.media.ops = &t.ops;
	mounted_open(&t.m, &(struct ddfs_fs_options){ .log = ram_log_nothing });
	t.a = tree_make_get(t.m.root, "a", S_IFREG | 0644);
	t.b = tree_make_get(t.m.root, "b", S_IFREG | 0644);
	ck_assert_int_eq(tree_fill(t.a, 0, BLOCK, 'a'), BLOCK);
	ck_assert_int_eq(tree_fill(t.b, 0, 100, 'b'), 100);
	ddfs_fs_writeback(t.m.fs);
}

static void write_that_fails(void)
{
	fences = 0;
	ck_assert_int_eq(tree_fill(t.a, BLOCK, LONG, 'a'), -EIO);
	fences = -1;
	ck_assert(ddfs_fs_is_readonly(t.m.fs));
}

/* What the next mount finds: a consistent image, with the failed write done or not. */
static void check_recovered(void)
{
	struct image_summary s;
	struct mounted next;
	struct ddfs_inode *ip;
	uint8_t got[BLOCK + LONG];
	ssize_t n;

	ram_copy_image(&next.ram, &t.m.ram);
	image_check(next.ram.media.base, SIZE, 0, &s);
	ck_assert(!s.clean);
	mounted_open(&next, NULL);
	ck_image(&next.ram.media);
	ip = tree_get(next.root, "a");
	n = ddfs_pread(ip, got, sizeof(got), 0);
	ck_assert(n == BLOCK || n == BLOCK + LONG);
	for (ssize_t i = 0; i < n; i++)
		ck_assert_int_eq(got[i], 'a');
	ddfs_inode_put(ip);
	mounted_end(&next);
}

static void end(void)
{
	ddfs_inode_put(t.a);
	ddfs_inode_put(t.b);
	ddfs_inode_put(t.m.root);
	ddfs_fs_close(t.m.fs);
	if (t.nowhere) {
		ddfs_mc_remove_view((void *)(uintptr_t)t.nowhere);
		munmap((void *)(uintptr_t)t.nowhere, BLOCK);
	}
	ram_fini(&t.m.ram);
}

static void *write_other(void *arg)
{
	t.result = (int)tree_fill(t.b, BLOCK, LONG, 'b');
	return arg;
}

static void *remount_readonly(void *arg)
{
	const struct ddfs_fs_options opt = { .readonly = true, .log = ram_log_nothing };

	t.result = ddfs_fs_remount(t.m.fs, &opt);
	return arg;
}

/* It waits for the locks of the one that fails, and would change the same words. */
START_TEST(another_commit)
{
	begin();
	t.meanwhile = write_other;
	write_that_fails();
	pthread_join(t.thread, NULL);
	ck_assert_int_eq(t.result, -EROFS);
	check_recovered();
	end();
}
END_TEST

/* It would empty the lane that is to be replayed, and call the filesystem clean. */
START_TEST(remount)
{
	begin();
	t.torn = true;
	t.meanwhile = remount_readonly;
	write_that_fails();
	pthread_join(t.thread, NULL);
	check_recovered();
	end();
}
END_TEST

static void *write_that_stops(void *arg)
{
	stops = true;
	return write_other(arg);
}

/* The blocks are those of a transaction that may have happened: nobody else may store there. */
START_TEST(blocks_of_the_failed)
{
	begin();
	ck_assert_int_eq(pthread_create(&t.thread, NULL, write_that_stops, NULL), 0);
	sem_wait(&t.stopped);
	write_that_fails();
	sem_post(&t.go);
	pthread_join(t.thread, NULL);
	ck_assert_int_eq(t.result, -EROFS);
	check_recovered();
	end();
}
END_TEST

/* File data that can't be stored is EIO, of a block that is known to be bad from then on; to write
 * it again heals it. */
START_TEST(store_of_data)
{
	begin();
	fences = t.faults_behind = 0;
	ck_assert_int_eq(tree_fill(t.a, 0, BLOCK, 'x'), -EIO);
	fences = -1;
	ck_assert(!ddfs_fs_is_readonly(t.m.fs));
	ck_assert_uint_eq(ddfs_bad_count(t.m.fs), 1);
	ck_assert_int_eq(tree_fill(t.a, 0, BLOCK, 'a'), BLOCK);
	check_recovered();
	end();
}
END_TEST

/* A log that can't be is a device that fails: read-only, nobody's locks or lane lost. */
START_TEST(store_of_log)
{
	begin();
	t.faults_behind = 1;
	write_that_fails();
	ck_assert_int_eq(t.faults_behind, -1);
	ck_assert_int_eq(tree_fill(t.b, BLOCK, LONG, 'b'), -EROFS);
	check_recovered();
	end();
}
END_TEST

/* While a commit is prepared: a matter of errors=, not of the device. */
START_TEST(bitmap_that_cannot_be_read)
{
	const struct ddfs_fs_options opt = { .errors = DDFS_ERRORS_REMOUNT_RO,
		.log = ram_log_nothing };
	const struct ddfs_super *super;
	struct ddfs_inode *ip;
	struct mounted m;
	uint64_t off;

	mounted_begin(&m, SIZE, BLOCK, &opt);
	super = (const void *)m.ram.media.base;
	off = ddfs_le64(super->chunk_table_off);
	ip = tree_make_get(m.root, "a", S_IFREG | 0644);
	ck_assert_int_eq(tree_fill(ip, 0, BLOCK, 'a'), BLOCK);
	ram_poison(&m.ram, off);
	ck_assert_int_eq(tree_fill(ip, BLOCK, BLOCK, 'a'), -EIO);
	ck_assert(ddfs_fs_is_readonly(m.fs));
	ram_heal(&m.ram, off);
	ddfs_inode_put(ip);
	ddfs_inode_put(m.root);
	ddfs_fs_close(m.fs);
	ram_fini(&m.ram);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "another commit", another_commit, 0 },
		{ "remount", remount, 0 },
		{ "blocks of the failed", blocks_of_the_failed, 0 },
		{ "a store of data", store_of_data, 0 },
		{ "a store of the log", store_of_log, 0 },
		{ "a bitmap that cannot be read", bitmap_that_cannot_be_read, 0 },
	};

	return suite_run("fs_failed", cases, sizeof(cases) / sizeof(cases[0]));
}
