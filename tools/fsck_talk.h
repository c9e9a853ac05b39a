/* SPDX-License-Identifier: BSD-3-Clause */
/* What fsck.devdaxfs says and asks while it runs, and who ends it. */
#ifndef DDFS_TOOLS_FSCK_TALK_H
#define DDFS_TOOLS_FSCK_TALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fsck_options;

struct fsck_talk {
	const struct fsck_options *opt;
	const char *name;   /* of the filesystem, for people */
	int signal_fd;	    /* SIGINT and SIGTERM: readable once one came */
	bool yes_to_all;    /* was answered */
	int tenths;	    /* of a percent that the bar shows, -1: there is no bar */
	atomic_bool is_end; /* of what can be read while asking */
};

/* Has the signals blocked from here on, in threads made later too. 0 or -errno. */
int fsck_talk_init(struct fsck_talk *t, const struct fsck_options *opt, const char *name);
void fsck_talk_fini(struct fsck_talk *t);

/* For struct ddfs_fsck_options; arg is the talk. */
void fsck_talk_say(void *arg, const char *problem, bool fixed);
bool fsck_talk_ask(void *arg, const char *question);
void fsck_talk_progress(void *arg, unsigned int pass, uint64_t done, uint64_t total);
bool fsck_talk_stop(void *arg);

/* Takes the bar away, before something else is printed. */
void fsck_talk_hide_bar(struct fsck_talk *t);

#endif
