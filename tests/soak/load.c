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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/soak/check.h"
#include "tests/soak/journal.h"
#include "tests/soak/shared.h"
#include "tests/soak/work.h"

/* Handlers have no argument of their own. */
static volatile sig_atomic_t stop;

static void on_term(int number)
{
	(void)number;
	stop = 1;
}

static void handle_term(void)
{
	struct sigaction action = { .sa_handler = on_term };

	if (sigaction(SIGTERM, &action, NULL))
		abort();
}

static void place_of(struct soak_place *p, const char *dir, const char *state, const char *who)
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

static int work(const struct soak_place *p, uint64_t seed)
{
	handle_term();
	umask(0);
	return soak_work(p, seed, &stop);
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
static int check(const struct soak_place *p)
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

	handle_term();
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
	struct soak_place p;

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
