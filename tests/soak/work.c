/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/soak/choose.h"
#include "tests/soak/holder.h"
#include "tests/soak/journal.h"
#include "tests/soak/perform.h"
#include "tests/soak/pins.h"

/* Handlers have no argument of their own. */
static int sigbus_root = -1;

struct working {
	struct soak_worker w;
	struct soak_journal j;
	bool full; /* room may lack */
	const volatile sig_atomic_t *stop;
};

/* ---- what may come of a step ---------------------------------------------------------------- */

static bool moves(const struct soak_step *s)
{
	return s->kind == SOAK_FALLOCATE &&
	       s->arg & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE);
}

/* What gives room, or needs none, works on a full device too. */
static bool wants_room(const struct soak_step *s)
{
	static const bool never[SOAK_KINDS] = { [SOAK_TRUNCATE] = true,
		[SOAK_UNLINK] = true,
		[SOAK_RMDIR] = true,
		[SOAK_EXCHANGE] = true,
		[SOAK_REMOVEXATTR] = true,
		[SOAK_CHMOD] = true,
		[SOAK_UTIMES] = true,
		[SOAK_SETDAX] = true,
		[SOAK_FSYNC] = true,
		[SOAK_UNPIN] = true,
		[SOAK_STORE] = true };

	if (s->kind == SOAK_FALLOCATE && s->arg & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE))
		return false;
	return !never[s->kind];
}

static bool is_of_pins(const struct soak_step *s)
{
	return s->kind == SOAK_PIN || s->kind == SOAK_UNPIN || s->kind == SOAK_STORE;
}

static unsigned int changed_by(const struct soak_model *m, const struct soak_step *s)
{
	return s->kind == SOAK_COPY ? m->child[s->dir2][s->name2] : m->child[s->dir][s->name];
}

/* Errors that leave everything as it was, and are as they should be. */
static bool may_refuse(const struct working *k, const struct soak_step *s, int err)
{
	switch (err) {
	case ENOSPC:
		return k->full && wants_room(s);
	case EINTR: /* it waited for a holder */
		return *k->stop;
	case EBUSY: /* the same, until the lease had run out */
		return soak_is_pinned(k->w.m, changed_by(k->w.m, s));
	case EINVAL: /* whole units are wanted, which the load's files are too small for */
		return moves(s) && k->w.m->unit > SOAK_BLOCK;
	case EOPNOTSUPP: /* no DAX inode */
		return s->kind == SOAK_PIN;
	case ENOENT: /* it was asked to let go, and has */
		return s->kind == SOAK_STORE;
	case EOWNERDEAD: /* there is no holder: it was killed */
		return is_of_pins(s);
	default:
		return false;
	}
}

static int failed(const struct soak_worker *w, const struct soak_step *s, int err)
{
	if (soak_is_gone(w->root))
		return 0;
	fprintf(stderr, "soak: %s at ", strerror(err));
	soak_step_print(stderr, s);
	return 1;
}

/* A step that takes pages has waited for their holders. False: one holds them still. */
static bool has_waited(const struct soak_worker *w, const struct soak_step *s)
{
	const struct soak_ask look = { .what = SOAK_ASK_LOOK };
	bool good = true;

	for (unsigned int i = 0; i < SOAK_PINS && good; i++) {
		struct soak_answer answer;
		char path[128];

		if (!soak_pin_is_taken(w->m, &w->m->pin[i], s))
			continue;
		soak_holder_path(w->holders, i, path);
		good = !soak_ask(path, &look, &answer, w->buf) || answer.error;
	}
	return good;
}

static int not_waited(const struct soak_step *s)
{
	fprintf(stderr, "soak: acknowledged while its pages were held: ");
	soak_step_print(stderr, s);
	return 1;
}

/* ---- one after the other -------------------------------------------------------------------- */

/* What room lacks for a part of, and nobody knows for which: stores to a mapping; direct writes to
 * an ordinary file, of which the kernel takes back what is behind the old end, and no more. */
static bool is_unclear(const struct working *k, const struct soak_step *s)
{
	return k->full &&
	       (s->kind == SOAK_MAP || (s->kind == SOAK_WRITE && s->arg & SOAK_WRITE_DIRECT));
}

static void choose(struct working *k, struct soak_random *r, struct soak_step *out)
{
	do
		soak_choose(k->w.m, r, out);
	while (is_unclear(k, out));
}

static int work_on(struct working *k, uint64_t seed)
{
	struct soak_random random = { seed };
	struct soak_worker *w = &k->w;

	while (!*k->stop) {
		struct soak_step s;
		int err;

		choose(k, &random, &s);
		soak_journal_begin(&k->j, &s);
		err = soak_perform(w, &s);
		if (err && !may_refuse(k, &s, err))
			return failed(w, &s, err);
		if (!err && !has_waited(w, &s))
			return not_waited(&s);
		soak_journal_end(&k->j, &s, err);
		if (!err)
			soak_model_step(w->m, &s);
		else
			w->m->nr_steps = s.number;
	}
	return 0;
}

/* A mapping whose filesystem is gone; or pages that can't be read, which is a failure. */
static void on_bus(int number)
{
	static const char text[] = "soak: SIGBUS, and the filesystem is there\n";

	(void)number;
	if (soak_is_gone(sigbus_root))
		_exit(0);
	_exit(write(2, text, sizeof(text) - 1) > 0 ? 1 : 2);
}

static void handle_bus(int root)
{
	struct sigaction action = { .sa_handler = on_bus };

	sigbus_root = root;
	if (sigaction(SIGBUS, &action, NULL))
		abort();
}

static int open_root(const char *dir)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -1;
	return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int soak_work(
	const struct soak_place *p, bool full, uint64_t seed, const volatile sig_atomic_t *stop)
{
	struct working k = { .full = full,
		.stop = stop,
		.w = { .dir = p->dir, .holders = p->holders, .held = { -1, -1, -1, -1 } } };
	int status;

	k.w.root = open_root(p->dir);
	if (k.w.root < 0 && soak_is_gone_error(errno))
		return 0;
	if (k.w.root < 0) {
		perror(p->dir);
		return 2;
	}
	handle_bus(k.w.root);
	k.w.m = soak_model_load(p->model);
	k.w.m->unit = soak_unit(k.w.root);
	k.w.buf = soak_model_room();
	soak_journal_open(&k.j, p->journal);
	puts("ready");
	fflush(stdout);
	status = work_on(&k, seed);
	soak_model_delete(k.w.m);
	free(k.w.buf);
	return status;
}
