/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * src/device/mc.h beside fs/guard.h: copies inside of guards, guards inside of guards, and the
 * second view of a device. Built a second time with mc_plain.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/guard.h"
#include "src/device/mc.h"
#include "tests/unit/ram.h"
#include "tests/unit/suite.h"

#define SIZE   (UINT64_C(16) << 20)
#define PAGE   UINT64_C(4096)
#define BAD    (SIZE / 2) /* first byte of the bad page */
#define ROUNDS 100

static struct ram ram;
static struct ddfs_fs *fs;

static void begin(void)
{
	const struct ddfs_fs_options opt = { .log = ram_log_nothing };

	ram_mkfs(&ram, SIZE, PAGE);
	fs = ram_mount(&ram, &opt);
	ram_poison(&ram, BAD);
}

static void end(void)
{
	ram_heal(&ram, BAD);
	ddfs_fs_close(fs);
	ram_fini(&ram);
}

static int load(const uint8_t *at)
{
	return *(const volatile uint8_t *)at;
}

static int load_bad(void)
{
	return load(ram.media.base + BAD);
}

/* The bytes left of a copy that ends in the bad page. */
static int copy_bad(void)
{
	uint8_t buf[200];

	return (int)ram.media.ops->copy_out(&ram.media, buf, BAD - 123, sizeof(buf));
}

static int probe_bad(void)
{
	return (int)ram.media.ops->probe(&ram.media, BAD - 1, PAGE);
}

START_TEST(test_guard)
{
	begin();
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(DDFS_GUARDED(fs, load_bad()), -EIO);
		ck_assert_int_eq(DDFS_GUARDED(fs, load(ram.media.base)), load(ram.media.base));
	}
	end();
}
END_TEST

/* A copy knows by itself, and the guard around it none of it. */
START_TEST(test_copy_in_guard)
{
	begin();
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(DDFS_GUARDED(fs, copy_bad()), 200 - 123);
		ck_assert_int_eq(DDFS_GUARDED(fs, probe_bad()), (int)PAGE - 1);
		ck_assert_int_eq(copy_bad(), 200 - 123);
	}
	ck_assert_uint_eq(atomic_load(&ram.media.stats.lines_lost), 3 * ROUNDS);
	end();
}
END_TEST

static int copy_then_load(void)
{
	if (copy_bad() != 200 - 123)
		return -EPROTO;
	return load_bad();
}

/* The inner guard gives its error, and the outer one's work goes on. */
static int inner_guards(void)
{
	if (copy_bad() != 200 - 123 || DDFS_GUARDED(fs, copy_then_load()) != -EIO ||
		DDFS_GUARDED(fs, copy_bad()) != 200 - 123 || copy_bad() != 200 - 123)
		return -EPROTO;
	return 7;
}

static int inner_guards_then_load(void)
{
	int ret = DDFS_GUARDED(fs, inner_guards());

	return ret == 7 ? load_bad() : -EPROTO;
}

START_TEST(test_nested)
{
	begin();
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(DDFS_GUARDED(fs, copy_then_load()), -EIO);
		ck_assert_int_eq(DDFS_GUARDED(fs, inner_guards()), 7);
		ck_assert_int_eq(DDFS_GUARDED(fs, inner_guards_then_load()), -EIO);
		ck_assert_int_eq(copy_bad(), 200 - 123);
	}
	end();
}
END_TEST

/* ---- another filesystem's memory, and nobody's ---------------------------------------------- */

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(20);
		_exit(fn() & 0x7f);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static uint8_t *nobodys;

static int load_nobodys(void)
{
	return DDFS_GUARDED(fs, load(nobodys));
}

static int load_unguarded(void)
{
	return load_bad();
}

static void map_nobodys(void)
{
	int fd = memfd_create("eof", MFD_CLOEXEC);

	nobodys = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(nobodys, MAP_FAILED);
	close(fd);
}

START_TEST(test_not_guarded)
{
	signal(SIGBUS, SIG_DFL);
	begin();
	map_nobodys();
	ck_assert_int_eq(in_child(load_nobodys), -SIGBUS);
	ck_assert_int_eq(in_child(load_unguarded), -SIGBUS);
	end();
}
END_TEST

static struct ram other_ram;
static struct ddfs_fs *other;

static int copy_of_both(void)
{
	return DDFS_GUARDED(other, load_bad());
}

/* The innermost guard that is for this filesystem, whatever is inside of it. */
START_TEST(test_two_filesystems)
{
	const struct ddfs_fs_options opt = { .log = ram_log_nothing };

	begin();
	ram_mkfs(&other_ram, SIZE, PAGE);
	other = ram_mount(&other_ram, &opt);
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(DDFS_GUARDED(fs, copy_of_both()), -EIO);
		ck_assert_int_eq(copy_bad(), 200 - 123);
	}
	ddfs_fs_close(other);
	ram_fini(&other_ram);
	end();
}
END_TEST

/* ---- the second view ------------------------------------------------------------------------ */

static int load_nobodys_twice(void)
{
	return DDFS_GUARDED(fs, load(nobodys)) == -EIO ? load_nobodys() : -EPROTO;
}

static int store_nobodys(void)
{
	*(volatile uint8_t *)nobodys = 1;
	return 0;
}

static int store_guarded(void)
{
	return DDFS_GUARDED(fs, store_nobodys());
}

/* A fault whose address the kernel gives in the other view is the guard's too; a store is not. */
START_TEST(test_view)
{
	signal(SIGBUS, SIG_DFL);
	begin();
	map_nobodys();
	ck_assert_int_eq(in_child(load_nobodys), -SIGBUS);
	ddfs_mc_add_view(nobodys, ram.media.base + BAD, PAGE);
	ck_assert_int_eq(load_nobodys_twice(), -EIO);
#ifndef MC_PLAIN
	ck_assert_int_eq(in_child(store_guarded), -SIGBUS);
#else
	ck_assert_int_eq(store_guarded(), -EIO);
#endif
	ddfs_mc_remove_view(nobodys);
	ck_assert_int_eq(in_child(load_nobodys), -SIGBUS);
	end();
}
END_TEST

/* ---- threads -------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		if (DDFS_GUARDED(fs, inner_guards()) != 7 ||
			DDFS_GUARDED(fs, inner_guards_then_load()) != -EIO)
			return arg;
	return NULL;
}

START_TEST(test_threads)
{
	pthread_t threads[4];
	void *failed;

	begin();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, thread_main, &ram), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	end();
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "guard", test_guard, 0 },
		{ "copy in guard", test_copy_in_guard, 0 },
		{ "nested", test_nested, 0 },
		{ "not guarded", test_not_guarded, 0 },
		{ "two filesystems", test_two_filesystems, 0 },
		{ "view", test_view, 0 },
		{ "threads", test_threads, 0 },
	};

	return suite_run("device_mc_guard", cases, sizeof(cases) / sizeof(cases[0]));
}
