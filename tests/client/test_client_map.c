/* SPDX-License-Identifier: BSD-3-Clause */
/* Mappings: that they are the file's bytes, whatever the file looks like and becomes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "src/devdaxfs_ioctl.h"
#include "tests/client/client.h"

#define RW (DDFS_MAP_READ | DDFS_MAP_WRITE)

static struct ddfs_mapping *map(int fd, uint64_t off, uint64_t len, unsigned int flags)
{
	struct ddfs_mapping *m;

	CHECK_OK(ddfs_mapping_new(fd, off, len, flags, &m));
	return m;
}

static size_t nr_extents(const struct ddfs_mapping *m)
{
	const struct ddfs_extent_range *extents;

	return ddfs_lease_extents(ddfs_mapping_lease(m), &extents);
}

/* ---- the file's bytes ----------------------------------------------------------------------- */

static void test_whole(void)
{
	const uint64_t size = 3 * client_piece() + 12345;
	int fd = client_file("f", 1, size), again = open("f", O_RDONLY);
	struct ddfs_mapping *m = map(again, 0, 0, DDFS_MAP_READ);

	close(again);
	CHECK_SAME(ddfs_mapping_len(m), size);
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, size));
	client_pwrite(fd, 2, 1000, 100000);
	CHECK(client_is_pattern((char *)ddfs_mapping_address(m) + 1000, 2, 1000, 100000));
	ddfs_mapping_delete(m);
	CHECK_SAME(client_nr_pins(fd), 0);
}

static void test_store(void)
{
	const uint64_t size = 2 * client_piece() + 777;
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m = map(fd, 0, 0, RW);
	char *p = ddfs_mapping_address(m);

	CHECK_SAME(ddfs_mapping_len(m), size);
	client_pattern(p, 2, 0, size);
	ddfs_mapping_persist(m, p, size);
	CHECK(client_file_is(fd, 2, 0, size));
	CHECK_OK(ddfs_mapping_sync(m, 0, 0));
	CHECK_SAME(client_file_size(fd), size);
	ddfs_mapping_delete(m);
	CHECK(client_file_is(fd, 2, 0, size));
}

static void test_part(void)
{
	const uint64_t piece = client_piece(), size = 4 * piece, off = piece + 5 * 4096;
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m = map(fd, off, 10000, RW);
	char *p = ddfs_mapping_address(m);

	CHECK_SAME(ddfs_mapping_len(m), 10000);
	CHECK(client_is_pattern(p, 1, off, 10000));
	ddfs_mapping_memset(m, p, 0, 10000);
	client_pattern(p, 1, off, 10000);
	CHECK(client_file_is(fd, 1, 0, size));
	client_pattern(p, 2, off, 10000);
	CHECK(client_file_is(fd, 1, 0, off));
	CHECK(client_file_is(fd, 2, off, 10000));
	CHECK(client_file_is(fd, 1, off + 10000, size - off - 10000));
	ddfs_mapping_delete(m);
}

/* Every other unit is taken out of the file, which leaves the rest where it is. */
static void test_fragments(void)
{
	const uint64_t unit = client_unit(), nr = 150;
	struct ddfs_ioc_fallocate collapse = { .mode = FALLOC_FL_COLLAPSE_RANGE, .len = unit };
	int fd = client_file("f", 1, 2 * nr * unit);
	struct ddfs_mapping *m;
	uint64_t i;

	for (i = 0; i < nr - 1; i++) {
		collapse.off = (i + 1) * unit;
		CHECK(ioctl(fd, DDFS_IOC_FALLOCATE, &collapse) == 0);
	}
	CHECK(ftruncate(fd, (off_t)(nr * unit)) == 0);
	m = map(fd, 0, 0, RW);
	CHECK_SAME(ddfs_mapping_len(m), nr * unit);
	CHECK_SAME(nr_extents(m), nr);
	for (i = 0; i < nr; i++)
		CHECK(client_is_pattern(
			(char *)ddfs_mapping_address(m) + i * unit, 1, 2 * i * unit, unit));
	client_pattern(ddfs_mapping_address(m), 3, 0, nr * unit);
	CHECK(client_file_is(fd, 3, 0, nr * unit));
	ddfs_mapping_delete(m);
	/* from the middle of one to the middle of another */
	m = map(fd, 7 * unit, 100 * unit + 5, RW);
	CHECK(client_is_pattern(ddfs_mapping_address(m), 3, 7 * unit, 100 * unit + 5));
	ddfs_mapping_delete(m);
}

