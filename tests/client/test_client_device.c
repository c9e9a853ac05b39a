/* SPDX-License-Identifier: BSD-3-Clause */
/* The device behind a lease: who may open it, and that it is the one. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "src/devdaxfs_ioctl.h"
#include "tests/client/client.h"

#define RW	 (DDFS_MAP_READ | DDFS_MAP_WRITE)
#define NOBODY	 65534
#define VARIABLE "DEVDAXFS_DEVICE"

static void works(int fd)
{
	struct ddfs_mapping *m;

	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &m));
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, 8192));
	ddfs_mapping_delete(m);
}

static void fails(int fd, int error, const char *word)
{
	struct ddfs_mapping *m;

	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, RW, &m), error, word);
	CHECK_SAME(client_nr_pins(fd), 0);
}

static void become_nobody(void)
{
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

/* Where the device is. */
static void device_path(char path[PATH_MAX])
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	struct ddfs_ioc_info info;

	CHECK(fd >= 0 && ioctl(fd, DDFS_IOC_INFO, &info) == 0);
	close(fd);
	snprintf(path, PATH_MAX, "%s", info.path);
}

/* Its mode while fn runs. */
static void with_mode(mode_t mode, void (*fn)(void *), int fd)
{
	char path[PATH_MAX];
	struct stat st;
	int status;

	device_path(path);
	CHECK(stat(path, &st) == 0 && chmod(path, mode) == 0);
	status = client_wait(client_fork(fn, &fd));
	CHECK(chmod(path, st.st_mode & 07777) == 0);
	CHECK_SAME(status, 0);
}

/* ---- permission ----------------------------------------------------------------------------- */

static void be_denied(void *arg)
{
	struct ddfs_mapping *m;
	int fd = *(int *)arg;
	char path[PATH_MAX];

	device_path(path);
	become_nobody();
	fails(fd, EACCES, path);
	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, DDFS_MAP_READ, &m), EACCES, "must be allowed");
	CHECK(client_file_is(fd, 1, 0, 8192));
}

static void test_denied(void)
{
	with_mode(0600, be_denied, client_file("f", 1, 8192));
}

static void only_read(void *arg)
{
	struct ddfs_mapping *m;
	int fd = *(int *)arg;

	become_nobody();
	fails(fd, EACCES, "writing");
	CHECK_OK(ddfs_mapping_new(fd, 0, 0, DDFS_MAP_READ, &m));
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, 8192));
	ddfs_mapping_delete(m);
}

static void test_reader(void)
{
	with_mode(0644, only_read, client_file("f", 1, 8192));
}

static void be_granted(void *arg)
{
	become_nobody();
	works(*(int *)arg);
}

static void test_granted(void)
{
	with_mode(0666, be_granted, client_file("f", 1, 8192));
}

/* The file was opened when that was allowed: the descriptor will do. */
static void test_file_closed_to_us(void)
{
	int fd = client_file("f", 1, 8192);

	CHECK(fchmod(fd, 0600) == 0);
	with_mode(0666, be_granted, fd);
}

/* ---- identity ------------------------------------------------------------------------------- */

struct attempt {
	int fd;
	int error; /* 0: it works */
	const char *word;
	const char *variable; /* NULL: not set */
};

static void attempt(void *arg)
{
	const struct attempt *a = arg;

	if (a->variable)
		CHECK(setenv(VARIABLE, a->variable, 1) == 0);
	if (a->error)
		fails(a->fd, a->error, a->word);
	else
		works(a->fd);
}

/* The status of it: what was moved can be put back before that is looked at. */
static int result_of(int fd, const char *variable, int error, const char *word)
{
	struct attempt a = { fd, error, word, variable };

	return client_wait(client_fork(attempt, &a));
}

/* Another file in the image's place, of the same bytes even, is not the image. */
static void test_replaced(void)
{
	char image[PATH_MAX], aside[PATH_MAX + 16], copy[PATH_MAX + 16], command[3 * PATH_MAX];
	int fd = client_file("f", 1, 8192), missing, linked, elsewhere, linked_back;

	snprintf(image, sizeof(image), "%s", client_image());
	snprintf(aside, sizeof(aside), "%s.aside", image);
	snprintf(copy, sizeof(copy), "%s.copy", image);
	snprintf(command, sizeof(command), "cp --sparse=always '%s' '%s'", image, copy);
	CHECK_SAME(system(command), 0);
	CHECK(rename(image, aside) == 0);
	missing = result_of(fd, NULL, ENODEV, "there is no");
	linked = symlink(copy, image) ? -1 : result_of(fd, NULL, ENODEV, "is not the device");
	elsewhere = result_of(fd, aside, 0, NULL);
	unlink(image);
	linked_back = symlink(aside, image) ? -1 : result_of(fd, NULL, 0, NULL);
	CHECK(unlink(copy) == 0 && rename(aside, image) == 0);
	CHECK_SAME(missing, 0);
	CHECK_SAME(linked, 0);
	CHECK_SAME(elsewhere, 0);
	CHECK_SAME(linked_back, 0);
	CHECK_SAME(result_of(fd, NULL, 0, NULL), 0);
}

