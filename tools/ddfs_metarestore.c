/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs metarestore: the image that a metadump was made of, without the contents of files. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/ddfs.h"
#include "tools/ddfs_metadump.h"
#include "tools/ddfs_newfile.h"

struct restore {
	struct ddfs_newfile f;
	int err; /* of the image; what was said then is said */
	uint64_t nr_blocks;
};

static int make_room(void *arg, const struct ddfs_metadump_head *h)
{
	struct restore *r = arg;
	uint64_t bytes = ddfs_le64(h->device_bytes);

	if (bytes > INT64_MAX || ftruncate(r->f.fd, (off_t)bytes))
		r->err = bytes > INT64_MAX ? -EFBIG : -errno;
	return r->err;
}

static int store_run(void *arg, uint64_t start, uint32_t nr, const uint8_t *blocks)
{
	size_t len = nr * (size_t)DDFS_BLOCK_BYTES;
	off_t off = (off_t)(start * DDFS_BLOCK_BYTES);
	struct restore *r = arg;

	r->nr_blocks += nr;
	while (len && !r->err) {
		ssize_t n = pwrite(r->f.fd, blocks, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r->err = n < 0 ? -errno : -EIO;
			break;
		}
		blocks += n;
		off += n;
		len -= (size_t)n;
	}
	return r->err;
}

static void complain(const char *file, const char *image, const struct restore *r, int err)
{
	if (r->err)
		fprintf(stderr, "ddfs: cannot write %s: %s\n", image, strerror(-r->err));
	else if (err == -EINVAL)
		fprintf(stderr, "ddfs: %s is no metadump; ddfs metadump makes one\n", file);
	else if (err == -EOPNOTSUPP)
		fprintf(stderr,
			"ddfs: %s is a metadump of another version; a newer ddfs is needed\n",
			file);
	else if (err == -EBADMSG)
		fprintf(stderr, "ddfs: %s is damaged: have it sent, or made, again\n", file);
	else if (err == -ENODATA)
		fprintf(stderr, "ddfs: %s was cut short: have it sent, or made, again\n", file);
	else
		fprintf(stderr, "ddfs: cannot read %s: %s\n", file, strerror(-err));
}

static int restore(int fd, const char *file, const char *image)
{
	struct restore r = { .nr_blocks = 0 };
	struct ddfs_metadump_reading reading = { make_room, store_run, &r };
	int err = ddfs_newfile_open(image, &r.f);

	if (err)
		return err;
	err = ddfs_metadump_read(fd, &reading);
	if (err) {
		complain(file, image, &r, err);
		ddfs_newfile_drop(&r.f);
		return err;
	}
	err = ddfs_newfile_keep(&r.f);
	if (!err)
		printf("%" PRIu64 " blocks of %u bytes restored to %s\n", r.nr_blocks,
			DDFS_BLOCK_BYTES, image);
	return err;
}

static void print_usage(FILE *to)
{
	fprintf(to,
		"usage: ddfs metarestore FILE IMAGE\n"
		"%s.\n"
		"\n"
		"  -h, --help   print this\n",
		ddfs_command_metarestore.summary);
}

static int metarestore_run(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	int option = getopt_long(argc, argv, "h", options, NULL), fd, err;

	if (option == 'h') {
		print_usage(stdout);
		return 0;
	}
	if (option >= 0)
		return -EINVAL;
	if (optind != argc - 2) {
		print_usage(stderr);
		return -EINVAL;
	}
	fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		fprintf(stderr, "ddfs: cannot open %s: %s\n", argv[optind], strerror(-err));
		return err;
	}
	err = restore(fd, argv[optind], argv[optind + 1]);
	close(fd);
	return err;
}

const struct ddfs_command ddfs_command_metarestore = {
	.name = "metarestore",
	.synopsis = "FILE IMAGE",
	.summary = "Make an image of a metadump",
	.run = metarestore_run,
};
