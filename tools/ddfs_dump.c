/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs dump: the structures of an image, mounted or not, as they lie there. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ddfs.h"
#include "tools/ddfs_dump.h"
#include "tools/ddfs_dump_out.h"
#include "tools/ddfs_source.h"

struct request {
	const char *source;
	const struct structure *what;
	const char *which; /* of it; NULL */
	bool json;
	bool raw;  /* as it lies there, without what committed lanes hold */
	bool done; /* help was asked for */
};

struct structure {
	const char *name;
	const char *synopsis;
	const char *summary;
	int (*dump)(const struct ddfs_image *img, struct ddfs_dump_out *o);
	int (*dump_nth)(const struct ddfs_image *img, uint32_t nr, struct ddfs_dump_out *o);
};

static const struct structure structures[] = {
	{ "superblock", "", "the superblock, and which copies hold", ddfs_dump_super, NULL },
	{ "inode", "INODE|/PATH", "an inode", NULL, ddfs_dump_inode },
	{ "extents", "INODE|/PATH", "where the blocks of a file lie", NULL, ddfs_dump_extents },
	{ "directory", "INODE|/PATH", "the names in a directory", NULL, ddfs_dump_directory },
	{ "xattrs", "INODE|/PATH", "extended attributes", NULL, ddfs_dump_xattrs },
	{ "lanes", "", "the redo log", ddfs_dump_lanes, NULL },
	{ "groups", "", "the groups", ddfs_dump_groups, NULL },
	{ "group", "GROUP", "a group, and the bitmaps of its chunks", NULL, ddfs_dump_chunks },
};
#define NR_STRUCTURES (sizeof(structures) / sizeof(structures[0]))

/* ---- the command line ----------------------------------------------------------------------- */

static void print_usage(FILE *to)
{
	fprintf(to,
		"usage: ddfs dump [options] SOURCE [STRUCTURE [WHICH]]\n"
		"%s. SOURCE is as for mounting. The structures are:\n"
		"\n",
		ddfs_command_dump.summary);
	for (size_t i = 0; i < NR_STRUCTURES; i++)
		fprintf(to, "  %-10s %-11s %s\n", structures[i].name, structures[i].synopsis,
			structures[i].summary);
	fputs("\n"
	      "  -r, --raw    do not take committed lanes as replayed\n"
	      "  -J, --json   print it as JSON\n"
	      "  -h, --help   print this\n",
		to);
}

static int take_options(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "raw", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "Jrh", options, NULL)) >= 0) {
		switch (option) {
		case 'J':
			r->json = true;
			break;
		case 'r':
			r->raw = true;
			break;
		case 'h':
			print_usage(stdout);
			r->done = true;
			return 0;
		default: /* getopt has said what */
			return -EINVAL;
		}
	}
	return 0;
}

static const struct structure *find_structure(const char *name)
{
	for (size_t i = 0; i < NR_STRUCTURES; i++)
		if (strcmp(name, structures[i].name) == 0)
			return &structures[i];
	return NULL;
}

static int take_arguments(int argc, char **argv, struct request *r)
{
	int nr = argc - optind;

	if (nr < 1 || nr > 3) {
		print_usage(stderr);
		return -EINVAL;
	}
	r->source = argv[optind];
	r->what = find_structure(nr > 1 ? argv[optind + 1] : "superblock");
	if (!r->what) {
		fprintf(stderr, "ddfs: there is no structure \"%s\"; see ddfs dump --help\n",
			argv[optind + 1]);
		return -EINVAL;
	}
	r->which = nr > 2 ? argv[optind + 2] : NULL;
	if (!r->which == (r->what->dump != NULL))
		return 0;
	if (r->which)
		fprintf(stderr, "ddfs: there is one \"%s\" only: \"%s\" is too much\n",
			r->what->name, r->which);
	else
		fprintf(stderr, "ddfs: which? ddfs dump %s %s %s\n", r->source, r->what->name,
			r->what->synopsis);
	return -EINVAL;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int find_group(const char *which, uint32_t *out)
{
	unsigned long n;
	char *end;

	n = strtoul(which, &end, 0);
	if (*which < '0' || *which > '9' || *end || n > UINT32_MAX) {
		fprintf(stderr, "ddfs: \"%s\" is no number of a group\n", which);
		return -EINVAL;
	}
	*out = (uint32_t)n;
	return 0;
}

static int dump_one(const struct request *r, const struct ddfs_image *img, struct ddfs_dump_out *o)
{
	uint32_t nr;
	int err;

	if (r->what->dump)
		return r->what->dump(img, o);
	err = r->what->dump_nth == ddfs_dump_chunks ? find_group(r->which, &nr)
						    : ddfs_dump_find(img, r->which, &nr);
	return err ? err : r->what->dump_nth(img, nr, o);
}

static int dump(const struct request *r, const struct ddfs_source_image *s)
{
	struct ddfs_dump_out o;
	int err;

	if (s->err && r->what->dump != ddfs_dump_super)
		return ddfs_source_complain(s, r->source);
	ddfs_dump_out_begin(&o, r->json);
	err = s->err ? ddfs_dump_super_raw(s->media, s->err, &o) : dump_one(r, &s->img, &o);
	ddfs_dump_out_end(&o);
	return err;
}

static int dump_run(int argc, char **argv)
{
	struct request r = { .source = NULL };
	struct ddfs_source_image s;
	int err = take_options(argc, argv, &r);

	if (err || r.done)
		return err;
	err = take_arguments(argc, argv, &r);
	if (!err)
		err = ddfs_source_open(r.source, r.raw ? 0 : DDFS_IMAGE_REPLAY, &s);
	if (err)
		return err;
	err = dump(&r, &s);
	ddfs_source_close(&s);
	return err;
}

const struct ddfs_command ddfs_command_dump = {
	.name = "dump",
	.synopsis = "SOURCE [STRUCTURE [WHICH]]",
	.summary = "Print structures of a filesystem that need not be mounted",
	.run = dump_run,
};