static void test_variable(void)
{
	int fd = client_file("f", 1, 8192);
	char path[PATH_MAX];
	struct stat st;

	device_path(path);
	CHECK(stat(path, &st) == 0);
	CHECK_SAME(result_of(fd, path, 0, NULL), 0);
	CHECK(symlink(path, "link") == 0);
	CHECK_SAME(result_of(fd, "link", 0, NULL), 0);
	CHECK_SAME(result_of(fd, "", ENODEV, VARIABLE), 0);
	CHECK_SAME(result_of(fd, "missing", ENODEV, VARIABLE), 0);
	CHECK_SAME(result_of(fd, "f/missing", ENODEV, VARIABLE), 0);
	CHECK_SAME(result_of(fd, "f", ENODEV, "is not the device"), 0);
	CHECK_SAME(result_of(fd, ".", ENODEV, "is not the device"), 0);
	CHECK_SAME(result_of(fd, "/dev/null", ENODEV, "is not the device"), 0);
	/* opening it would wait for a writer */
	CHECK(mkfifo("fifo", 0666) == 0);
	CHECK_SAME(result_of(fd, "fifo", ENODEV, "is not the device"), 0);
	if (S_ISCHR(st.st_mode)) {
		CHECK(mknod("/dev/devdaxfs-test", S_IFCHR | 0600, st.st_rdev) == 0);
		CHECK_SAME(result_of(fd, "/dev/devdaxfs-test", 0, NULL), 0);
		CHECK(unlink("/dev/devdaxfs-test") == 0);
	}
}

/* The right file, but what is in it is not what is mounted. */
static void test_other_filesystem(void)
{
	const off_t at[] = { 40, (off_t)client_size() - 4096 + 40 };
	int fd = client_file("f", 1, 8192), image = open(client_image(), O_RDWR), one, both, i;
	uint8_t uuid[16], other[16];

	CHECK(image >= 0 && pread(image, uuid, 16, at[0]) == 16);
	for (i = 0; i < 16; i++)
		other[i] = (uint8_t)~uuid[i];
	CHECK(pwrite(image, other, 16, at[0]) == 16);
	one = result_of(fd, NULL, 0, NULL);
	CHECK(pwrite(image, other, 16, at[1]) == 16);
	both = result_of(fd, NULL, ENODEV, "another filesystem");
	CHECK(pwrite(image, uuid, 16, at[0]) == 16 && pwrite(image, uuid, 16, at[1]) == 16);
	/* the second is as good as the first */
	CHECK_SAME(one, 0);
	CHECK_SAME(both, 0);
}

/* Without /proc nobody knows who mounted what, and what is open cannot be opened once more. */
static void cover_proc(void *arg)
{
	int fd = *(int *)arg;
	struct ddfs_lease *lease;

	CHECK_OK(ddfs_lease_new(fd, 0, 0, RW, &lease));
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", "/proc", "tmpfs", 0, NULL) == 0);
	works(fd);
	ddfs_lease_delete(lease);
	fails(fd, EACCES, "cannot be told");
}

static void test_no_proc(void)
{
	int fd = client_file("f", 1, 8192);

	CHECK_SAME(client_wait(client_fork(cover_proc, &fd)), 0);
	CHECK_SAME(client_nr_pins(fd), 0);
}

/* ---- locks ---------------------------------------------------------------------------------- */

static bool is_locked(uint64_t byte)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = (off_t)byte, .l_len = 1 };
	char path[PATH_MAX];
	int fd;

	device_path(path);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0);
	close(fd);
	return lock.l_type == F_RDLCK;
}

static void test_locks(void)
{
	const uint64_t epoch = DDFS_LOCK_EPOCH + client_epoch();
	int fd = client_file("f", 1, 8192);
	struct ddfs_lease *a, *b;

	CHECK(!is_locked(DDFS_LOCK_CLIENTS) && !is_locked(epoch));
	CHECK_OK(ddfs_lease_new(fd, 0, 0, RW, &a));
	CHECK_OK(ddfs_lease_new(fd, 0, 0, DDFS_MAP_READ, &b));
	CHECK(is_locked(DDFS_LOCK_CLIENTS) && is_locked(epoch));
	ddfs_lease_delete(a);
	CHECK(is_locked(DDFS_LOCK_CLIENTS) && is_locked(epoch));
	ddfs_lease_delete(b);
	CHECK(!is_locked(DDFS_LOCK_CLIENTS) && !is_locked(epoch));
}

static const struct client_test tests[] = {
	CLIENT_TEST(denied),
	CLIENT_TEST(reader),
	CLIENT_TEST(granted),
	CLIENT_TEST(file_closed_to_us),
	CLIENT_TEST(replaced),
	CLIENT_TEST(variable),
	CLIENT_TEST(other_filesystem),
	CLIENT_TEST(no_proc),
	CLIENT_TEST(locks),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return client_main("client_device", tests, argc, argv);
}
