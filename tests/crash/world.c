/* SPDX-License-Identifier: BSD-3-Clause */
/* Running a workload, and comparing with the model what each operation did. */
#include "tests/crash/world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout/holder.h"

_Noreturn __attribute__((format(printf, 3, 4))) void world_wrong(
	const struct crash_world *w, const struct crash_op *op, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: %s\nat '%s': ", w->w.name, w->w.text, op ? op->text : "the end");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	abort();
}

/* ---- the operations ------------------------------------------------------------------------- */

static void add_op(struct crash_world *w, const char *text)
{
	w->op = realloc(w->op, (w->nr_ops + 1) * sizeof(*w->op));
	if (!w->op || op_parse(text, w->nr_ops, &w->op[w->nr_ops]))
		abort();
	w->nr_ops++;
}

/* Operations of text, up to end. */
static void add_ops(struct crash_world *w, const char *text, const char *end)
{
	while (text < end) {
		const char *stop = text + strcspn(text, ";&");
		char *one;
		size_t n;

		text += strspn(text, " ");
		stop = stop < end ? stop : end;
		n = (size_t)(stop - text);
		while (n && text[n - 1] == ' ')
			n--;
		one = strndup(text, n);
		/* What the mount is to be like is known already. */
		if (n && strncmp(one, "with ", 5) != 0)
			add_op(w, one);
		free(one);
		text = stop < end ? stop + 1 : end;
	}
}

struct crash_world *crash_world_new(const struct crash_workload *workload)
{
	struct crash_world *w = calloc(1, sizeof(*w));
	const char *text, *bar, *end;

	if (!w)
		abort();
	w->w = *workload;
	text = w->w.text;
	end = text + strlen(text);
	bar = strchr(text, '|');
	if (bar)
		add_ops(w, text, bar);
	w->nr_prepare = w->nr_ops;
	add_ops(w, bar ? bar + 1 : text, end);
	w->result = calloc(w->nr_ops + 1, sizeof(*w->result));
	w->target = calloc(w->nr_ops + 1, sizeof(*w->target));
	w->lazy = calloc(w->nr_ops + 1, sizeof(*w->lazy));
	w->model = snap_new();
	ddfs_pin_owner_init(&w->owner, NULL);
	return w;
}

void crash_world_delete(struct crash_world *w)
{
	for (unsigned int i = 0; i < w->nr_ops; i++)
		op_fini(&w->op[i]);
	for (unsigned int i = 0; i < WORLD_HANDLES; i++) {
		free(w->handle[i].path);
		if (w->handle[i].node)
			snap_node_put(w->handle[i].node);
	}
	for (unsigned int i = 0; i < WORLD_PINS; i++)
		if (w->pin[i].node)
			snap_node_put(w->pin[i].node);
	for (unsigned int i = 0; i < w->nr_names; i++)
		free(w->name[i].path);
	free(w->name);
	crash_snap_delete(w->model);
	free(w->op);
	free(w->result);
	free(w->target);
	free(w->lazy);
	free(w);
}

unsigned int crash_world_nr_ops(const struct crash_world *w)
{
	return w->nr_ops - w->nr_prepare;
}

const char *crash_world_op_text(const struct crash_world *w, unsigned int op)
{
	return w->op[w->nr_prepare + op].text;
}

int64_t crash_world_result(const struct crash_world *w, unsigned int op)
{
	return w->result[w->nr_prepare + op];
}

bool crash_world_is_sync(const struct crash_world *w, unsigned int op)
{
	return w->op[w->nr_prepare + op].kind->flags & OP_SYNCS;
}

/* ---- running -------------------------------------------------------------------------------- */

/* On a filesystem with no more room an operation may fail, and must have done nothing then. */
static bool is_full(const struct crash_world *w, const struct crash_op *op, int64_t got)
{
	return w->full && got == -ENOSPC && op->kind->flags & (OP_TAKES_SPACE | OP_PREPARES);
}

static ddfs_id target_of(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct ddfs_inode *ip;
	ddfs_id id = 0;

	if (op->kind->rule != JUDGE_PIECES || world_get(w, fs, op->to ? op->to : op->path, &ip))
		return 0;
	id = ddfs_inode_id(ip);
	ddfs_inode_put(ip);
	return id;
}