static bool is_zero(const char *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static void test_holes(void)
{
	const uint64_t piece = client_piece(), size = 8 * piece + 5;
	int fd = client_file("f", 1, 0), reader = open("f", O_RDONLY);
	struct ddfs_mapping *m;
	char *p;

	CHECK(ftruncate(fd, (off_t)size) == 0);
	client_pwrite(fd, 1, 3 * piece + 100, 200);
	CHECK_ERROR(ddfs_mapping_new(reader, 0, 0, DDFS_MAP_READ, &m), EBADF, "holes");
	CHECK_SAME(client_nr_pins(fd), 0);
	m = map(fd, 0, 0, RW);
	p = ddfs_mapping_address(m);
	CHECK(is_zero(p, 3 * piece + 100));
	CHECK(client_is_pattern(p + 3 * piece + 100, 1, 3 * piece + 100, 200));
	CHECK(is_zero(p + 3 * piece + 300, size - 3 * piece - 300));
	client_pattern(p, 2, 0, size);
	CHECK(client_file_is(fd, 2, 0, size));
	ddfs_mapping_delete(m);
	/* now it has none */
	ddfs_mapping_delete(map(reader, 0, 0, DDFS_MAP_READ));
	close(reader);
}

/* What fallocate(2) promised is zeroes until stored to, whatever the pages held. */
static void test_unwritten(void)
{
	const uint64_t piece = client_piece(), size = 4 * piece;
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m;

	CHECK(ftruncate(fd, 0) == 0);
	CHECK(fallocate(fd, 0, 0, (off_t)size) == 0);
	m = map(fd, 0, 0, RW);
	CHECK(is_zero(ddfs_mapping_address(m), size));
	ddfs_mapping_delete(m);
}

static void test_two(void)
{
	const uint64_t size = client_piece();
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *a = map(fd, 0, 0, RW), *b = map(fd, 4096, 0, RW);

	client_pattern(ddfs_mapping_address(a), 2, 0, size);
	CHECK(client_is_pattern(ddfs_mapping_address(b), 2, 4096, size - 4096));
	ddfs_mapping_delete(a);
	client_pattern(ddfs_mapping_address(b), 3, 4096, size - 4096);
	CHECK(client_file_is(fd, 3, 4096, size - 4096));
	ddfs_mapping_delete(b);
}

static void test_unlinked(void)
{
	const uint64_t size = 2 * client_piece();
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m;

	CHECK(unlink("f") == 0);
	m = map(fd, 0, 0, RW);
	close(fd);
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, size));
	client_pattern(ddfs_mapping_address(m), 2, 0, size);
	CHECK_OK(ddfs_mapping_sync(m, 0, 0));
	CHECK(client_is_pattern(ddfs_mapping_address(m), 2, 0, size));
	ddfs_mapping_delete(m);
}

/* ---- growing -------------------------------------------------------------------------------- */

static void test_grow(void)
{
	static const size_t sizes[] = { 101, 4096, 4097, 3 << 20, (3 << 20) + 1, 11 << 20,
		64 << 20 };
	int fd = client_file("f", 1, 0);
	struct ddfs_mapping *m = map(fd, 0, 100, RW | DDFS_MAP_GROW);
	struct ddfs_lease *lease = ddfs_mapping_lease(m);
	size_t i, before = 100;

	CHECK_SAME(client_file_size(fd), 100);
	client_pattern(ddfs_mapping_address(m), 1, 0, 100);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CHECK_OK(ddfs_mapping_grow(m, sizes[i]));
		CHECK_SAME(ddfs_mapping_len(m), sizes[i]);
		CHECK_SAME(client_file_size(fd), sizes[i]);
		CHECK_SAME(client_nr_pins(fd), 1);
		CHECK(ddfs_mapping_lease(m) == lease);
		CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, before));
		CHECK(is_zero((char *)ddfs_mapping_address(m) + before, sizes[i] - before));
		client_pattern(ddfs_mapping_address(m), 1, 0, sizes[i]);
		CHECK(client_file_is(fd, 1, 0, sizes[i]));
		before = sizes[i];
	}
	CHECK_OK(ddfs_mapping_grow(m, before));
	CHECK_ERROR(ddfs_mapping_grow(m, before - 1), EINVAL, "grow");
	ddfs_mapping_delete(m);
	CHECK_SAME(client_nr_pins(fd), 0);
}

