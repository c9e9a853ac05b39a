/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/record.h"

#include <stdlib.h>
#include <string.h>

#include "tests/crash/clock.h"
#include "tests/crash/durable.h"
#include "tests/crash/pristine.h"
#include "tests/crash/trial.h"

static void say(void *arg, int priority, const char *line)
{
	(void)arg;
	fprintf(stderr, "<%d> %s\n", priority, line);
}

static void die(const char *what, int err)
{
	fprintf(stderr, "crash: %s: %s\n", what, strerror(-err));
	abort();
}

void crash_recording_init(struct crash_recording *r)
{
	memset(r, 0, sizeof(*r));
	crash_memory_init(&r->pristine);
	crash_memory_init(&r->live);
	crash_log_init(&r->log);
	r->pristine.media.align_bytes = 0;
}

void crash_recording_fini(struct crash_recording *r)
{
	crash_memory_fini(&r->pristine);
	crash_memory_fini(&r->live);
	crash_log_fini(&r->log);
}

static struct ddfs_fs *mount(struct crash_recording *r, const struct crash_workload *w)
{
	struct ddfs_fs_options opt = crash_mount_options(w);
	struct ddfs_fs *fs;
	int err;

	opt.log = say;
	err = ddfs_fs_open(&r->live.media, &opt, &fs);
	if (err)
		die("mount", err);
	return fs;
}

static void unmount(struct ddfs_fs *fs)
{
	int err = ddfs_fs_close(fs);

	if (err)
		die("unmount", err);
}

/* ---- the first image ------------------------------------------------------------------------ */

static bool make_pristine(struct crash_recording *r, const struct crash_workload *w)
{
	struct ddfs_statfs st;
	struct ddfs_fs *fs;

	if (r->pristine.media.align_bytes == w->align_bytes)
		return false;
	crash_pristine_make(&r->pristine, w->align_bytes);
	crash_memory_copy(&r->live, &r->pristine);
	fs = mount(r, w);
	ddfs_fs_statfs(fs, &st);
	r->nr_free_empty = st.nr_free;
	unmount(fs);
	crash_memory_revert(&r->live, &r->pristine);
	return true;
}

/* ---- the run -------------------------------------------------------------------------------- */

static void look(struct crash_recording *r, struct ddfs_fs *fs, unsigned int at)
{
	char why[256] = "";
	unsigned int same = 0;

	r->snaps[at] = crash_snap_take(fs, why);
	if (!r->snaps[at]) {
		fprintf(stderr, "crash: %s\n", why);
		abort();
	}
	while (!crash_snap_is_equal(r->snaps[same], r->snaps[at]))
		same++;
	r->snap_id[at] = same;
}

static void check_synced(const struct crash_recording *r, unsigned int op)
{
	if (!crash_world_is_sync(r->world, op) || crash_world_result(r->world, op))
		return;
	if (crash_durable_is_synced(&r->log, &r->live))
		return;
	fprintf(stderr, "crash: %s returned, and not all that was stored before it is flushed\n",
		crash_world_op_text(r->world, op));
	abort();
}

static void run_op(struct crash_recording *r, struct ddfs_fs *fs, unsigned int op)
{
	crash_log_begin(&r->log, op);
	crash_world_run(r->world, fs, op);
	crash_log_end(&r->log);
	check_synced(r, op);
	look(r, fs, op + 1);
}

static void end_run(struct crash_recording *r, struct ddfs_fs *fs, const struct crash_workload *w)
{
	/* Clients that let go are no crash of the daemon. */
	if (w->pinned)
		r->live.log = NULL;
	else
		crash_log_begin(&r->log, r->nr_ops);
	crash_world_close(r->world, fs);
	unmount(fs);
	if (!w->pinned)
		crash_log_end(&r->log);
	r->live.log = NULL;
}

bool crash_recording_make(struct crash_recording *r, const struct crash_workload *w)
{
	bool made = make_pristine(r, w);
	struct ddfs_fs *fs;

	crash_clock_set(0);
	crash_log_clear(&r->log);
	r->live.log = &r->log;
	r->world = crash_world_new(w);
	r->nr_ops = crash_world_nr_ops(r->world);
	r->snaps = calloc(r->nr_ops + 1, sizeof(struct crash_snap *));
	r->snap_id = calloc(r->nr_ops + 1, sizeof(*r->snap_id));
	if (!r->snaps || !r->snap_id)
		abort();
	fs = mount(r, w);
	r->epoch = ddfs_fs_epoch(fs);
	crash_world_prepare(r->world, fs);
	look(r, fs, 0);
	for (unsigned int op = 0; op < r->nr_ops; op++)
		run_op(r, fs, op);
	end_run(r, fs, w);
	crash_memory_revert(&r->live, &r->pristine);
	return made;
}

void crash_recording_clear(struct crash_recording *r)
{
	for (unsigned int i = 0; i <= r->nr_ops; i++)
		crash_snap_delete(r->snaps[i]);
	free(r->snaps);
	free(r->snap_id);
	crash_world_delete(r->world);
	r->snaps = NULL;
	r->world = NULL;
}

const char *crash_recording_op_text(const struct crash_recording *r, unsigned int op)
{
	return crash_world_op_text(r->world, op);
}
