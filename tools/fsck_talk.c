/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/fsck_talk.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tools/fsck_options.h"

#define BAR_WIDTH 60

int fsck_talk_init(struct fsck_talk *t, const struct fsck_options *opt, const char *name)
{
	sigset_t set;

	*t = (struct fsck_talk){ .opt = opt, .name = name, .tenths = -1 };
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return t->signal_fd < 0 ? -errno : 0;
}

void fsck_talk_fini(struct fsck_talk *t)
{
	fsck_talk_hide_bar(t);
	close(t->signal_fd);
}

bool fsck_talk_stop(void *arg)
{
	struct fsck_talk *t = arg;
	struct pollfd p = { .fd = t->signal_fd, .events = POLLIN };

	return t->is_end || poll(&p, 1, 0) > 0;
}

/* ---- sentences and questions ---------------------------------------------------------------- */

void fsck_talk_say(void *arg, const char *problem, bool fixed)
{
	struct fsck_talk *t = arg;

	fsck_talk_hide_bar(t);
	if (t->opt->mode == DDFS_FSCK_PREEN)
		printf("%s: ", t->name);
	printf("%s.%s\n", problem, fixed ? " FIXED." : "");
}

/* A line of the terminal, or nothing once there is no other, or a signal came. */
static bool read_answer(struct fsck_talk *t, char *line, int size)
{
	struct pollfd p[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = t->signal_fd, .events = POLLIN },
	};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			break;
	t->is_end = p[1].revents || !fgets(line, size, stdin);
	return !t->is_end;
}

/* Without a word it is a yes, as of e2fsck. */
bool fsck_talk_ask(void *arg, const char *question)
{
	struct fsck_talk *t = arg;
	char line[64];

	fsck_talk_hide_bar(t);
	while (!t->yes_to_all) {
		printf("%s (yes, no, all: yes to this and everything else) [yes] ", question);
		fflush(stdout);
		if (!read_answer(t, line, sizeof(line))) {
			putchar('\n');
			return false;
		}
		switch (line[0]) {
		case 'n':
		case 'N':
			return false;
		case 'a':
		case 'A':
			t->yes_to_all = true;
			return true;
		case '\n':
		case 'y':
		case 'Y':
			return true;
		}
	}
	printf("%s yes\n", question);
	return true;
}

/* ---- progress ------------------------------------------------------------------------------- */

void fsck_talk_hide_bar(struct fsck_talk *t)
{
	if (t->tenths < 0)
		return;
	printf("\r%*s\r", (int)strlen(t->name) + BAR_WIDTH + 12, "");
	t->tenths = -1;
}

/* How much of it all is done where a pass begins, in tenths of a percent. */
static int tenths_of(unsigned int pass, uint64_t done, uint64_t total)
{
	static const int begin[] = { 0, 0, 500, 850, 870, 950, 1000 };
	int from = begin[pass], to = begin[pass + 1];

	return total ? from + (int)((double)(to - from) * (double)done / (double)total) : to;
}

static void show_bar(struct fsck_talk *t, int tenths)
{
	int full = tenths * BAR_WIDTH / 1000;

	if (tenths == t->tenths)
		return;
	t->tenths = tenths;
	printf("\r%s: |%.*s%*s| %2d.%d%% ", t->name, full,
		"============================================================", BAR_WIDTH - full,
		"", tenths / 10, tenths % 10);
	fflush(stdout);
}

void fsck_talk_progress(void *arg, unsigned int pass, uint64_t done, uint64_t total)
{
	struct fsck_talk *t = arg;

	if (pass < 1 || pass > 5)
		return;
	if (t->opt->progress_fd > 0)
		dprintf(t->opt->progress_fd, "%u %" PRIu64 " %" PRIu64 " %s\n", pass, done, total,
			t->name);
	else if (t->opt->progress_fd == 0 && isatty(STDOUT_FILENO))
		show_bar(t, tenths_of(pass, done, total));
}
