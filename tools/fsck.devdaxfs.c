/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks a devdaxfs, and repairs it. Exits as e2fsck(8) does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/mkfs.h"
#include "src/device/device.h"
#include "tools/fsck_options.h"
#include "tools/fsck_summary.h"
#include "tools/fsck_talk.h"

/* Bits, as fsck(8) combines them. 2, reboot, is for those that repair what is mounted. */
enum exit_code {
	EXIT_FIXED = 1,
	EXIT_LEFT = 4,
	EXIT_FAILED = 8,
	EXIT_USAGE = 16,
	EXIT_CANCELLED = 32,
};

/* What else the device layer remarks is for those who mount it. */
static void log_line(void *arg, int priority, const char *line)
{
	(void)arg;
	if (priority <= LOG_ERR)
		fprintf(stderr, "fsck.devdaxfs: %s\n", line);
}

static int open_device(const struct fsck_options *o, struct ddfs_device **out)
{
	const struct ddfs_device_options opt = {
		.look = o->mode == DDFS_FSCK_NO,
		.no_wait = true,
		.log = log_line,
	};
	int ret = ddfs_device_open(o->source, &opt, out);

	if (ret || o->mode == DDFS_FSCK_NO || !ddfs_device_media(*out)->readonly)
		return ret;
	fprintf(stderr, "fsck.devdaxfs: %s: it can only be checked, with -n\n",
		ddfs_device_readonly_reason(*out));
	ddfs_device_close(*out);
	return -EROFS;
}

/* By the first superblock, else by the second. */
static void probe(struct ddfs_device *dev, struct ddfs_probe *out)
{
	struct ddfs_media *m = ddfs_device_media(dev);
	uint8_t block[4096];

	if (!m->ops->copy_out(m, block, 0, sizeof(block)) && ddfs_probe_super(block, out))
		return;
	if (m->size >= DDFS_MIN_BYTES &&
		!m->ops->copy_out(m, block, ddfs_probe_backup_off(m->size), sizeof(block)) &&
		ddfs_probe_backup(block, m->size, out))
		return;
	memset(out, 0, sizeof(*out));
}

static void warn_mounted(
	const struct fsck_options *o, struct ddfs_device *dev, const struct ddfs_probe *p)
{
	if (o->mode == DDFS_FSCK_NO && p->mounted && ddfs_device_is_owned(dev))
		fprintf(stderr,
			"fsck.devdaxfs: %s is mounted, and may change while it is checked: unless "
			"the mount is read-only, what is found means little\n",
			o->source);
}

static int exit_code(const struct fsck_options *o, int err, const struct ddfs_fsck_result *r)
{
	int code = fsck_summary_is_modified(o, r) ? EXIT_FIXED : 0;

	if (err == -EINTR)
		return code | EXIT_CANCELLED;
	if (err)
		return code | EXIT_FAILED;
	return code | (r->nr_left ? EXIT_LEFT : 0);
}

static int check(const struct fsck_options *o, struct ddfs_device *dev, const char *name)
{
	struct fsck_talk talk;
	struct ddfs_fsck_options opt = {
		.mode = o->mode,
		.flags = o->force ? DDFS_FSCK_FORCE : 0,
		.say = fsck_talk_say,
		.ask = fsck_talk_ask,
		.progress = fsck_talk_progress,
		.stop = fsck_talk_stop,
		.arg = &talk,
	};
	struct ddfs_fsck_result r;
	int err = fsck_talk_init(&talk, o, name);

	if (err) {
		fprintf(stderr, "fsck.devdaxfs: no signals can be waited for: %s\n",
			strerror(-err));
		return EXIT_FAILED;
	}
	err = ddfs_fsck(ddfs_device_media(dev), &opt, &r);
	fsck_talk_fini(&talk);
	fsck_summary_print(o, name, err, &r);
	return exit_code(o, err, &r);
}

/* Output that could not be written is a failure too. */
static int end_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	fprintf(stderr, "fsck.devdaxfs: cannot write the result: %s\n", strerror(errno));
	return EXIT_FAILED;
}

static int run(const struct fsck_options *o)
{
	struct ddfs_device *dev;
	struct ddfs_probe p;
	int code;

	if (!o->has_mode && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
		fprintf(stderr, "fsck.devdaxfs: there is no terminal to ask at: say -n to only "
				"check, -p to repair what is safe, -y to repair everything\n");
		return EXIT_FAILED;
	}
	if (open_device(o, &dev))
		return EXIT_FAILED;
	probe(dev, &p);
	warn_mounted(o, dev, &p);
	code = check(o, dev, p.label[0] ? p.label : o->source);
	ddfs_device_close(dev);
	return code | end_output();
}

int main(int argc, char **argv)
{
	struct fsck_options o;

	if (fsck_options_parse(argc, argv, &o))
		return EXIT_USAGE;
	return o.done ? end_output() : run(&o);
}
