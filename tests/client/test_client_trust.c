/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose word on the device counts: anybody can mount something that says what a mount says. */
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
#include "tests/client/client.h"
#include "tests/client/fake.h"

#define RW	 (DDFS_MAP_READ | DDFS_MAP_WRITE)
#define NOBODY	 65534 /* also what owners are that a namespace does not know */
#define STRANGER 12345

/* ---- scenes --------------------------------------------------------------------------------- */

static void own_mounts(void)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

/* What lies about a file, truly, that it lies where the first piece of file does. */
static void make_fake(struct fake *fake, int file)
{
	const struct ddfs_extent_range *range;
	struct ddfs_lease *lease;

	memset(fake, 0, sizeof(*fake));
	CHECK(ioctl(file, DDFS_IOC_INFO, &fake->info) == 0);
	fake->len = client_piece();
	CHECK_OK(ddfs_lease_new(file, 0, fake->len, DDFS_MAP_READ, &lease));
	CHECK_SAME(ddfs_lease_extents(lease, &range), 1);
	CHECK(range->len >= fake->len);
	fake->device_off = range->device_off;
	ddfs_lease_delete(lease);
}

/* A file like "real", of a mount that the user made over "fake". */
static int fake_of(uid_t user, int *real)
{
	static struct fake fake;

	own_mounts();
	*real = client_file("real", 1, client_piece());
	make_fake(&fake, *real);
	return fake_mount("fake", user, &fake);
}

/* It shows what is on the device. */
static void is_trusted(int fd)
{
	struct ddfs_mapping *m;

	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &m));
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, ddfs_mapping_len(m)));
	ddfs_mapping_delete(m);
}

static void is_refused(int fd, const char *word)
{
	struct ddfs_mapping *m;
	struct ddfs_lease *lease;

	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, RW, &m), EACCES, word);
	CHECK_ERROR(ddfs_lease_new(fd, 0, 0, DDFS_MAP_READ, &lease), EACCES, word);
}

static void become(uid_t user)
{
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0);
}

/* The device is the user's, and anybody's to open, while fn runs. */
static void with_owner(uid_t owner, void (*fn)(void *), int fd)
{
	struct ddfs_ioc_info info;
	struct stat st;
	int status;

	CHECK(ioctl(fd, DDFS_IOC_INFO, &info) == 0 && stat(info.path, &st) == 0);
	CHECK(chown(info.path, owner, st.st_gid) == 0 && chmod(info.path, 0666) == 0);
	status = client_wait(client_fork(fn, &fd));
	CHECK(chown(info.path, st.st_uid, st.st_gid) == 0);
	CHECK(chmod(info.path, st.st_mode & 07777) == 0);
	CHECK_SAME(status, 0);
}

/* ---- users ---------------------------------------------------------------------------------- */

/* The fake deceives where its user may do so: the others are not refused for something else. */
static void test_root(void)
{
	int real, fd = fake_of(0, &real), bound;

	is_trusted(fd);
	bound = open("bound", O_RDWR | O_CREAT, 0666);
	CHECK(bound >= 0 && close(bound) == 0);
	CHECK(mount("fake", "bound", NULL, MS_BIND, NULL) == 0);
	bound = open("bound", O_RDWR);
	is_trusted(bound);
	CHECK(umount2("fake", MNT_DETACH) == 0);
	is_trusted(bound);
}

static void test_stranger(void)
{
	int real, fd = fake_of(STRANGER, &real);

	is_refused(fd, "mounted by user 12345");
	is_trusted(real);
}

/* Nor is what the real one was given. */
static void test_shared(void)
{
	int real, fd = fake_of(STRANGER, &real);
	struct ddfs_lease *readable, *writable;

	CHECK_OK(ddfs_lease_new(real, 0, 0, DDFS_MAP_READ, &readable));
	CHECK_OK(ddfs_lease_new(real, 0, 0, RW, &writable));
	is_refused(fd, "mounted by user 12345");
	ddfs_lease_delete(readable);
	ddfs_lease_delete(writable);
}

static void trust(void *arg)
{
	is_trusted(*(int *)arg);
}

static void refuse(void *arg)
{
	is_refused(*(int *)arg, "does not trust");
}

static void test_owner(void)
{
	int real, fd = fake_of(STRANGER, &real);

	with_owner(STRANGER, trust, fd);
	with_owner(STRANGER + 1, refuse, fd);
}

static void trust_as_stranger(void *arg)
{
	become(STRANGER);
	is_trusted(*(int *)arg);
}

static void refuse_as_nobody(void *arg)
{
	become(NOBODY);
	is_refused(*(int *)arg, "does not trust");
}

