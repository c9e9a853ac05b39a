/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/report.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char *crash_mode_name(enum crash_mode mode)
{
	return mode == CRASH_FLUSHED ? "flushed" : "elided";
}

/* The arguments that make the program try one state again. */
#define NR_ARGS 6
struct again {
	char text[CRASH_TEXT + 32], mode[32], state[CRASH_PATH_TEXT + 32], budget[32], seed[48];
	char *argv[NR_ARGS + 1];
};

static void again_init(struct again *a, const struct crash_jobs *jobs,
	const struct crash_workload *w, enum crash_mode mode, const struct crash_path *path)
{
	char state[CRASH_PATH_TEXT];
	unsigned int n = 0;

	memset(a, 0, sizeof(*a));
	crash_path_print(path, state);
	snprintf(a->text, sizeof(a->text), "--workload=%s", w->text);
	snprintf(a->mode, sizeof(a->mode), "--mode=%s", crash_mode_name(mode));
	snprintf(a->state, sizeof(a->state), "--state=%s", state);
	snprintf(a->budget, sizeof(a->budget), "--budget=%u", jobs->opt.budget);
	snprintf(a->seed, sizeof(a->seed), "--seed=%llu", (unsigned long long)jobs->seed);
	a->argv[n++] = (char *)(uintptr_t) "crash-explore";
	a->argv[n++] = a->text;
	a->argv[n++] = a->mode;
	/* No state: it ended before there was one. */
	if (path->nr)
		a->argv[n++] = a->state;
	a->argv[n++] = a->budget;
	a->argv[n] = a->seed;
}

static void again_print(const struct again *a, FILE *out)
{
	fprintf(out, "    crash-explore --workload='%s'", a->text + strlen("--workload="));
	for (unsigned int i = 2; a->argv[i]; i++)
		fprintf(out, " %s", a->argv[i]);
	fputc('\n', out);
}

/* What the program says of that state, in a file. */
static void again_save(const struct again *a, const struct crash_jobs *jobs, const char *name,
	enum crash_mode mode)
{
	char path[PATH_MAX];
	pid_t pid;

	mkdir(jobs->failures, 0755);
	snprintf(path, sizeof(path), "%s/%s.%s.txt", jobs->failures, name, crash_mode_name(mode));
	for (char *p = path + strlen(jobs->failures) + 1; *p; p++)
		if (*p == '/')
			*p = '-';
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(1);
		again_print(a, stdout);
		fflush(stdout);
		execv("/proc/self/exe", a->argv);
		_exit(1);
	}
	if (pid > 0 && waitpid(pid, NULL, 0) == pid)
		printf("    more in %s\n", path);
}

static void tell(const struct crash_jobs *jobs, const struct crash_workload *w,
	enum crash_mode mode, const struct crash_path *path, bool save)
{
	struct again a;

	again_init(&a, jobs, w, mode, path);
	again_print(&a, stdout);
	if (save && jobs->failures)
		again_save(&a, jobs, w->name, mode);
	fflush(stdout);
}

/* Each line of what was logged, indented. */
static void print_said(const char *said)
{
	while (*said) {
		size_t n = strcspn(said, "\n");

		printf("    %.*s\n", (int)n, said);
		said += n + (said[n] == '\n');
	}
}

void crash_report_failure(const struct crash_jobs *jobs, const struct crash_failure *f,
	enum crash_mode mode, bool save)
{
	printf("not ok crash.%s (%s), crash %s '%s': %s\n", f->workload->name,
		crash_mode_name(mode), f->returned ? "behind" : "in", f->op, f->why);
	print_said(f->said);
	tell(jobs, f->workload, mode, &f->path, save);
}

void crash_report_death(const struct crash_jobs *jobs, const struct crash_workload *w,
	enum crash_mode mode, const struct crash_path *now, int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	printf("not ok crash.%s (%s): it %s\n", w->name, crash_mode_name(mode),
		sig == SIGALRM ? "hangs"
		: sig	       ? strsignal(sig)
			       : "ended");
	/* Nothing tried yet: the run itself. */
	tell(jobs, w, mode, now, true);
}
