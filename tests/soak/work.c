/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/work.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/devdaxfs_ioctl.h"
#include "tests/soak/choose.h"
#include "tests/soak/journal.h"
#include "tests/soak/perform.h"

/* Handlers have no argument of their own. */
static int sigbus_root = -1;

static bool has_large_units(int root)
{
	struct ddfs_ioc_info info;

	return !ioctl(root, DDFS_IOC_INFO, &info) && info.unit_bytes > SOAK_BLOCK;
}

/* Collapse and insert want whole units, which the load's files are too small for. */
static bool may_refuse(bool large_units, const struct soak_step *s, int err)
{
	return err == EINVAL && large_units && s->kind == SOAK_FALLOCATE &&
	       s->arg & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE);
}

static int failed(const struct soak_worker *w, const struct soak_step *s, int err)
{
	if (soak_is_gone(w->root))
		return 0;
	fprintf(stderr, "soak: %s at ", strerror(err));
	soak_step_print(stderr, s);
	return 1;
}

static int work_on(struct soak_worker *w, struct soak_journal *j, uint64_t seed,
	const volatile sig_atomic_t *stop)
{
	struct soak_random random = { seed };
	bool large_units = has_large_units(w->root);

	while (!*stop) {
		struct soak_step s;
		int err;

		soak_choose(w->m, &random, &s);
		soak_journal_begin(j, &s);
		err = soak_perform(w, &s);
		if (err && !may_refuse(large_units, &s, err))
			return failed(w, &s, err);
		soak_journal_end(j, &s, err);
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

int soak_work(const struct soak_place *p, uint64_t seed, const volatile sig_atomic_t *stop)
{
	struct soak_worker w = { .root = open_root(p->dir), .held = { -1, -1, -1, -1 } };
	struct soak_journal j;
	int status;

	if (w.root < 0 && soak_is_gone_error(errno))
		return 0;
	if (w.root < 0) {
		perror(p->dir);
		return 2;
	}
	handle_bus(w.root);
	w.m = soak_model_load(p->model);
	w.buf = soak_model_room();
	soak_journal_open(&j, p->journal);
	puts("ready");
	fflush(stdout);
	status = work_on(&w, &j, seed, stop);
	soak_model_delete(w.m);
	free(w.buf);
	return status;
}
