/* SPDX-License-Identifier: BSD-3-Clause */
/* A run: start, rounds, finish. */
#include "fsck/fsck.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/media.h"
#include "fsck/check.h"
#include "fsck/repair.h"
#include "fsck/sentences.h"
#include "fsck/state.h"

/* A round's repair ends where the next step wants to know more; each has changed something. */
#define MAX_ROUNDS 24u

static const char *cut_short(const struct fsck *f, char *text, size_t size)
{
	snprintf(text, size,
		"the filesystem is %llu bytes and the device only %llu: it was cut short; make the "
		"device, or the image file, as large again",
		(unsigned long long)ddfs_le64(f->img.super.device_bytes),
		(unsigned long long)f->media->size);
	return text;
}

static int say_failed(struct fsck *f, int err)
{
	const char *why = NULL;
	char text[200];

	if (err == -EUCLEAN)
		why = "no superblock is whole and makes sense: either this is no devdaxfs, or both "
		      "copies are damaged";
	else if (err == -EFBIG)
		why = cut_short(f, text, sizeof(text));
	else if (err == -EOPNOTSUPP)
		why = "a newer version of devdaxfs made this, with features that are not known "
		      "here: use the fsck.devdaxfs of that version";
	else if (err == -EROFS)
		why = "it can only be read, and so not be repaired: check it with -n";
	else if (err == -ENOMEM)
		why = "there is too little memory to check it";
	else if (err == -EIO)
		why = "a store failed: what is repaired may not have got to the device";
	if (why && f->opt->say)
		f->opt->say(f->opt->arg, why, false);
	return err;
}

static int open_image(struct fsck *f)
{
	unsigned int flags = DDFS_IMAGE_REPLAY;

	if (f->opt->flags & DDFS_FSCK_HASH_ANY)
		flags |= DDFS_IMAGE_HASH_ANY;
	return ddfs_image_open(f->media, flags, &f->img);
}

/* ---- rounds --------------------------------------------------------------------------------- */

static int look(struct fsck *f)
{
	int err = open_image(f);

	if (err)
		return err;
	err = fsck_check(f);
	if (err)
		ddfs_image_close(&f->img);
	return err;
}

static bool is_worth_repair(const struct fsck *f)
{
	if (!f->now.nr || f->round + 1 == MAX_ROUNDS)
		return false;
	return f->opt->mode != DDFS_FSCK_PREEN || !f->nr_unsafe;
}

/* The last repair could do no more, for this reason among others. */
static void say_full(struct fsck *f)
{
	static const char text[] =
		"no block is free, and what needs one was left as it is: mount it read-only and "
		"copy what is needed, then remove files that nothing was said of, unmount it, and "
		"run this again";

	fsck_problem(f, false, "%s", text);
	if (f->opt->mode == DDFS_FSCK_ASK && f->opt->say)
		f->opt->say(f->opt->arg, text, false);
}

/* Leaves the image of the last round open, and its sentences where they are. */
static int run_rounds(struct fsck *f)
{
	int ret;

	for (f->round = 0;; f->round++) {
		ret = look(f);
		if (ret)
			return ret;
		fsck_sentences_settle(f);
		ret = is_worth_repair(f) ? fsck_repair(f) : 0;
		if (ret >= 0 && fsck_is_ending(f))
			ret = atomic_load(&f->err);
		if (!ret) {
			if (f->full && f->now.nr)
				say_full(f);
			return 0;
		}
		ddfs_image_close(&f->img);
		if (ret < 0)
			return ret;
		fsck_sentences_next(f);
	}
}

/* What was stored is on the device, also where problems are left. */
static int end_repair(struct fsck *f)
{
	bool clean = !f->now.nr;

	fsck_sentences_leave(f);
	if (clean)
		return fsck_repair_finish(f);
	return f->marked ? f->media->ops->deep_flush(f->media, DDFS_SYNC_MOUNT) : 0;
}

static int repair(struct fsck *f)
{
	int err;

	f->starting = true;
	err = fsck_repair_start(f);
	fsck_sentences_started(f);
	if (!err)
		err = run_rounds(f);
	if (err) {
		fsck_sentences_leave(f);
		return err;
	}
	err = end_repair(f);
	ddfs_image_close(&f->img);
	return err;
}

static int check(struct fsck *f)
{
	int err = look(f);

	fsck_sentences_leave(f);
	if (!err)
		ddfs_image_close(&f->img);
	return err;
}

/* ---- the run -------------------------------------------------------------------------------- */

/* What it was before anything is stored. An image that does not open may do so after a repair. */
static int look_first(struct fsck *f)
{
	const struct ddfs_super *s = &f->img.super;
	bool unknown;

	if (open_image(f))
		return 0;
	f->out->was_clean = ddfs_le32(s->state) == DDFS_STATE_CLEAN;
	f->out->skipped = f->opt->mode == DDFS_FSCK_PREEN && !(f->opt->flags & DDFS_FSCK_FORCE) &&
			  fsck_check_is_clean(f);
	/* As for a writable mount. */
	unknown = ddfs_le64(s->feature_ro_compat) & ~DDFS_RO_COMPAT_KNOWN;
	ddfs_image_close(&f->img);
	return unknown && !f->out->skipped ? -EOPNOTSUPP : 0;
}

static int run(struct fsck *f)
{
	int err;

	if (f->opt->mode == DDFS_FSCK_NO)
		return check(f);
	err = look_first(f);
	if (err || f->out->skipped)
		return err;
	return f->media->readonly ? -EROFS : repair(f);
}

static unsigned int nr_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned int)n : 1;
}

int ddfs_fsck(
	struct ddfs_media *media, const struct ddfs_fsck_options *opt, struct ddfs_fsck_result *out)
{
	struct fsck f = {
		.media = media,
		.opt = opt,
		.out = out,
		.nr_threads = opt->nr_threads ? opt->nr_threads : nr_cpus(),
	};
	int err;

	memset(out, 0, sizeof(*out));
	pthread_mutex_init(&f.say_lock, NULL);
	err = run(&f);
	if (err)
		say_failed(&f, err);
	fsck_check_fini(&f);
	fsck_sentences_fini(&f);
	pthread_mutex_destroy(&f.say_lock);
	return err;
}