static void test_ourselves(void)
{
	int real, fd = fake_of(STRANGER, &real);

	with_owner(0, trust_as_stranger, fd);
	with_owner(0, refuse_as_nobody, fd);
}

/* ---- rights that are lent ------------------------------------------------------------------- */

/* What client_probe says, run for the user by a program of the group. */
static void probe(uid_t user, gid_t group, const char *want)
{
	char path[PATH_MAX], said[512] = "", *name;
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int out[2];
	pid_t pid;

	CHECK(len > 0 && pipe(out) == 0);
	path[len] = '\0';
	name = strrchr(path, '/') + 1;
	snprintf(name, sizeof(path) - (size_t)(name - path), "client_probe");
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		CHECK(setgroups(0, NULL) == 0 && setresgid(user, group, group) == 0 &&
			setresuid(user, user, user) == 0);
		execl(path, path, "write", "fake", NULL);
		_exit(127);
	}
	close(out[1]);
	CHECK(read(out[0], said, sizeof(said) - 1) > 0);
	close(out[0]);
	/* Not its status: a sanitizer's look for leaks fails in a program that cannot be traced. */
	client_wait(pid);
	if (strncmp(said, want, strlen(want)) != 0)
		client_fail(__FILE__, __LINE__, "want %s: %s", want, said);
}

static void probe_both(void *arg)
{
	(void)arg;
	probe(STRANGER, STRANGER, "ok ");
	probe(STRANGER, STRANGER + 1, "EACCES the filesystem was mounted by user 12345");
}

static void test_lent(void)
{
	int real, fd = fake_of(STRANGER, &real);

	with_owner(0, probe_both, fd);
}

/* ---- namespaces ----------------------------------------------------------------------------- */

/* Root of a user namespace that knows nobody else. */
static void become_small_root(int flags)
{
	int fd;

	if (unshare(CLONE_NEWUSER | flags))
		client_skip("no user namespaces here");
	fd = open("/proc/self/uid_map", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "0 0 1", 5) == 5 && close(fd) == 0);
}

static void trust_in_namespace(void *arg)
{
	become_small_root(0);
	is_trusted(*(int *)arg);
}

/* The device's owner and the user have the same number, and nothing else in common. */
static void refuse_in_namespace(void *arg)
{
	become_small_root(0);
	is_refused(*(int *)arg, "in a user namespace");
}

static void test_namespace(void)
{
	int real, fd = fake_of(NOBODY, &real);

	with_owner(STRANGER, trust_in_namespace, real);
	with_owner(STRANGER, refuse_in_namespace, fd);
}

static void keep_namespaces(int ready, int end)
{
	char byte = 0;

	become_small_root(CLONE_NEWNS);
	CHECK(write(ready, &byte, 1) == 1);
	_exit(read(end, &byte, 1) == 0 ? 0 : 1);
}

/* Among the mounts of one whose root is not ours. */
static void test_visitor(void)
{
	int fd = client_file("real", 1, client_piece()), ready[2], end[2], mounts;
	char path[64], byte;
	pid_t pid;

	CHECK(pipe(ready) == 0 && pipe(end) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(end[1]);
		keep_namespaces(ready[1], end[0]);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		client_skip("no user namespaces here");
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	mounts = open(path, O_RDONLY | O_CLOEXEC);
	is_trusted(fd);
	CHECK(mounts >= 0 && setns(mounts, CLONE_NEWNS) == 0);
	is_refused(fd, "below its own");
	close(end[1]);
	CHECK_SAME(client_wait(pid), 0);
}

/* ---- what cannot be told -------------------------------------------------------------------- */

/* What was trusted once stays so as long as somebody has it, and no longer. */
static void test_unmounted(void)
{
	int real, fd = fake_of(0, &real);
	struct ddfs_mapping *m;
	struct ddfs_lease *lease;

	CHECK_OK(ddfs_lease_new(fd, 0, 0, RW, &lease));
	CHECK(umount2("fake", MNT_DETACH) == 0);
	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &m));
	ddfs_lease_delete(lease);
	ddfs_mapping_delete(m);
	is_refused(fd, "cannot be told");
}

static const struct client_test tests[] = {
	CLIENT_TEST(root),
	CLIENT_TEST(stranger),
	CLIENT_TEST(shared),
	CLIENT_TEST(owner),
	CLIENT_TEST(ourselves),
	CLIENT_TEST(lent),
	CLIENT_TEST(namespace),
	CLIENT_TEST(visitor),
	CLIENT_TEST(unmounted),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return client_main("client_trust", tests, argc, argv);
}
