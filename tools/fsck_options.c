/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/fsck_options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option long_options[] = {
	{ "no", no_argument, NULL, 'n' },
	{ "yes", no_argument, NULL, 'y' },
	{ "preen", no_argument, NULL, 'p' },
	{ "force", no_argument, NULL, 'f' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void print_usage(FILE *to)
{
	fputs("usage: fsck.devdaxfs [options] SOURCE\n"
	      "Check a devdaxfs, and repair it. SOURCE is an image file, /dev/daxX.Y, daxX.Y,\n"
	      "namespaceX.Y, UUID=... or LABEL=...\n"
	      "\n"
	      "  -n, --no        only check, and store nothing\n"
	      "  -p, --preen     repair what is safe, and ask nothing; -a is the same\n"
	      "  -y, --yes       repair everything, and ask nothing\n"
	      "                  (without one of these: ask before each kind of repair)\n"
	      "  -f, --force     with -p: check also what is marked clean\n"
	      "  -v, --verbose   print what there is\n"
	      "  -C [FD]         progress: a bar, or with FD above 0 lines for a program to read\n"
	      "  -V, --version   print the version\n"
	      "  -h, --help      print this\n",
		to);
}

static int fail(const char *what)
{
	fprintf(stderr, "fsck.devdaxfs: %s\n", what);
	return -EINVAL;
}

static int set_mode(struct fsck_options *o, enum ddfs_fsck_mode mode)
{
	if (o->has_mode && o->mode != mode)
		return fail("only one of -n, -p (or -a) and -y can be");
	o->mode = mode;
	o->has_mode = true;
	return 0;
}

static bool is_number(const char *word)
{
	return *word && strspn(word, "0123456789") == strlen(word);
}

/* fsck(8) gives "-C0", people "-C 0". What follows -C is the SOURCE if it is the last word. */
static int set_progress(struct fsck_options *o, int argc, char **argv, const char *arg)
{
	unsigned long fd = 0;

	if (!arg && optind < argc - 1 && is_number(argv[optind]))
		arg = argv[optind++];
	if (arg && !is_number(arg))
		return fail("-C takes the number of an open file, or nothing");
	if (arg)
		fd = strtoul(arg, NULL, 10);
	if (fd > INT_MAX)
		return fail("-C takes the number of an open file, or nothing");
	o->progress_fd = (int)fd;
	return 0;
}

static int take_option(struct fsck_options *o, int option)
{
	switch (option) {
	case 'n':
		return set_mode(o, DDFS_FSCK_NO);
	case 'y':
		return set_mode(o, DDFS_FSCK_YES);
	case 'p':
	case 'a':
		return set_mode(o, DDFS_FSCK_PREEN);
	case 'f':
		o->force = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'V':
		puts("fsck.devdaxfs " DDFS_VERSION);
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

int fsck_options_parse(int argc, char **argv, struct fsck_options *out)
{
	struct fsck_options o = { .mode = DDFS_FSCK_ASK, .progress_fd = FSCK_NO_PROGRESS };
	int option, err;

	while ((option = getopt_long(argc, argv, "nypafvC::Vh", long_options, NULL)) >= 0) {
		err = option == 'C' ? set_progress(&o, argc, argv, optarg)
				    : take_option(&o, option);
		if (err)
			return err;
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
