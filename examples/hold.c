/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Maps a DAX file, stores a text at its start, and keeps its pages until somebody needs them:
 *
 *	# mkdir /mnt/dax && chattr +x /mnt/dax
 *	# hold /mnt/dax/file hello &
 *	/mnt/dax/file: 5 bytes stored at 0x7f3c00000000; holding byte 4194304 of the device on
 *	# truncate -s 0 /mnt/dax/file
 *	/mnt/dax/file: recalled, letting go
 *
 * The truncate ends when hold has let go, and not before.
 */
#include <devdaxfs.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ddfs_mapping *map_file(const char *path, size_t len)
{
	int fd = open(path, O_RDWR | O_CREAT, 0666);
	struct ddfs_mapping *mapping;

	if (fd < 0)
		err(1, "%s", path);
	if (ddfs_mapping_new(fd, 0, len, DDFS_MAP_READ | DDFS_MAP_WRITE | DDFS_MAP_GROW, &mapping))
		errx(1, "%s: %s", path, ddfs_errormsg());
	close(fd); /* the mapping has its own */
	return mapping;
}

static void show(const char *path, const struct ddfs_mapping *mapping)
{
	const struct ddfs_extent_range *extents;
	size_t nr = ddfs_lease_extents(ddfs_mapping_lease(mapping), &extents);

	printf("%s: %zu bytes stored at %p; holding byte %llu of the device on%s\n", path,
		ddfs_mapping_len(mapping), ddfs_mapping_address(mapping),
		(unsigned long long)extents[0].device_off, nr > 1 ? ", and others" : "");
	fflush(stdout);
}

static void wait_recall(const struct ddfs_lease *lease)
{
	struct pollfd p = { .fd = ddfs_lease_fd(lease), .events = POLLPRI };

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			err(1, "poll");
	if (!(p.revents & POLLPRI))
		errx(1, "the filesystem is gone");
}

int main(int argc, char **argv)
{
	struct ddfs_mapping *mapping;
	size_t len;

	if (argc != 3 || !argv[2][0]) {
		fprintf(stderr, "usage: hold FILE TEXT\n");
		return 2;
	}
	len = strlen(argv[2]);
	mapping = map_file(argv[1], len);
	ddfs_mapping_memcpy(mapping, ddfs_mapping_address(mapping), argv[2], len);
	show(argv[1], mapping);

	wait_recall(ddfs_mapping_lease(mapping));
	printf("%s: recalled, letting go\n", argv[1]);
	if (ddfs_mapping_sync(mapping, 0, 0))
		warnx("%s: %s", argv[1], ddfs_errormsg());
	ddfs_mapping_delete(mapping);
	return 0;
}