/* Whether some file's times may be the clock's in memory, and on media still those that were set.
 */
static bool is_lazy(const struct crash_world *w, unsigned int i)
{
	bool were_set = false;

	if (i && w->lazy[i - 1])
		return strcmp(w->op[i].kind->name, "sync") != 0;
	for (unsigned int j = 0; j < i; j++)
		were_set |= w->op[j].kind->flags & OP_SETS_TIMES;
	return were_set && w->op[i].kind->rule == JUDGE_PIECES;
}

static void run_one(struct crash_world *w, struct ddfs_fs *fs, unsigned int i)
{
	const struct crash_op *op = &w->op[i];
	int64_t got = op->kind->call(w, fs, op), want = got;

	w->got = got;
	if (!is_full(w, op, got))
		want = op->kind->model(w, op);
	if (got != want)
		world_wrong(w, op, "gave %lld (%s), not %lld (%s)", (long long)got,
			got < 0 ? strerror((int)-got) : "done", (long long)want,
			want < 0 ? strerror((int)-want) : "done");
	w->result[i] = got;
	w->target[i] = target_of(w, fs, op);
	w->lazy[i] = is_lazy(w, i);
}

static void compare(struct crash_world *w, struct ddfs_fs *fs, const struct crash_op *op)
{
	struct crash_snap *found;
	char why[256];

	found = crash_snap_take(fs, why);
	if (!found)
		world_wrong(w, op, "%s", why);
	if (snap_differs(w->model, found, SNAP_NO_SPACE | SNAP_NO_PINS, why))
		world_wrong(w, op, "%s", why);
	crash_snap_delete(found);
}

static void get_holder(struct crash_world *w, struct ddfs_fs *fs)
{
	if (ddfs_holders_get(ddfs_layouts_holders(ddfs_fs_layouts(fs)), getpid(), &w->holder))
		abort();
}

void crash_world_prepare(struct crash_world *w, struct ddfs_fs *fs)
{
	get_holder(w, fs);
	for (unsigned int i = 0; i < w->nr_prepare; i++)
		run_one(w, fs, i);
	compare(w, fs, w->nr_prepare ? &w->op[w->nr_prepare - 1] : NULL);
}

void crash_world_run(struct crash_world *w, struct ddfs_fs *fs, unsigned int op)
{
	run_one(w, fs, w->nr_prepare + op);
	compare(w, fs, &w->op[w->nr_prepare + op]);
}

/* ---- two at the same time ------------------------------------------------------------------- */

void crash_world_find_names(struct crash_world *w, struct ddfs_fs *fs)
{
	for (unsigned int i = w->nr_prepare; i < w->nr_ops; i++) {
		if (w->op[i].path)
			world_keep_name(w, fs, w->op[i].path);
		if (w->op[i].to)
			world_keep_name(w, fs, w->op[i].to);
	}
}

void crash_world_call(struct crash_world *w, struct ddfs_fs *fs, unsigned int op)
{
	unsigned int i = w->nr_prepare + op;

	w->result[i] = w->op[i].kind->call(w, fs, &w->op[i]);
}

void crash_world_note(struct crash_world *w, struct ddfs_fs *fs)
{
	bool lazy = false;

	for (unsigned int i = w->nr_prepare; i < w->nr_ops; i++) {
		const char *path = w->op[i].to ? w->op[i].to : w->op[i].path;

		w->target[i] = path ? world_kept_id(w, path) : 0;
		if (!w->target[i])
			w->target[i] = target_of(w, fs, &w->op[i]);
		lazy |= is_lazy(w, i);
	}
	/* Which came first is not known. */
	for (unsigned int i = w->nr_prepare; i < w->nr_ops; i++)
		w->lazy[i] = lazy;
}

void crash_world_close(struct crash_world *w, struct ddfs_fs *fs)
{
	for (unsigned int i = 0; i < WORLD_HANDLES; i++) {
		if (!w->handle[i].ip)
			continue;
		ddfs_release(w->handle[i].ip);
		ddfs_inode_put(w->handle[i].ip);
		w->handle[i].ip = NULL;
	}
	ddfs_pins_release(fs, &w->owner);
	if (w->holder)
		ddfs_holder_put(w->holder);
	w->holder = NULL;
}
