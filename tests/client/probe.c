/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the library says of a file, for cases that mount in several ways:
 *
 *	probe read FILE		maps it for reading
 *	probe write FILE	maps it for reading and writing
 *	probe crash FILE	maps it, says "ready", and at a line of input, before which the
 *				daemon was killed, checks what is left
 *	probe holes FILE	leases what can be read of it, and prints that, and what can't: a
 *				word, an offset and a length a line
 *
 * It prints the name of the errno, or "ok", and the library's sentence.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "tests/client/client.h"

static atomic_int nr_calls;

static void count(struct ddfs_lease *lease, void *arg)
{
	(void)lease;
	(void)arg;
	atomic_fetch_add(&nr_calls, 1);
}

/* Stores go on reaching the device; what needs the daemon says that it is gone. */
static void after_crash(int fd, struct ddfs_mapping *m)
{
	struct ddfs_lease *lease = ddfs_mapping_lease(m), *other;
	struct pollfd p = { .fd = ddfs_lease_fd(lease), .events = POLLPRI };
	char *address = ddfs_mapping_address(m);
	const size_t len = ddfs_mapping_len(m);

	client_pattern(address, 2, 0, len);
	ddfs_mapping_persist(m, address, len);
	CHECK(client_is_pattern(address, 2, 0, len));
	CHECK_ERROR(ddfs_mapping_sync(m, 0, 0), ENOTCONN, "");
	CHECK_ERROR(ddfs_lease_is_recalled(lease), ENOTCONN, "gone");
	CHECK_ERROR(ddfs_lease_new(fd, 0, 0, DDFS_MAP_READ, &other), ENOTCONN, "gone");
	CHECK_ERROR(ddfs_mapping_grow(m, len + 1), ENOTCONN, "gone");
	CHECK(client_is_pattern(address, 2, 0, len));
	CHECK_SAME(poll(&p, 1, 0), 1);
	CHECK(!(p.revents & POLLPRI));
	CHECK_SAME(atomic_load(&nr_calls), 0);
}

static void crash(int fd, struct ddfs_mapping *m)
{
	char line[8];

	CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(m), count, NULL));
	puts("ready");
	fflush(stdout);
	CHECK(fgets(line, sizeof(line), stdin) != NULL);
	after_crash(fd, m);
}

static void print_ranges(const char *word, const struct ddfs_extent_range *r, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		printf("%s %llu %llu\n", word, (unsigned long long)r[i].file_off,
			(unsigned long long)r[i].len);
}

static int holes(int fd)
{
	const struct ddfs_extent_range *r;
	struct ddfs_lease *lease;
	size_t nr;
	int ret = ddfs_lease_new(fd, 0, 0, DDFS_MAP_READ | DDFS_MAP_BAD_HOLES, &lease);

	if (ret)
		return ret;
	nr = ddfs_lease_extents(lease, &r);
	print_ranges("good", r, nr);
	nr = ddfs_lease_bad(lease, &r);
	print_ranges("bad", r, nr);
	ddfs_lease_delete(lease);
	return 0;
}

static int map(int fd, const char *what)
{
	const bool is_reader = strcmp(what, "read") == 0;
	struct ddfs_mapping *m;
	int ret = ddfs_mapping_new(fd, 0, 0, DDFS_MAP_READ | (is_reader ? 0 : DDFS_MAP_WRITE), &m);

	if (ret)
		return ret;
	if (strcmp(what, "crash") == 0)
		crash(fd, m);
	ddfs_mapping_delete(m);
	return 0;
}

static bool is_known(const char *what)
{
	static const char *const words[] = { "read", "write", "crash", "holes" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(what, words[i]) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";
	int fd, ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(is_known(what));
	fd = open(argv[2], strcmp(what, "read") == 0 ? O_RDONLY : O_RDWR);
	if (fd < 0) {
		printf("%s open\n", strerrorname_np(errno));
		return 0;
	}
	ret = strcmp(what, "holes") == 0 ? holes(fd) : map(fd, what);
	printf("%s %s\n", ret ? strerrorname_np(-ret) : "ok", ret ? ddfs_errormsg() : "");
	return 0;
}
