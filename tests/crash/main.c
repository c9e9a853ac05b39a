/* SPDX-License-Identifier: BSD-3-Clause */
/* crash-explore: every state that a crash can leave, of the workloads that are asked for. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/jobs.h"

static const char usage[] =
	"usage: crash-explore [--set=SET] [--range=A-B | --share=K/N] [--fraction=F] [OPTION]...\n"
	"       crash-explore --workload=TEXT [--mode=MODE] [--state=CUT:STATE[/CUT:STATE]] ...\n"
	"\n"
	"Runs workloads on a recorded device, builds what a crash could leave at each moment,\n"
	"recovers and checks that. The last line has the counts; the status is 0 if all held.\n"
	"\n"
	"  --set=SET        singles (default), pairs, synced, triples, long or together\n"
	"  --range=A-B      workloads A up to, not including, B of the set\n"
	"  --share=K/N      the K-th of N equal parts of the set, from 0 on\n"
	"  --fraction=F     a part of them, 0 to 1, chosen by the seed\n"
	"  --seed=N         of that, of random workloads, and of states where not all are tried\n"
	"  --mode=MODE      flushed: lines reach media in any order between fences; elided: all\n"
	"                   stores survive, in order; both (default)\n"
	"  --budget=N       about how many states of a cut are tried (default 64)\n"
	"  --levels=N       recoveries of recoveries that are cut: 0, 1 or 2 (default)\n"
	"  --stop-at-first  end with the first failure\n"
	"  --failures=DIR   where what fails is described at length\n"
	"  --workload=TEXT  one workload, such as 'create a | rename a b', or two operations at\n"
	"                   the same time: 'create a | rename a b & create c'\n"
	"  --state=...      one state of it, told at length\n"
	"  --save=FILE      and its image, before it is recovered\n"
	"  --list           only print the workloads\n"
	"  --size           only print how many there are in the set\n"
	"  --verbose        a line for each\n";

enum {
	SET = 256,
	RANGE,
	SHARE,
	FRACTION,
	SEED,
	MODE,
	BUDGET,
	LEVELS,
	STOP,
	FAILURES,
	WORKLOAD,
	STATE,
	SAVE,
	LIST,
	SIZE,
	VERBOSE,
	HELP
};

static const struct option options[] = {
	{ "set", required_argument, NULL, SET },
	{ "range", required_argument, NULL, RANGE },
	{ "share", required_argument, NULL, SHARE },
	{ "fraction", required_argument, NULL, FRACTION },
	{ "seed", required_argument, NULL, SEED },
	{ "mode", required_argument, NULL, MODE },
	{ "budget", required_argument, NULL, BUDGET },
	{ "levels", required_argument, NULL, LEVELS },
	{ "stop-at-first", no_argument, NULL, STOP },
	{ "failures", required_argument, NULL, FAILURES },
	{ "workload", required_argument, NULL, WORKLOAD },
	{ "state", required_argument, NULL, STATE },
	{ "save", required_argument, NULL, SAVE },
	{ "list", no_argument, NULL, LIST },
	{ "size", no_argument, NULL, SIZE },
	{ "verbose", no_argument, NULL, VERBOSE },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

struct command {
	struct crash_jobs jobs;
	bool list, size;
	unsigned long long share, shares; /* shares 0: no share */
};

static bool parse_set(const char *text, enum crash_set *out)
{
	for (int s = 0; s < CRASH_SETS; s++)
		if (!strcmp(text, crash_set_name((enum crash_set)s))) {
			*out = (enum crash_set)s;
			return true;
		}
	return false;
}

static bool parse_mode(const char *text, struct crash_jobs *j)
{
	bool both = !strcmp(text, "both");

	j->flushed = both || !strcmp(text, "flushed");
	j->in_order = both || !strcmp(text, "elided");
	return j->flushed || j->in_order;
}

static bool parse_number(const char *text, unsigned long long max, unsigned long long *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text && !*end && !errno && *out <= max;
}

static bool parse_range(const char *text, struct crash_jobs *j)
{
	unsigned long long a, b;
	int n = 0;

	if (sscanf(text, "%llu-%llu%n", &a, &b, &n) != 2 || text[n] || a > b)
		return false;
	j->first = a;
	j->end = b;
	return true;
}

