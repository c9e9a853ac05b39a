/* SPDX-License-Identifier: BSD-3-Clause */
/* Leases without mappings, and what the library refuses. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "tests/client/client.h"

#define RW (DDFS_MAP_READ | DDFS_MAP_WRITE)

static struct ddfs_lease *lease_of(int fd, uint64_t off, uint64_t len, unsigned int flags)
{
	struct ddfs_lease *lease;

	CHECK_OK(ddfs_lease_new(fd, off, len, flags, &lease));
	return lease;
}

static uint64_t nr_blocks(int fd)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	return (uint64_t)st.st_blocks;
}

/* ---- extents -------------------------------------------------------------------------------- */

/* Whole pages, in order, of as much of the file. */
static void check_extents(const struct ddfs_lease *lease, uint64_t off, uint64_t len)
{
	const struct ddfs_extent_range *e;
	size_t i, nr = ddfs_lease_extents(lease, &e);

	CHECK(nr > 0);
	CHECK_SAME(e[0].file_off, off);
	for (i = 0; i < nr; i++) {
		CHECK_SAME((e[i].file_off | e[i].device_off | e[i].len) % 4096, 0);
		CHECK(e[i].len > 0 && e[i].device_off > 0);
		if (i > 0)
			CHECK_SAME(e[i].file_off, e[i - 1].file_off + e[i - 1].len);
		len -= e[i].len;
	}
	CHECK_SAME(len, 0);
}

static void test_extents(void)
{
	const uint64_t size = 3 * client_unit() + 5000;
	int fd = client_file("f", 1, size);
	struct ddfs_lease *lease = lease_of(fd, 0, 0, RW);

	check_extents(lease, 0, (size + 4095) & -(uint64_t)4096);
	ddfs_lease_delete(lease);
	lease = lease_of(fd, 5000, 4000, DDFS_MAP_READ);
	check_extents(lease, 4096, 8192);
	ddfs_lease_delete(lease);
	lease = lease_of(fd, size - 1, 0, DDFS_MAP_READ);
	check_extents(lease, (size - 1) & -(uint64_t)4096, 4096);
	ddfs_lease_delete(lease);
	CHECK_SAME(client_nr_pins(fd), 0);
}

/* The extents say where on the device the bytes are. */
static void test_device(void)
{
	const uint64_t unit = client_unit(), size = 2 * unit;
	int fd = client_file("f", 1, size);
	struct ddfs_lease *lease = lease_of(fd, 0, 0, DDFS_MAP_READ);
	const struct ddfs_extent_range *e;
	size_t i, nr = ddfs_lease_extents(lease, &e);

	close(fd);
	for (i = 0; i < nr; i++) {
		void *p = mmap(NULL, e[i].len, PROT_READ, MAP_SHARED, ddfs_lease_device_fd(lease),
			(off_t)e[i].device_off);

		CHECK(p != MAP_FAILED);
		CHECK(client_is_pattern(p, 1, e[i].file_off, e[i].len));
		munmap(p, e[i].len);
	}
	CHECK((fcntl(ddfs_lease_device_fd(lease), F_GETFL) & O_ACCMODE) == O_RDONLY);
	ddfs_lease_delete(lease);
}

