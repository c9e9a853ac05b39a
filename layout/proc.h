/* SPDX-License-Identifier: BSD-3-Clause */
/* What /proc says of processes and threads. */
#ifndef DDFS_LAYOUT_PROC_H
#define DDFS_LAYOUT_PROC_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#define DDFS_PROC_COMM_BYTES 16

/* The process that the thread belongs to. -ESRCH: there is no such thread, or not for us. */
int ddfs_proc_tgid(pid_t tid, pid_t *out);
/* The process's program, "?" if it cannot be read. */
void ddfs_proc_comm(pid_t pid, char comm[DDFS_PROC_COMM_BYTES]);
/* Every thread of the process is killed or exits. In doubt true: pages that are kept too long
 * do no harm. It is for the caller to know that pid is not another's meanwhile. */
bool ddfs_proc_is_dying(pid_t pid);
/* Whether a process of that number, which began no later than since (CLOCK_REALTIME seconds, give
 * or take one or two), is dying and not yet wholly gone. */
bool ddfs_proc_is_going(pid_t pid, time_t since);

#endif