static bool parse_share(const char *text, struct command *c)
{
	int n = 0;

	return sscanf(text, "%llu/%llu%n", &c->share, &c->shares, &n) == 2 && !text[n] &&
	       c->share < c->shares;
}

static bool parse_fraction(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return *text && !*end && *out >= 0 && *out <= 1;
}

static bool take_number(int option, const char *text, struct crash_jobs *j)
{
	unsigned long long n;

	if (!parse_number(text, option == SEED ? UINT64_MAX : option == BUDGET ? 1000000 : 2, &n))
		return false;
	if (option == SEED)
		j->seed = n;
	else if (option == BUDGET)
		j->opt.budget = n < 4 ? 4 : (uint32_t)n;
	else
		j->opt.levels = (unsigned int)n;
	return true;
}

static bool take(int option, const char *arg, struct command *c)
{
	struct crash_jobs *j = &c->jobs;

	switch (option) {
	case SET:
		return parse_set(arg, &j->set);
	case RANGE:
		return parse_range(arg, j);
	case SHARE:
		return parse_share(arg, c);
	case FRACTION:
		return parse_fraction(arg, &j->fraction);
	case SEED:
	case BUDGET:
	case LEVELS:
		return take_number(option, arg, j);
	case MODE:
		return parse_mode(arg, j);
	case STOP:
		j->stop_at_first = true;
		return true;
	case FAILURES:
		j->failures = arg;
		return true;
	case WORKLOAD:
		j->text = arg;
		return true;
	case STATE:
		return !crash_path_parse(arg, &j->opt.only);
	case SAVE:
		j->opt.save = arg;
		return true;
	case LIST:
		c->list = true;
		return true;
	case SIZE:
		c->size = true;
		return true;
	case VERBOSE:
		j->verbose = true;
		return true;
	default:
		return false;
	}
}

/* Exits on what can't be meant. */
static void parse(int argc, char **argv, struct command *c)
{
	int option, index;

	while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (option == HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (option == '?')
			exit(2);
		if (!take(option, optarg, c)) {
			fprintf(stderr, "crash-explore: --%s=%s can't be: see --help\n",
				options[index].name, optarg);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "crash-explore: unknown argument %s: see --help\n", argv[optind]);
		exit(2);
	}
	if (c->jobs.opt.only.nr && (!c->jobs.text || c->jobs.flushed == c->jobs.in_order)) {
		fprintf(stderr,
			"crash-explore: --state is of a --workload and one --mode: see --help\n");
		exit(2);
	}
}

static void take_share(struct command *c)
{
	uint64_t size = crash_set_size(c->jobs.set);

	if (!c->shares)
		return;
	c->jobs.first = size * c->share / c->shares;
	c->jobs.end = size * (c->share + 1) / c->shares;
}

static int run(const struct crash_jobs *jobs)
{
	struct crash_outcome o;
	int err = crash_jobs_run(jobs, &o);

	if (err) {
		fprintf(stderr, "crash-explore: %s\n", strerror(-err));
		return 2;
	}
	printf("%llu workloads, %llu states, %llu distinct, %llu recoveries cut, %llu failed\n",
		(unsigned long long)o.counts.nr_workloads, (unsigned long long)o.counts.nr_states,
		(unsigned long long)o.counts.nr_distinct,
		(unsigned long long)o.counts.nr_recoveries, (unsigned long long)o.nr_failed);
	return o.nr_failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct command c = { .jobs = { .end = UINT64_MAX,
				     .fraction = 1,
				     .flushed = true,
				     .in_order = true,
				     .opt = { .budget = 64, .levels = 2 } } };

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv, &c);
	take_share(&c);
	/* What a mount allocates is given back and taken again thousands of times a second. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	if (c.size) {
		printf("%llu\n", (unsigned long long)crash_set_size(c.jobs.set));
		return 0;
	}
	if (c.list) {
		crash_jobs_list(&c.jobs);
		return 0;
	}
	if (c.jobs.opt.only.nr)
		return crash_jobs_show(&c.jobs) ? 0 : 1;
	return run(&c.jobs);
}