/* From the middle of a file, by what others appended meanwhile too. */
static void test_grow_middle(void)
{
	const uint64_t piece = client_piece(), size = 2 * piece, off = piece + 4096;
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m = map(fd, off, 4096, RW);

	client_pwrite(fd, 1, size, 3 * piece);
	CHECK_OK(ddfs_mapping_grow(m, 3 * piece));
	CHECK_SAME(client_file_size(fd), 5 * piece);
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, off, 3 * piece));
	CHECK_OK(ddfs_mapping_grow(m, 5 * piece));
	CHECK_SAME(client_file_size(fd), off + 5 * piece);
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, off, 5 * piece - off));
	ddfs_mapping_delete(m);
}

static void test_grow_full(void)
{
	const uint64_t size = client_piece();
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m = map(fd, 0, 0, RW);

	CHECK_ERROR(ddfs_mapping_grow(m, (size_t)1 << 43), ENOSPC, "room");
	CHECK_SAME(ddfs_mapping_len(m), size);
	CHECK_SAME(client_nr_pins(fd), 1);
	client_pattern(ddfs_mapping_address(m), 2, 0, size);
	CHECK(client_file_is(fd, 2, 0, size));
	CHECK_OK(ddfs_mapping_grow(m, 2 * size));
	CHECK(client_is_pattern(ddfs_mapping_address(m), 2, 0, size));
	ddfs_mapping_delete(m);
}

static void test_grow_reader(void)
{
	int fd = client_file("f", 1, 8192), reader = open("f", O_RDONLY);
	struct ddfs_mapping *m = map(reader, 0, 0, DDFS_MAP_READ);

	CHECK_ERROR(ddfs_mapping_grow(m, 9000), EBADF, "open");
	CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, 8192));
	CHECK_SAME(client_file_size(fd), 8192);
	ddfs_mapping_delete(m);
}

/* ---- persistence ---------------------------------------------------------------------------- */

static void test_persist(void)
{
	const uint64_t size = client_piece() + 4096;
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m = map(fd, 0, 0, RW);
	char *p = ddfs_mapping_address(m), *bytes = malloc(size);

	client_pattern(p, 2, 0, size);
	ddfs_mapping_flush(m, p, size / 2);
	ddfs_mapping_flush(m, p + size / 2, size - size / 2);
	ddfs_mapping_flush(m, p + 3, 0);
	ddfs_mapping_drain(m);
	ddfs_mapping_persist(m, p + 1, 1);
	ddfs_mapping_persist(m, p + size - 1, 1);
	CHECK(client_file_is(fd, 2, 0, size));

	client_pattern(bytes, 3, 1, size - 1);
	CHECK(ddfs_mapping_memcpy(m, p + 1, bytes, size - 1) == p + 1);
	CHECK(client_file_is(fd, 3, 1, size - 1));
	CHECK(ddfs_mapping_memset(m, p + 5, 7, 70000) == p + 5);
	memset(bytes, 7, 70000);
	CHECK(memcmp(p + 5, bytes, 70000) == 0);
	CHECK(client_is_pattern(p + 70005, 3, 70005, size - 70005));
	free(bytes);
	ddfs_mapping_delete(m);
}

static void test_overlap(void)
{
	const uint64_t size = 64 * KIB;
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m = map(fd, 0, 0, RW);
	char *p = ddfs_mapping_address(m);

	ddfs_mapping_memcpy(m, p + 100, p, size - 100);
	CHECK(client_is_pattern(p + 100, 1, 0, size - 100));
	ddfs_mapping_memcpy(m, p, p + 100, size - 100);
	CHECK(client_is_pattern(p, 1, 0, size - 100));
	ddfs_mapping_delete(m);
}

