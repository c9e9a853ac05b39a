/* SPDX-License-Identifier: BSD-3-Clause */
/* Child processes that do as they are told. They end with the test that started them. */
#ifndef DDFS_TEST_CHILD_H
#define DDFS_TEST_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
	pid_t pid;
	int up;	  /* what it tells; at its end when the process's files are closed */
	int down; /* what it shall do, a byte each */
};

#define CHILD_THREAD	   't' /* another thread, which does nothing */
#define CHILD_THREAD_APART 'a' /* the same, but it takes no part in the files of the process */
#define CHILD_RENAME	   'n' /* be called CHILD_NAME */
#define CHILD_EXEC	   'x' /* be sleep(1), started by a thread that is not the first */
#define CHILD_LEADER_EXIT  'l' /* the first thread alone exits */
#define CHILD_EXIT	   'q'

/* It looks like what /proc/PID/stat says of a process that is dead. */
#define CHILD_NAME ")Z 1 (2 3) X 4"

void child_start(struct child *c);
/* As fork(2), but to have this pid, which is free; 0: any. */
pid_t fork_as(pid_t pid);
void child_start_as(struct child *c, pid_t pid);

void child_order(struct child *c, char order);
/* One of the first three, done when this returns: by the thread that is returned. */
pid_t child_thread(struct child *c, char order);

void child_end(struct child *c); /* kill and reap */
void child_reap(struct child *c);

bool child_runs(const struct child *c, const char *program);
pid_t own_tid(void);

#endif
