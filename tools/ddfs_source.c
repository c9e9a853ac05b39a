/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "src/device/device.h"

/* What else the device layer remarks is for those who mount it. */
static void say(void *arg, int priority, const char *line)
{
	(void)arg;
	if (priority <= LOG_ERR)
		fprintf(stderr, "ddfs: %s\n", line);
}

/* A mount that may write marks the filesystem so. */
static void warn_of_owner(const struct ddfs_source_image *s, const char *source)
{
	if (ddfs_device_is_owned(s->dev) && ddfs_le32(s->img.super.state) != DDFS_STATE_CLEAN)
		fprintf(stderr,
			"ddfs: %s is in use, and may change while it is read: what follows may be "
			"half of a change\n",
			source);
}

int ddfs_source_open(const char *source, unsigned int flags, struct ddfs_source_image *out)
{
	const struct ddfs_device_options opt = { .readonly = true, .look = true, .log = say };
	int err;

	memset(out, 0, sizeof(*out));
	err = ddfs_device_open(source, &opt, &out->dev);
	if (err)
		return err;
	out->media = ddfs_device_media(out->dev);
	out->err = ddfs_image_open(out->media, flags, &out->img);
	if (!out->err)
		warn_of_owner(out, source);
	return 0;
}

void ddfs_source_close(struct ddfs_source_image *s)
{
	if (!s->err)
		ddfs_image_close(&s->img);
	ddfs_device_close(s->dev);
}

int ddfs_source_complain(const struct ddfs_source_image *s, const char *source)
{
	if (s->err == -EOPNOTSUPP)
		fprintf(stderr,
			"ddfs: %s is a devdaxfs of another version, or with features that this "
			"program does not know; see ddfs dump %s superblock\n",
			source, source);
	else if (s->err == -EFBIG)
		fprintf(stderr,
			"ddfs: %s was cut short: the filesystem is %llu bytes and the device only "
			"%llu; make it as large again\n",
			source, (unsigned long long)ddfs_le64(s->img.super.device_bytes),
			(unsigned long long)s->media->size);
	else if (s->err == -EUCLEAN)
		fprintf(stderr,
			"ddfs: %s has no superblock that holds: it is no devdaxfs, or damaged; see "
			"ddfs dump %s superblock\n",
			source, source);
	else
		fprintf(stderr, "ddfs: cannot read %s: %s\n", source, strerror(-s->err));
	return s->err;
}
