/* SPDX-License-Identifier: BSD-3-Clause */
/* From an address to the file: what lies where, while mappings come, grow and go. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "tests/client/client.h"

#define RW (DDFS_MAP_READ | DDFS_MAP_WRITE)

static struct ddfs_mapping *map(int fd, uint64_t off, uint64_t len, unsigned int flags)
{
	struct ddfs_mapping *m;

	CHECK_OK(ddfs_mapping_new(fd, off, len, flags, &m));
	return m;
}

static char *at(const struct ddfs_mapping *m, uint64_t off)
{
	return (char *)ddfs_mapping_address(m) + off;
}

static void check_path(const char *path, const char *name)
{
	char want[PATH_MAX], directory[PATH_MAX - 64];

	CHECK(getcwd(directory, sizeof(directory)) != NULL);
	snprintf(want, sizeof(want), "%s/%s", directory, name);
	if (strcmp(path, want) != 0)
		client_fail(__FILE__, __LINE__, "the path is %s, want %s", path, want);
}

/* The byte of the mapping is that one of the file. */
static void check_at(
	const struct ddfs_mapping *m, uint64_t off, const char *name, uint64_t file_off)
{
	struct ddfs_poison p;

	CHECK_SAME(ddfs_poison_find(at(m, off), &p), 0);
	CHECK(p.addr == at(m, off));
	CHECK(p.mapping == m);
	CHECK_SAME(p.file_off, file_off / 4096 * 4096);
	CHECK_SAME(p.len, 4096);
	CHECK_SAME(p.is_notice, 0);
	check_path(p.path, name);
}

static void check_nothing_at(const void *addr)
{
	struct ddfs_poison p;

	memset(&p, 'x', sizeof(p));
	CHECK_SAME(ddfs_poison_find(addr, &p), -ENOENT);
	CHECK_SAME(p.file_off, UINT64_C(0x7878787878787878)); /* untouched */
}

static void test_several(void)
{
	const uint64_t piece = client_piece(), size = 4 * piece;
	int fd = client_file("f", 1, size), other = client_file("g", 1, piece);
	struct ddfs_mapping *whole = map(fd, 0, 0, RW), *part = map(fd, piece + 8192, 10000, RW),
			    *g = map(other, 0, 0, DDFS_MAP_READ);

	check_at(whole, 0, "f", 0);
	check_at(whole, 4095, "f", 4095);
	check_at(whole, 4096, "f", 4096);
	check_at(whole, size - 1, "f", size - 1);
	check_at(part, 0, "f", piece + 8192);
	check_at(part, 9999, "f", piece + 8192 + 9999);
	check_at(g, piece - 1, "g", piece - 1);
	check_nothing_at(&fd);
	check_nothing_at(NULL);
	check_nothing_at((void *)UINTPTR_MAX);
	ddfs_mapping_delete(part);
	check_at(whole, size - 1, "f", size - 1);
	check_at(g, 5, "g", 5);
	ddfs_mapping_delete(g);
	check_at(whole, 7, "f", 7);
	ddfs_mapping_delete(whole);
}

/* What lies beside it in memory is another's, or nobody's. */
static void test_edges(void)
{
	const uint64_t size = client_piece();
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m = map(fd, 0, 0, RW);
	struct ddfs_poison p;
	char *first = at(m, 0);

	if (ddfs_poison_find(first - 1, &p) == 0)
		CHECK(p.mapping != m);
	if (ddfs_poison_find(first + size, &p) == 0)
		CHECK(p.mapping != m);
	ddfs_mapping_delete(m);
	check_nothing_at(first);
	check_nothing_at(first + size - 1);
}

static void test_grown(void)
{
	const uint64_t piece = client_piece();
	int fd = client_file("f", 1, piece);
	struct ddfs_mapping *m = map(fd, 4096, 0, RW);
	struct ddfs_poison p;
	char *before = at(m, 0);

	CHECK_OK(ddfs_mapping_grow(m, 20 * piece));
	check_at(m, 0, "f", 4096);
	check_at(m, 20 * piece - 1, "f", 4096 + 20 * piece - 1);
	if (ddfs_poison_find(before, &p) == 0) /* the kernel may have put it there again */
		CHECK(p.file_off == (uint64_t)(before - at(m, 0)) + 4096);
	CHECK_ERROR(ddfs_mapping_grow(m, (size_t)1 << 43), ENOSPC, "room");
	check_at(m, 20 * piece - 1, "f", 4096 + 20 * piece - 1);
	before = at(m, 0);
	ddfs_mapping_delete(m);
	check_nothing_at(before);
}

