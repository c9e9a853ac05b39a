/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the library says of a file, for cases that mount in several ways:
 *
 *	probe read FILE		maps it for reading
 *	probe write FILE	maps it for reading and writing
 *	probe crash FILE	maps it, says "ready", and at a line of input, before which the
 *				daemon was killed, checks what is left
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

int main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";
	const bool is_reader = strcmp(what, "read") == 0;
	struct ddfs_mapping *m;
	int fd, ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(is_reader || strcmp(what, "write") == 0 || strcmp(what, "crash") == 0);
	fd = open(argv[2], is_reader ? O_RDONLY : O_RDWR);
	if (fd < 0) {
		printf("%s open\n", strerrorname_np(errno));
		return 0;
	}
	ret = ddfs_mapping_new(fd, 0, 0, DDFS_MAP_READ | (is_reader ? 0 : DDFS_MAP_WRITE), &m);
	if (!ret && strcmp(what, "crash") == 0)
		crash(fd, m);
	printf("%s %s\n", ret ? strerrorname_np(-ret) : "ok", ret ? ddfs_errormsg() : "");
	if (!ret)
		ddfs_mapping_delete(m);
	return 0;
}
