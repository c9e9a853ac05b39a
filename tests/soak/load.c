/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load of the soak, and its judge. Driven by tests/soak/run.
 *
 *	soak_load work DIR STATE HOLD WHO FULL SEED	one worker: works below DIR/wWHO until the
 *							filesystem is gone or SIGTERM
 *	soak_load check DIR STATE HOLD WHO	compares DIR/wWHO with what was acknowledged
 *	soak_load share DIR FULL SEED		many threads in DIR/shared
 *	soak_load check-shared DIR
 *	soak_load fill DIR SEED			takes all that is free, in DIR/ballast
 *	soak_load check-fill DIR
 *	soak_load hold SOCKET			holds files mapped, as it is told
 *	soak_load tell SOCKET unpin|leave|die	does so
 *
 * STATE holds model.WHO, what was found at the last check, and journal.WHO, what was done since;
 * HOLD the sockets WHO.0 ... of those that hold files for a worker. With FULL, 0 or 1, room may
 * lack. A process says "ready" when it begins. Status 0: as it should be; 1: not, and why; 2: it
 * could not be done.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/soak/check.h"
#include "tests/soak/fill.h"
#include "tests/soak/holder.h"
#include "tests/soak/journal.h"
#include "tests/soak/perform.h"
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

static int complain(const char *path)
{
	perror(path);
	return 2;
}

/* of: DIR, STATE, HOLD, WHO */
static void place_of(struct soak_place *p, char **of)
{
	const char *dir = of[0], *state = of[1], *who = of[3];

	snprintf(p->dir, sizeof(p->dir), "%s/w%s", dir, who);
	snprintf(p->model, sizeof(p->model), "%s/model.%s", state, who);
	snprintf(p->journal, sizeof(p->journal), "%s/journal.%s", state, who);
	snprintf(p->holders, sizeof(p->holders), "%s/%s", of[2], who);
}

static int work(const struct soak_place *p, bool full, uint64_t seed)
{
	handle_term();
	umask(0);
	return soak_work(p, full, seed, &stop);
}

struct result {
	enum soak_found found;
	bool flying, waited;
	uint64_t steps, lacked;
	unsigned int held;
};

static int say_found(const struct result *r, const char *text)
{
	static const char *const words[] = { "wrong", "before", "after", "between" };

	printf("%s steps=%llu lacked=%llu held=%u waited=%u\n",
		r->flying || r->found == SOAK_WRONG ? words[r->found] : "none",
		(unsigned long long)r->steps, (unsigned long long)r->lacked, r->held, r->waited);
	if (r->found == SOAK_WRONG)
		fputs(text, stdout);
	return r->found == SOAK_WRONG;
}

/* Prints what became of the step that was cut short, and how much was done before it. */
static int check(const struct soak_place *p)
{
	struct soak_model *m = soak_model_load(p->model);
	struct result r = { .found = SOAK_BEFORE };
	uint64_t before = m->nr_steps;
	struct soak_step last, *flying = NULL;
	int root = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *text = NULL;
	size_t len;
	FILE *why = open_memstream(&text, &len);

	if (root >= 0)
		m->unit = soak_unit(root);
	r.flying = soak_journal_replay(p->journal, m, &last, &r.lacked);
	r.steps = m->nr_steps - before;
	if (root < 0 && !m->nr_steps)
		return say_found(&r, "");
	if (root < 0)
		return complain(p->dir);
	if (r.flying)
		flying = &last;
	r.found = soak_check(m, root, flying, why);
	if (r.found != SOAK_WRONG &&
		!soak_check_pins(m, p->holders, flying, &r.held, &r.waited, why))
		r.found = SOAK_WRONG;
	fclose(why);
	if (r.found != SOAK_WRONG &&
		(!soak_model_save(m, p->model) || (unlink(p->journal) && errno != ENOENT)))
		return complain(p->model);
	return say_found(&r, text);
}

static int share(const char *dir, bool full, uint64_t seed)
{
	char path[4096];

	handle_term();
	snprintf(path, sizeof(path), "%s/shared", dir);
	puts("ready");
	fflush(stdout);
	return !soak_shared_work(path, seed, full, &stop);
}

static int check_shared(const char *dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/shared", dir);
	return !soak_shared_check(path, stdout);
}

static int fill(const char *dir, uint64_t seed)
{
	int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	handle_term();
	if (root < 0)
		return soak_is_gone_error(errno) ? 0 : complain(dir);
	return !soak_fill_work(root, seed, &stop);
}

static int check_fill(const char *dir)
{
	int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return root < 0 ? complain(dir) : !soak_fill_check(root, stdout);
}

static int tell(const char *socket, const char *text)
{
	static const char *const words[] = {
		[SOAK_ASK_UNPIN] = "unpin", [SOAK_ASK_LEAVE] = "leave", [SOAK_ASK_DIE] = "die"
	};
	struct soak_ask ask = { 0 };
	struct soak_answer answer;

	for (uint32_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (words[i] && !strcmp(text, words[i]))
			ask.what = i;
	if (ask.what == SOAK_ASK_PIN)
		return 2;
	return !soak_ask(socket, &ask, &answer, NULL) && ask.what != SOAK_ASK_DIE;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct soak_place p;

	if (argc >= 6)
		place_of(&p, argv + 2);
	if (!strcmp(what, "work") && argc == 8)
		return work(&p, number(argv[6]), number(argv[7]));
	if (!strcmp(what, "check") && argc == 6)
		return check(&p);
	if (!strcmp(what, "share") && argc == 5)
		return share(argv[2], number(argv[3]), number(argv[4]));
	if (!strcmp(what, "check-shared") && argc == 3)
		return check_shared(argv[2]);
	if (!strcmp(what, "fill") && argc == 4)
		return fill(argv[2], number(argv[3]));
	if (!strcmp(what, "check-fill") && argc == 3)
		return check_fill(argv[2]);
	if (!strcmp(what, "hold") && argc == 3)
		return soak_holder(argv[2]);
	if (!strcmp(what, "tell") && argc == 4)
		return tell(argv[2], argv[3]);
	fputs("soak_load: driven by tests/soak/run\n", stderr);
	return 2;
}
