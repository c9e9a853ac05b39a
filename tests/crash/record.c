/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/record_priv.h"

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

bool crash_record_pristine(struct crash_recording *r, const struct crash_workload *w)
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

/* ---- what both ways share ------------------------------------------------------------------- */

struct crash_snap *crash_record_look(struct ddfs_fs *fs)
{
	char why[256] = "";
	struct crash_snap *snap = crash_snap_take(fs, why);

	if (!snap) {
		fprintf(stderr, "crash: %s\n", why);
		abort();
	}
	return snap;
}

void crash_record_keep(struct crash_recording *r, unsigned int at, struct crash_snap *snap)
{
	unsigned int same = 0;

	r->snaps[at] = snap;
	while (!crash_snap_is_equal(r->snaps[same], snap))
		same++;
	r->snap_id[at] = same;
}

void crash_record_make_room(struct crash_recording *r, unsigned int nr_snaps)
{
	r->nr_snaps = nr_snaps;
	r->snaps = calloc(nr_snaps, sizeof(struct crash_snap *));
	r->snap_id = calloc(nr_snaps, sizeof(*r->snap_id));
	if (!r->snaps || !r->snap_id)
		abort();
}

void crash_record_check_synced(const struct crash_recording *r, unsigned int op)
{
	if (!crash_world_is_sync(r->world, op) || crash_world_result(r->world, op))
		return;
	if (crash_durable_is_synced(&r->log, &r->live, op))
		return;
	fprintf(stderr, "crash: %s returned, and not all that was stored before it is flushed\n",
		crash_world_op_text(r->world, op));
	abort();
}

struct ddfs_fs *crash_record_begin(struct crash_recording *r, const struct crash_workload *w)
{
	struct ddfs_fs *fs;

	crash_clock_set(0);
	crash_log_clear(&r->log);
	r->live.log = &r->log;
	r->world = crash_world_new(w);
	r->nr_ops = crash_world_nr_ops(r->world);
	fs = mount(r, w);
	r->epoch = ddfs_fs_epoch(fs);
	crash_world_prepare(r->world, fs);
	return fs;
}

void crash_record_end(struct crash_recording *r, struct ddfs_fs *fs, const struct crash_workload *w)
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
	crash_memory_revert(&r->live, &r->pristine);
}

/* ---- one after the other -------------------------------------------------------------------- */

static void run_op(struct crash_recording *r, struct ddfs_fs *fs, unsigned int op)
{
	crash_log_begin(&r->log, op);
	crash_world_run(r->world, fs, op);
	crash_log_end(&r->log);
	crash_record_check_synced(r, op);
	crash_record_keep(r, op + 1, crash_record_look(fs));
}

bool crash_recording_make(struct crash_recording *r, const struct crash_workload *w)
{
	bool made = crash_record_pristine(r, w);
	struct ddfs_fs *fs = crash_record_begin(r, w);

	crash_record_make_room(r, r->nr_ops + 1);
	crash_record_keep(r, 0, crash_record_look(fs));
	for (unsigned int op = 0; op < r->nr_ops; op++)
		run_op(r, fs, op);
	crash_record_end(r, fs, w);
	return made;
}

void crash_recording_clear(struct crash_recording *r)
{
	for (unsigned int i = 0; i < r->nr_snaps; i++)
		crash_snap_delete(r->snaps[i]);
	free(r->snaps);
	free(r->snap_id);
	if (r->world)
		crash_world_delete(r->world);
	r->snaps = NULL;
	r->nr_snaps = 0;
	r->world = NULL;
	r->what[0] = '\0';
}

const char *crash_recording_op_text(const struct crash_recording *r, unsigned int op)
{
	return r->what[0] ? r->what : crash_world_op_text(r->world, op);
}
