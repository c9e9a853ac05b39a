/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a devdaxfs. Exits with 0, or with 1 after saying what is wrong. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <uuid/uuid.h>

#include "fs/mkfs.h"
#include "src/device/device.h"
#include "tools/mkfs_options.h"
#include "tools/mkfs_signature.h"

/* What else the device layer remarks is for those who mount it. */
static void say(void *arg, int priority, const char *line)
{
	(void)arg;
	if (priority <= LOG_ERR)
		fprintf(stderr, "mkfs.devdaxfs: %s\n", line);
}

static int open_device(const struct mkfs_options *o, struct ddfs_device **out)
{
	const struct ddfs_device_options opt = { .no_wait = true, .log = say };
	int ret = ddfs_device_open(o->source, &opt, out);

	if (ret || !ddfs_device_media(*out)->readonly)
		return ret;
	fprintf(stderr, "mkfs.devdaxfs: %s\n", ddfs_device_readonly_reason(*out));
	ddfs_device_close(*out);
	return -EROFS;
}

/* A device that holds something is left alone unless told otherwise. */
static int check_contents(const struct mkfs_options *o, struct ddfs_device *dev)
{
	struct mkfs_signature sig;
	int ret;

	if (o->force)
		return 0;
	ret = mkfs_signature_find(dev, &sig);
	if (ret) {
		fprintf(stderr, "mkfs.devdaxfs: cannot find out what %s holds: %s\n", o->source,
			strerror(-ret));
		return ret;
	}
	if (!sig.text[0] && sig.unreadable) {
		fprintf(stderr,
			"mkfs.devdaxfs: what %s holds can't be read: the memory is poisoned; use "
			"-f to "
			"overwrite it\n",
			o->source);
		return -EIO;
	}
	if (!sig.text[0])
		return 0;
	fprintf(stderr, "mkfs.devdaxfs: %s holds %s; use -f to overwrite it\n", o->source,
		sig.text);
	return -EEXIST;
}

static int plan(const struct mkfs_options *o, struct ddfs_device *dev, struct ddfs_geometry *geo)
{
	const struct ddfs_media *m = ddfs_device_media(dev);
	int ret = ddfs_geometry_init(m->size, m->align_bytes, o->fs.map_dev, geo);

	if (ret == -ENOSPC)
		fprintf(stderr, "mkfs.devdaxfs: %s is too small: %" PRIu64 " MiB\n", o->source,
			m->size >> 20);
	else if (ret == -EFBIG)
		fprintf(stderr,
			"mkfs.devdaxfs: %s has %" PRIu64 " GiB, and the largest filesystem has "
			"%" PRIu64 " GiB; use a smaller namespace (ndctl create-namespace -s)\n",
			o->source, m->size >> 30, DDFS_MAX_BYTES >> 30);
	else if (ret)
		fprintf(stderr, "mkfs.devdaxfs: %s: no geometry fits it: %s\n", o->source,
			strerror(-ret));
	return ret;
}

static void print_geometry(
	const struct mkfs_options *o, struct ddfs_device *dev, const struct ddfs_geometry *g)
{
	char uuid[37];

	uuid_unparse(o->fs.uuid, uuid);
	printf("meta-data=%-22s isize=%-6" PRIu64 " groups=%" PRIu32 ", groupsize=%" PRIu64
	       " MiB\n",
		ddfs_device_source(dev)->path, g->inode_bytes, g->nr_groups, g->group_bytes >> 20);
	printf("         =%-22s uuid=%s\n", "", uuid);
	printf("         =%-22s label=\"%s\"\n", "", o->fs.label);
	printf("data     =%-22s bsize=%-6" PRIu64 " blocks=%" PRIu64 "\n", "", g->block_bytes,
		g->nr_blocks);
	printf("         =%-22s chunk=%" PRIu64 " chunks=%" PRIu64 ", daxunit=%" PRIu64 "\n", "",
		g->chunk_bytes, g->nr_chunks, g->dax_unit_bytes);
	printf("         =%-22s start=%" PRIu64 "\n", "", g->data_off);
	printf("naming   =%-22s namelen=255, hashed\n", "");
	printf("log      =%-22s lanes=%" PRIu32 ", lanesize=%" PRIu64 "\n", "internal", g->nr_lanes,
		g->lane_bytes);
	printf("pagemap  =%-22s bytes=%" PRIu64 "\n", o->fs.map_dev ? "device" : "memory",
		g->pagemap_bytes);
	printf("persist  =%s\n", ddfs_device_persistence(dev));
}

static int make(
	const struct mkfs_options *o, struct ddfs_device *dev, const struct ddfs_geometry *geo)
{
	struct ddfs_media *m = ddfs_device_media(dev);
	int ret;

	if (ddfs_mkfs_clear(m, geo))
		fprintf(stderr,
			"mkfs.devdaxfs: %s has bad blocks under the filesystem's own structures "
			"and "
			"can't clear them all: a mount may fail, now or later (see ndctl "
			"clear-errors)\n",
			o->source);
	ret = mkfs_signature_wipe(dev);
	if (!ret)
		ret = ddfs_mkfs(m, &o->fs, geo);
	if (!ret)
		ret = ddfs_mkfs_check(m, geo);
	if (ret)
		fprintf(stderr, "mkfs.devdaxfs: writing to %s failed: %s\n", o->source,
			strerror(-ret));
	return ret;
}

static int run(const struct mkfs_options *o)
{
	struct ddfs_geometry geo;
	struct ddfs_device *dev;
	int ret = open_device(o, &dev);

	if (ret)
		return ret;
	ret = check_contents(o, dev);
	if (!ret)
		ret = plan(o, dev, &geo);
	if (!ret && !o->dry_run)
		ret = make(o, dev, &geo);
	if (!ret && !o->quiet)
		print_geometry(o, dev, &geo);
	ddfs_device_close(dev);
	return ret;
}

int main(int argc, char **argv)
{
	struct mkfs_options o;

	if (mkfs_options_parse(argc, argv, &o))
		return EXIT_FAILURE;
	if (o.done)
		return EXIT_SUCCESS;
	return run(&o) ? EXIT_FAILURE : EXIT_SUCCESS;
}