/* The name is that of the time when it was mapped. */
static void test_names(void)
{
	int fd = client_file("f", 1, 4096);
	struct ddfs_mapping *m = map(fd, 0, 0, RW), *later;

	CHECK(rename("f", "g") == 0);
	check_at(m, 0, "f", 0);
	later = map(fd, 0, 0, RW);
	check_at(later, 0, "g", 0);
	CHECK(unlink("g") == 0);
	check_at(later, 0, "g", 0);
	ddfs_mapping_delete(later);
	later = map(fd, 0, 0, RW);
	check_at(later, 0, "g (deleted)", 0);
	ddfs_mapping_delete(later);
	ddfs_mapping_delete(m);
}

static void test_refused(void)
{
	int fd = client_file("f", 1, 8192);
	const struct ddfs_extent_range *bad;
	struct ddfs_mapping *m;
	struct ddfs_lease *lease;

	CHECK_ERROR(ddfs_mapping_new(fd, 0, 0, RW | DDFS_MAP_BAD_HOLES, &m), EINVAL, "BAD_HOLES");
	/* The flag asks for nothing where nothing is bad. */
	CHECK_OK(ddfs_lease_new(fd, 0, 0, RW | DDFS_MAP_BAD_HOLES, &lease));
	CHECK_SAME(ddfs_lease_bad(lease, &bad), 0);
	ddfs_lease_delete(lease);
}

/* ---- fork ----------------------------------------------------------------------------------- */

static void in_child(void *arg)
{
	struct ddfs_mapping *m = arg, *own;
	int fd = open("f", O_RDWR);

	check_nothing_at((void *)(uintptr_t)strtoull(getenv("ADDRESS"), NULL, 0));
	CHECK(fd >= 0);
	own = map(fd, 0, 0, RW);
	check_at(own, 4096, "f", 4096);
	ddfs_mapping_delete(m);
	check_at(own, 0, "f", 0);
	ddfs_mapping_delete(own);
}

static void test_fork(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_mapping *m = map(fd, 0, 0, RW);
	char address[32];

	snprintf(address, sizeof(address), "%p", ddfs_mapping_address(m));
	CHECK(setenv("ADDRESS", address, 1) == 0);
	CHECK_SAME(client_wait(client_fork(in_child, m)), 0);
	check_at(m, 4096, "f", 4096);
	ddfs_mapping_delete(m);
}

/* ---- threads -------------------------------------------------------------------------------- */

static atomic_bool is_over;
static atomic_ulong nr_looks;

/* Mappings that others do not touch are found at any time. */
static void *look(void *arg)
{
	const struct ddfs_mapping *m = arg;
	struct ddfs_poison p;

	while (!atomic_load(&is_over)) {
		for (uint64_t off = 0; off < 8192; off += 4096) {
			CHECK_SAME(ddfs_poison_find(at(m, off), &p), 0);
			CHECK(p.mapping == m && p.file_off == off && strstr(p.path, "/f"));
		}
		atomic_fetch_add(&nr_looks, 1);
	}
	return NULL;
}

static void *come_and_go(void *arg)
{
	const int fd = *(const int *)arg;
	struct ddfs_mapping *m[8];
	int i, round;

	for (round = 0; round < 300; round++) {
		for (i = 0; i < 8; i++)
			m[i] = map(fd, 0, 4096, RW);
		CHECK_OK(ddfs_mapping_grow(m[round % 8], 8192));
		check_at(m[round % 8], 4096, "g", 4096);
		for (i = 0; i < 8; i++)
			ddfs_mapping_delete(m[(i + round) % 8]);
	}
	return NULL;
}

static void test_threads(void)
{
	int fd = client_file("f", 1, 8192), other = client_file("g", 1, 8192), i;
	struct ddfs_mapping *m[2] = { map(fd, 0, 0, RW), map(fd, 0, 0, RW) };
	pthread_t looker[2], mapper[2];

	for (i = 0; i < 2; i++) {
		CHECK(pthread_create(&looker[i], NULL, look, m[i]) == 0);
		CHECK(pthread_create(&mapper[i], NULL, come_and_go, &other) == 0);
	}
	for (i = 0; i < 2; i++)
		CHECK(pthread_join(mapper[i], NULL) == 0);
	WAIT_UNTIL(atomic_load(&nr_looks) > 100);
	atomic_store(&is_over, true);
	for (i = 0; i < 2; i++) {
		CHECK(pthread_join(looker[i], NULL) == 0);
		ddfs_mapping_delete(m[i]);
	}
}

static const struct client_test tests[] = {
	CLIENT_TEST(several),
	CLIENT_TEST(edges),
	CLIENT_TEST(grown),
	CLIENT_TEST(names),
	CLIENT_TEST(refused),
	CLIENT_TEST(fork),
	CLIENT_TEST(threads),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return client_main("client_poison", tests, argc, argv);
}
