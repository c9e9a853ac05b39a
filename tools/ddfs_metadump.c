/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs metadump: an image without the contents of its files, to send with a bug report. */
#include "tools/ddfs_metadump.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ddfs.h"
#include "tools/ddfs_metadump_collect.h"
#include "tools/ddfs_metadump_scramble.h"
#include "tools/ddfs_newfile.h"
#include "tools/ddfs_source.h"

struct request {
	const char *source, *file;
	bool scramble;
	bool done; /* help was asked for */
};

static void print_usage(FILE *to)
{
	fprintf(to,
		"usage: ddfs metadump [options] SOURCE FILE\n"
		"%s. SOURCE is as for mounting.\n"
		"\n"
		"  -s, --scramble-names   make names, symlink targets, the label and the values "
		"of\n"
		"                         extended attributes unreadable\n"
		"  -h, --help             print this\n",
		ddfs_command_metadump.summary);
}

static int take_arguments(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "scramble-names", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "sh", options, NULL)) >= 0) {
		if (option == 'h') {
			print_usage(stdout);
			r->done = true;
			return 0;
		}
		if (option != 's') /* getopt has said what */
			return -EINVAL;
		r->scramble = true;
	}
	if (optind != argc - 2) {
		print_usage(stderr);
		return -EINVAL;
	}
	r->source = argv[optind];
	r->file = argv[optind + 1];
	return 0;
}

/* ---- collecting ----------------------------------------------------------------------------- */

static size_t bitmap_words(const struct ddfs_image *img)
{
	return (img->nr_blocks + 63) / 64;
}

/* What an image has before its lanes are replayed, and what it has then: both may be looked for. */
static int collect_plain(struct ddfs_collect *c)
{
	struct ddfs_image replayed;
	int err = ddfs_collect_fixed(c);

	if (err)
		return err;
	ddfs_collect_inodes(c);
	err = ddfs_image_open(c->img->media, DDFS_IMAGE_REPLAY, &replayed);
	if (err)
		return err;
	if (replayed.overlay) {
		memset(c->seen, 0, bitmap_words(c->img) * sizeof(*c->seen));
		c->img = &replayed;
		ddfs_collect_inodes(c);
	}
	ddfs_image_close(&replayed);
	return 0;
}

/* As recovery would leave it: what lanes hold could not be kept apart. */
static int collect_scrambled(struct ddfs_collect *c)
{
	struct ddfs_image replayed;
	int err = ddfs_image_open(c->img->media, DDFS_IMAGE_REPLAY, &replayed);

	if (err)
		return err;
	c->img = c->from = &replayed;
	err = ddfs_scramble_new(&replayed, &c->scramble);
	if (!err) {
		err = ddfs_collect_fixed(c);
		ddfs_collect_inodes(c);
		c->nr_left_out += ddfs_scramble_nr_lost(c->scramble);
		ddfs_scramble_delete(c->scramble);
	}
	ddfs_image_close(&replayed);
	return err;
}

static void report(const struct request *r, const struct ddfs_collect *c, uint64_t nr_blocks)
{
	printf("%" PRIu64 " blocks of %u bytes written to %s\n", nr_blocks, DDFS_BLOCK_BYTES,
		r->file);
	if (c->nr_unreadable)
		fprintf(stderr, "ddfs: %" PRIu64 " blocks can't be read, and are left out\n",
			c->nr_unreadable);
	if (c->nr_left_out)
		fprintf(stderr,
			"ddfs: %" PRIu64 " damaged structures are left out, or in part: what they "
			"hold might be %s\n",
			c->nr_left_out, r->scramble ? "names" : "data");
}

static int collect(struct ddfs_collect *c, const struct request *r, int fd, uint64_t *nr_blocks)
{
	uint64_t bytes = c->img->nr_blocks * DDFS_BLOCK_BYTES;
	int err, ret;

	c->done = calloc(bitmap_words(c->img), sizeof(*c->done));
	c->seen = calloc(bitmap_words(c->img), sizeof(*c->seen));
	err = -ENOMEM;
	if (c->done && c->seen)
		err = ddfs_metadump_writer_new(
			fd, bytes, r->scramble ? DDFS_METADUMP_SCRAMBLED : 0, &c->to);
	if (!err) {
		err = r->scramble ? collect_scrambled(c) : collect_plain(c);
		ret = ddfs_metadump_writer_end(c->to, nr_blocks);
		err = err ? err : ret;
	}
	free(c->done);
	free(c->seen);
	return err;
}

static int metadump(const struct request *r, const struct ddfs_source_image *s)
{
	struct ddfs_collect c = { .img = &s->img, .from = &s->img };
	struct ddfs_newfile f;
	uint64_t nr_blocks;
	int err;

	if (s->err)
		return ddfs_source_complain(s, r->source);
	err = ddfs_newfile_open(r->file, &f);
	if (err)
		return err;
	err = collect(&c, r, f.fd, &nr_blocks);
	if (err) {
		fprintf(stderr, "ddfs: cannot write %s: %s\n", r->file, strerror(-err));
		ddfs_newfile_drop(&f);
		return err;
	}
	err = ddfs_newfile_keep(&f);
	if (!err)
		report(r, &c, nr_blocks);
	return err;
}

static int metadump_run(int argc, char **argv)
{
	struct request r = { .source = NULL };
	struct ddfs_source_image s;
	int err = take_arguments(argc, argv, &r);

	if (err || r.done)
		return err;
	err = ddfs_source_open(r.source, 0, &s);
	if (err)
		return err;
	err = metadump(&r, &s);
	ddfs_source_close(&s);
	return err;
}

const struct ddfs_command ddfs_command_metadump = {
	.name = "metadump",
	.synopsis = "SOURCE FILE",
	.summary = "Save an image without the contents of its files",
	.run = metadump_run,
};
