/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load of the soak, and its judge. Driven by tests/soak/run.
 *
 *	soak_load work DIR STATE WHO SEED	one worker: works below DIR/wWHO until the
 *						filesystem is gone or SIGTERM
 *	soak_load check DIR STATE WHO		compares DIR/wWHO with what was acknowledged
 *	soak_load share DIR SEED		many threads in DIR/shared
 *	soak_load check-shared DIR
 *
 * STATE holds model.WHO, what was found at the last check, and journal.WHO, what was done since. A
 * worker says "ready" when it begins. Status 0: as it should be; 1: not, and why; 2: it could not
 * be done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/devdaxfs_ioctl.h"
#include "tests/soak/check.h"
#include "tests/soak/choose.h"
#include "tests/soak/journal.h"
#include "tests/soak/perform.h"
#include "tests/soak/shared.h"

/* Handlers have no argument of their own. */
static volatile sig_atomic_t stop;
static int sigbus_root = -1;

static void on_term(int number)
{
	(void)number;
	stop = 1;
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

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	if (sigaction(number, &action, NULL))
		abort();
}

struct place {
	char dir[4096], model[4096], journal[4096];
};

static void place_of(struct place *p, const char *dir, const char *state, const char *who)
{
	snprintf(p->dir, sizeof(p->dir), "%s/w%s", dir, who);
	snprintf(p->model, sizeof(p->model), "%s/model.%s", state, who);
	snprintf(p->journal, sizeof(p->journal), "%s/journal.%s", state, who);
}

static int complain(const char *path)
{
	perror(path);
	return 2;
}

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

static int work_on(struct soak_worker *w, struct soak_journal *j, uint64_t seed)
{
	struct soak_random random = { seed };
	bool large_units = has_large_units(w->root);

	while (!stop) {
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

static int work(const struct place *p, uint64_t seed)
{
	struct soak_worker w = { .held = { -1, -1, -1, -1 } };
	struct soak_journal j;
	int status;

	handle(SIGTERM, on_term);
	handle(SIGBUS, on_bus);
	umask(0);
	if (mkdir(p->dir, 0755) && errno != EEXIST)
		return errno == ENOTCONN || errno == ECONNABORTED ? 0 : complain(p->dir);
	w.root = sigbus_root = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w.root < 0)
		return errno == ENOTCONN || errno == ECONNABORTED ? 0 : complain(p->dir);
	w.m = soak_model_load(p->model);
	w.buf = soak_model_room();
	soak_journal_open(&j, p->journal);
	puts("ready");
	fflush(stdout);
	status = work_on(&w, &j, seed);
	soak_model_delete(w.m);
	free(w.buf);
	return status;
}

static int say_found(enum soak_found found, bool flying, uint64_t steps, const char *text)
{
	static const char *const words[] = { "wrong", "before", "after", "between" };

	printf("%s %llu\n", flying || found == SOAK_WRONG ? words[found] : "none",
		(unsigned long long)steps);
	if (found == SOAK_WRONG)
		fputs(text, stdout);
	return found == SOAK_WRONG;
}

/* Prints what became of the step that was cut short, and how many were acknowledged. */
static int check(const struct place *p)
{
	struct soak_model *m = soak_model_load(p->model);
	uint64_t before = m->nr_steps, steps;
	struct soak_step last;
	bool flying = soak_journal_replay(p->journal, m, &last);
	int root = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *text = NULL;
	size_t len;
	FILE *why = open_memstream(&text, &len);
	enum soak_found found;

	steps = m->nr_steps - before;
	if (root < 0 && errno == ENOENT && !m->nr_steps)
		return say_found(SOAK_BEFORE, false, 0, "");
	if (root < 0)
		return complain(p->dir);
	found = soak_check(m, root, flying ? &last : NULL, why);
	fclose(why);
	if (found != SOAK_WRONG &&
		(!soak_model_save(m, p->model) || (unlink(p->journal) && errno != ENOENT)))
		return complain(p->model);
	return say_found(found, flying, steps, text);
}

static int share(const char *dir, const char *seed)
{
	char path[4096];

	handle(SIGTERM, on_term);
	snprintf(path, sizeof(path), "%s/shared", dir);
	puts("ready");
	fflush(stdout);
	return !soak_shared_work(path, strtoull(seed, NULL, 10), &stop);
}

static int check_shared(const char *dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/shared", dir);
	return !soak_shared_check(path, stdout);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct place p;

	if (argc >= 5)
		place_of(&p, argv[2], argv[3], argv[4]);
	if (!strcmp(what, "work") && argc == 6)
		return work(&p, strtoull(argv[5], NULL, 10));
	if (!strcmp(what, "check") && argc == 5)
		return check(&p);
	if (!strcmp(what, "share") && argc == 4)
		return share(argv[2], argv[3]);
	if (!strcmp(what, "check-shared") && argc == 3)
		return check_shared(argv[2]);
	fputs("soak_load: driven by tests/soak/run\n", stderr);
	return 2;
}