static void test_device_mode(void)
{
	int fd = client_file("f", 1, 4096);
	struct ddfs_lease *reader = lease_of(fd, 0, 0, DDFS_MAP_READ);
	struct ddfs_lease *writer = lease_of(fd, 0, 0, RW), *other = lease_of(fd, 0, 0, RW);

	CHECK((fcntl(ddfs_lease_device_fd(reader), F_GETFL) & O_ACCMODE) == O_RDONLY);
	CHECK((fcntl(ddfs_lease_device_fd(writer), F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK_SAME(ddfs_lease_device_fd(writer), ddfs_lease_device_fd(other));
	CHECK(fcntl(ddfs_lease_device_fd(writer), F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(ddfs_lease_fd(writer), F_GETFD) == FD_CLOEXEC);
	ddfs_lease_delete(writer);
	CHECK((fcntl(ddfs_lease_device_fd(other), F_GETFL) & O_ACCMODE) == O_RDWR);
	ddfs_lease_delete(other);
	ddfs_lease_delete(reader);
}

static void test_snapshot(void)
{
	const uint64_t unit = client_unit();
	int fd = client_file("f", 1, 0), reader = open("f", O_RDONLY);
	const struct ddfs_extent_range *e;
	struct ddfs_lease *lease;
	uint64_t blocks;

	CHECK(ftruncate(fd, (off_t)(10 * unit)) == 0);
	client_pwrite(fd, 1, 2 * unit, unit);
	client_pwrite(fd, 1, 7 * unit, unit);
	blocks = nr_blocks(fd);
	lease = lease_of(fd, 0, 0, RW | DDFS_MAP_SNAPSHOT);
	CHECK_SAME(nr_blocks(fd), blocks);
	CHECK_SAME(ddfs_lease_extents(lease, &e), 2);
	CHECK_SAME(e[0].file_off, 2 * unit);
	CHECK_SAME(e[0].len, unit);
	CHECK_SAME(e[1].file_off, 7 * unit);
	CHECK_SAME(e[1].len, unit);
	ddfs_lease_delete(lease);
	CHECK_ERROR(ddfs_lease_new(reader, 0, 0, DDFS_MAP_READ, &lease), EBADF, "holes");
	lease = lease_of(reader, 0, 0, DDFS_MAP_READ | DDFS_MAP_SNAPSHOT);
	CHECK_SAME(ddfs_lease_extents(lease, &e), 2);
	ddfs_lease_delete(lease);

	lease = lease_of(fd, 0, 0, RW);
	CHECK(nr_blocks(fd) >= 10 * unit / 512);
	check_extents(lease, 0, 10 * unit);
	ddfs_lease_delete(lease);
}

static void test_grow(void)
{
	const uint64_t unit = client_unit(), len = 3 * unit + 1;
	int fd = client_file("f", 1, 10);
	struct ddfs_lease *lease = lease_of(fd, 0, len, RW | DDFS_MAP_GROW);

	CHECK_SAME(client_file_size(fd), len);
	check_extents(lease, 0, (len + 4095) & -(uint64_t)4096);
	CHECK(client_file_is(fd, 1, 0, 10));
	ddfs_lease_delete(lease);
}

static void test_many(void)
{
	enum { NR = 1000 };
	int fd = client_file("f", 1, 64 * KIB), i;
	struct ddfs_lease *leases[NR];

	for (i = 0; i < NR; i++)
		leases[i] = lease_of(fd, 4096 * (uint64_t)(i % 16), 4096, RW);
	CHECK_SAME(client_nr_pins(fd), NR);
	for (i = 0; i < NR; i++)
		ddfs_lease_delete(leases[(i * 7) % NR]);
	CHECK_SAME(client_nr_pins(fd), 0);
}

static void test_sync(void)
{
	int fd = client_file("f", 1, 100000);
	struct ddfs_lease *lease = lease_of(fd, 4096, 4096, RW);

	CHECK_OK(ddfs_lease_sync(lease, 0, 0));
	CHECK_OK(ddfs_lease_sync(lease, 5000, 100));
	ddfs_lease_delete(lease);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void test_not_dax(void)
{
	struct ddfs_lease *lease;
	int fd;

	CHECK(chdir("..") == 0);
	fd = client_file("ordinary", 1, 8192);
	CHECK_ERROR(ddfs_lease_new(fd, 0, 0, RW, &lease), EOPNOTSUPP, "chattr +x");
	CHECK(unlink("ordinary") == 0);
}

static void test_not_devdaxfs(void)
{
	int null = open("/dev/null", O_RDWR), memory = memfd_create("memory", 0), ends[2];
	struct ddfs_lease *lease;

	CHECK(pipe(ends) == 0 && ftruncate(memory, 8192) == 0);
	CHECK_ERROR(ddfs_lease_new(null, 0, 0, RW, &lease), ENOTTY, "devdaxfs");
	CHECK_ERROR(ddfs_lease_new(memory, 0, 0, RW, &lease), ENOTTY, "devdaxfs");
	CHECK_ERROR(ddfs_lease_new(ends[0], 0, 0, DDFS_MAP_READ, &lease), ENOTTY, "devdaxfs");
	CHECK_ERROR(ddfs_lease_new(-1, 0, 0, RW, &lease), EBADF, "-1");
}

static void test_directory(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	struct ddfs_lease *lease;

	CHECK(ddfs_lease_new(fd, 0, 0, DDFS_MAP_READ, &lease) < 0);
	CHECK(ddfs_errormsg()[0] != '\0');
}

static void test_arguments(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_lease *lease;

	CHECK_ERROR(ddfs_lease_new(fd, 8192, 0, RW, &lease), ENXIO, "8192");
	CHECK_ERROR(ddfs_lease_new(fd, 0, 0, 0, &lease), EINVAL, "DDFS_MAP_READ");
	CHECK_ERROR(ddfs_lease_new(fd, 0, 0, RW | 64, &lease), EINVAL, "0x40");
	CHECK_ERROR(ddfs_lease_new(fd, 0, 10, RW | DDFS_MAP_GROW | DDFS_MAP_SNAPSHOT, &lease),
		EINVAL, "SNAPSHOT");
	CHECK_ERROR(ddfs_lease_new(fd, 1, UINT64_MAX, RW, &lease), EINVAL, "range");
	ddfs_lease_delete(NULL);
	CHECK_SAME(client_nr_pins(fd), 0);
}

/* ---- behind a change that waits ------------------------------------------------------------- */

static void try_beside_waiting(void *arg)
{
	const int *fd = arg;
	struct ddfs_lease *lease;

	CHECK_ERROR(ddfs_lease_new(*fd, 0, 0, RW | DDFS_MAP_NOWAIT, &lease), EAGAIN, "waits");
	/* what nobody waits for may be had */
	CHECK_OK(ddfs_lease_new(*fd, 0, 4096, RW | DDFS_MAP_NOWAIT, &lease));
	ddfs_lease_delete(lease);
}

static void wait_for_lease(void *arg)
{
	const int *fd = arg;
	struct ddfs_lease *lease;

	CHECK_OK(ddfs_lease_new(*fd, 0, 0, RW, &lease));
	CHECK_SAME(client_file_size(*fd), client_unit());
	ddfs_lease_delete(lease);
}

static void test_waiting(void)
{
	const uint64_t unit = client_unit();
	int fd = client_file("f", 1, 3 * unit);
	struct ddfs_lease *lease = lease_of(fd, 0, 0, RW), *more;
	pid_t truncate = client_truncate_waiting("f", unit), other;

	CHECK_ERROR(ddfs_lease_new(fd, 0, 0, RW, &more), EDEADLK, "let go");
	CHECK_SAME(client_wait(client_fork(try_beside_waiting, &fd)), 0);
	other = client_fork(wait_for_lease, &fd);
	ddfs_lease_delete(lease);
	CHECK_SAME(client_wait(truncate), 0);
	CHECK_SAME(client_wait(other), 0);
}

static const struct client_test tests[] = {
	CLIENT_TEST(extents),
	CLIENT_TEST(device),
	CLIENT_TEST(device_mode),
	CLIENT_TEST(snapshot),
	CLIENT_TEST(grow),
	CLIENT_TEST(many),
	CLIENT_TEST(sync),
	CLIENT_TEST(not_dax),
	CLIENT_TEST(not_devdaxfs),
	CLIENT_TEST(directory),
	CLIENT_TEST(arguments),
	CLIENT_TEST(waiting),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return client_main("client_lease", tests, argc, argv);
}