static void test_sync(void)
{
	const uint64_t size = 100000;
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m = map(fd, 8192, 50000, RW);

	CHECK_OK(ddfs_mapping_sync(m, 0, 0));
	CHECK_OK(ddfs_mapping_sync(m, 4097, 3));
	CHECK_OK(ddfs_mapping_sync(m, 0, 50000));
	CHECK_OK(ddfs_mapping_sync(m, 50000, 0));
	CHECK_ERROR(ddfs_mapping_sync(m, 50001, 0), EINVAL, "range");
	CHECK_ERROR(ddfs_mapping_sync(m, 1, 50000), EINVAL, "range");
	CHECK_ERROR(ddfs_mapping_sync(m, SIZE_MAX, 2), EINVAL, "range");
	ddfs_mapping_delete(m);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void test_past_end(void)
{
	int fd = client_file("f", 1, 100), empty = client_file("empty", 1, 0);
	struct ddfs_mapping *m;

	CHECK_ERROR(ddfs_mapping_new(empty, 0, 0, RW, &m), ENXIO, "GROW");
	CHECK_ERROR(ddfs_mapping_new(empty, 0, 1, RW, &m), ENXIO, "GROW");
	CHECK_ERROR(ddfs_mapping_new(fd, 4096, 0, RW, &m), ENXIO, "GROW");
	CHECK_ERROR(ddfs_mapping_new(fd, 0, 4097, RW, &m), ENXIO, "GROW");
	CHECK_ERROR(ddfs_mapping_new(fd, 0, 1 << 30, RW, &m), ENXIO, "GROW");
	CHECK_SAME(client_nr_pins(fd), 0);
	m = map(fd, 0, 4096, RW);
	CHECK_SAME(ddfs_mapping_len(m), 4096);
	CHECK(is_zero((char *)ddfs_mapping_address(m) + 100, 3996));
	ddfs_mapping_delete(m);
	CHECK_SAME(client_file_size(fd), 100);
}

static void test_access(void)
{
	int fd = client_file("f", 1, 100);
	int reader = open("f", O_RDONLY), writer = open("f", O_WRONLY), path = open("f", O_PATH);
	struct ddfs_mapping *m;

	CHECK_ERROR(ddfs_mapping_new(reader, 0, 0, RW, &m), EBADF, "O_RDWR");
	CHECK_ERROR(ddfs_mapping_new(reader, 0, 200, DDFS_MAP_READ | DDFS_MAP_GROW, &m), EBADF,
		"O_RDWR");
	CHECK_ERROR(ddfs_mapping_new(writer, 0, 0, RW, &m), EBADF, "reading");
	CHECK_ERROR(ddfs_mapping_new(writer, 0, 0, DDFS_MAP_READ, &m), EBADF, "reading");
	CHECK_ERROR(ddfs_mapping_new(path, 0, 0, DDFS_MAP_READ, &m), EBADF, "reading");
	CHECK_ERROR(ddfs_mapping_new(-1, 0, 0, RW, &m), EBADF, "-1");
	CHECK_SAME(client_nr_pins(fd), 0);
}

static sigjmp_buf fault;

static void on_fault(int number)
{
	siglongjmp(fault, number);
}

static void test_store_to_reader(void)
{
	struct sigaction action = { .sa_handler = on_fault };
	int fd = client_file("f", 1, 8192);
	struct ddfs_mapping *m = map(fd, 0, 0, DDFS_MAP_READ);

	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	if (sigsetjmp(fault, 1) == 0) {
		*(volatile char *)ddfs_mapping_address(m) = 1;
		CHECK(!"a store to a mapping for reading");
	}
	CHECK(client_file_is(fd, 1, 0, 8192));
	ddfs_mapping_delete(m);
}

static void test_arguments(void)
{
	int fd = client_file("f", 1, 100000);
	struct ddfs_mapping *m;

	CHECK_ERROR(ddfs_mapping_new(fd, 1, 0, RW, &m), EINVAL, "page");
	CHECK_ERROR(ddfs_mapping_new(fd, 512, 4096, RW, &m), EINVAL, "page");
	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, 0, &m), EINVAL, "DDFS_MAP_READ");
	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, DDFS_MAP_NOWAIT, &m), EINVAL, "DDFS_MAP_READ");
	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, RW | 0x100, &m), EINVAL, "0x10");
	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, RW | DDFS_MAP_GROW, &m), EINVAL, "length");
	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, RW | DDFS_MAP_SNAPSHOT, &m), EINVAL, "SNAPSHOT");
	CHECK_ERROR(ddfs_mapping_new(fd, 4096, UINT64_MAX, RW, &m), EINVAL, "range");
	CHECK_ERROR(ddfs_mapping_new(fd, (uint64_t)1 << 63, 1, RW, &m), EINVAL, "range");
	ddfs_mapping_delete(NULL);
	CHECK_SAME(client_nr_pins(fd), 0);
}

static const struct client_test tests[] = {
	CLIENT_TEST(whole),
	CLIENT_TEST(store),
	CLIENT_TEST(part),
	CLIENT_TEST(fragments),
	CLIENT_TEST(holes),
	CLIENT_TEST(unwritten),
	CLIENT_TEST(two),
	CLIENT_TEST(unlinked),
	CLIENT_TEST(grow),
	CLIENT_TEST(grow_middle),
	CLIENT_TEST(grow_full),
	CLIENT_TEST(grow_reader),
	CLIENT_TEST(persist),
	CLIENT_TEST(overlap),
	CLIENT_TEST(sync),
	CLIENT_TEST(past_end),
	CLIENT_TEST(access),
	CLIENT_TEST(store_to_reader),
	CLIENT_TEST(arguments),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return client_main("client_map", tests, argc, argv);
}
