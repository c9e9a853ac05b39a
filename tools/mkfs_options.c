/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "tools/mkfs_options.h"

enum { OPT_MAP = 256 };

static const struct option long_options[] = {
	{ "label", required_argument, NULL, 'L' },
	{ "uuid", required_argument, NULL, 'U' },
	{ "force", no_argument, NULL, 'f' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "map", required_argument, NULL, OPT_MAP },
	{ "quiet", no_argument, NULL, 'q' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void print_usage(FILE *to)
{
	fputs("usage: mkfs.devdaxfs [options] SOURCE\n"
	      "Make a devdaxfs on SOURCE: an image file, /dev/daxX.Y, daxX.Y or namespaceX.Y.\n"
	      "\n"
	      "  -L, --label=LABEL   name of the filesystem, up to 64 bytes\n"
	      "  -U, --uuid=UUID     its identity, or \"random\" (the default)\n"
	      "  -f, --force         overwrite whatever SOURCE holds, unless it is mounted\n"
	      "  -n, --dry-run       print the geometry and write nothing\n"
	      "      --map=mem|dev   keep the page map in memory (the default) or on SOURCE\n"
	      "  -q, --quiet         print nothing but errors\n"
	      "  -V, --version       print the version\n"
	      "  -h, --help          print this\n",
		to);
}

static int fail(const char *what, const char *word)
{
	fprintf(stderr, "mkfs.devdaxfs: %s: %s\n", word, what);
	return -EINVAL;
}

static int set_label(struct ddfs_mkfs *fs, const char *label)
{
	if (strlen(label) >= sizeof(fs->label))
		return fail("a label has at most 64 bytes", label);
	if (strchr(label, '\n'))
		return fail("a label is one line", label);
	strcpy(fs->label, label);
	return 0;
}

static int set_uuid(struct ddfs_mkfs *fs, const char *word)
{
	if (strcmp(word, "random") == 0)
		uuid_generate(fs->uuid);
	else if (uuid_parse(word, fs->uuid))
		return fail("not a UUID, like 123e4567-e89b-42d3-a456-426614174000", word);
	else if (uuid_is_null(fs->uuid))
		return fail("a UUID of zeroes identifies nothing", word);
	return 0;
}

static int set_map(struct ddfs_mkfs *fs, const char *word)
{
	fs->map_dev = strcmp(word, "dev") == 0;
	if (!fs->map_dev && strcmp(word, "mem") != 0)
		return fail("--map is mem or dev", word);
	return 0;
}

static int take_option(struct mkfs_options *o, int option, const char *arg)
{
	switch (option) {
	case 'L':
		return set_label(&o->fs, arg);
	case 'U':
		return set_uuid(&o->fs, arg);
	case OPT_MAP:
		return set_map(&o->fs, arg);
	case 'f':
		o->force = true;
		return 0;
	case 'n':
		o->dry_run = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'V':
		puts("mkfs.devdaxfs " DDFS_VERSION);
		o->done = true;
		return 0;
	case 'h':
		print_usage(stdout);
		o->done = true;
		return 0;
	default: /* getopt has said what */
		return -EINVAL;
	}
}

int mkfs_options_parse(int argc, char **argv, struct mkfs_options *out)
{
	struct mkfs_options o = { .source = NULL };
	int option, ret;

	uuid_generate(o.fs.uuid);
	while ((option = getopt_long(argc, argv, "L:U:fnqVh", long_options, NULL)) >= 0) {
		ret = take_option(&o, option, optarg);
		if (ret)
			return ret;
		if (o.done)
			goto out;
	}
	if (optind != argc - 1) {
		print_usage(stderr);
		return -EINVAL;
	}
	o.source = argv[optind];
out:
	*out = o;
	return 0;
}
