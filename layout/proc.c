/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading /proc/PID, where every file may be gone at any moment: then open says ENOENT, and read
 * ESRCH. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "layout/proc.h"

/* include/linux/sched.h */
#define PF_EXITING	0x4u   /* it is on its way out */
#define PF_POSTCOREDUMP 0x8u   /* the same, a little earlier */
#define PF_SIGNALED	0x400u /* a signal killed it, earlier still */

/* Calls line for each line of the file, however long, without its newline. */
static int file_read(const char *path, void (*line)(void *arg, const char *text), void *arg)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	int err;

	if (!file)
		return errno == ENOENT ? -ESRCH : -errno;
	errno = 0;
	while (getline(&text, &size, file) > 0) {
		text[strcspn(text, "\n")] = '\0';
		line(arg, text);
		errno = 0;
	}
	err = -errno;
	free(text);
	fclose(file);
	return err;
}

/* ---- status --------------------------------------------------------------------------------- */

struct status {
	int tgid;
	uint64_t pending; /* signals, the first in bit 0 */
	int dumping;
};

/* The name of the program, the first line's value, has its newlines escaped: no line is made up. */
static void status_line(void *arg, const char *text)
{
	struct status *s = arg;
	uint64_t set;

	if (sscanf(text, "SigPnd: %" SCNx64, &set) == 1 ||
		sscanf(text, "ShdPnd: %" SCNx64, &set) == 1)
		s->pending |= set;
	else if (sscanf(text, "Tgid: %d", &s->tgid) != 1)
		sscanf(text, "CoreDumping: %d", &s->dumping);
}

int ddfs_proc_tgid(pid_t tid, pid_t *out)
{
	struct status s = { 0 };
	char path[32];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	err = file_read(path, status_line, &s);
	if (err)
		return err;
	if (s.tgid <= 0)
		return -ESRCH;
	*out = s.tgid;
	return 0;
}

static void comm_line(void *arg, const char *text)
{
	snprintf(arg, DDFS_PROC_COMM_BYTES, "%s", text);
}

void ddfs_proc_comm(pid_t pid, char comm[DDFS_PROC_COMM_BYTES])
{
	char path[32];

	snprintf(comm, DDFS_PROC_COMM_BYTES, "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file_read(path, comm_line, comm);
}

/* ---- dying ---------------------------------------------------------------------------------- */

/* The state and the flags are the third and the ninth value. The second, the program's name in
 * parentheses, may hold parentheses and spaces of its own. */
static void stat_line(void *arg, const char *text)
{
	const unsigned int out = PF_EXITING | PF_POSTCOREDUMP | PF_SIGNALED;
	const char *p = strrchr(text, ')');
	bool *exiting = arg;
	unsigned int flags;
	char state;

	if (p && sscanf(p + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) == 2)
		*exiting = state == 'Z' || state == 'X' || (flags & out);
}

/* A SIGKILL that is pending for the thread is also how the kernel tells the threads of a process
 * that ends for another reason. A dump of core comes before that. */
static bool is_killed(const struct status *s)
{
	return (s->pending & UINT64_C(1) << (SIGKILL - 1)) || s->dumping;
}

/* Also if it is gone, or cannot be looked at. */
static bool thread_is_dying(pid_t pid, pid_t tid)
{
	struct status s = { 0 };
	bool exiting = false;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	if (file_read(path, stat_line, &exiting) || exiting)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	return file_read(path, status_line, &s) || is_killed(&s);
}

static bool all_threads_are_dying(pid_t pid, DIR *task)
{
	struct dirent *d;
	bool dying = true;

	rewinddir(task);
	while (dying && (d = readdir(task))) {
		if (isdigit((unsigned char)d->d_name[0]))
			dying = thread_is_dying(pid, (pid_t)strtol(d->d_name, NULL, 10));
	}
	return dying;
}

/*
 * Every thread must be on its way out. One that exits alone, be it the first, leaves the others and
 * their files; and an exec kills all but the one that does it, which may have closed a file just
 * before. More is not needed: the files that the threads share are closed by the last of them.
 *
 * Two looks, for a thread may have made another behind the place that readdir had reached, and
 * have gone itself.
 */
bool ddfs_proc_is_dying(pid_t pid)
{
	char path[32];
	bool dying = true;
	DIR *task;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	task = opendir(path);
	if (!task)
		return true;
	for (int look = 0; dying && look < 2; look++)
		dying = all_threads_are_dying(pid, task);
	closedir(task);
	return dying;
}

/* ---- going ---------------------------------------------------------------------------------- */

/* The time since the machine started at which the process did, in ticks: the twenty-second value.
 */
static void began_line(void *arg, const char *text)
{
	const char *p = strrchr(text, ')');

	if (p)
		sscanf(p + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			"%*d %llu",
			(unsigned long long *)arg);
}

/* 0: not known, which is long ago. */
static time_t began(pid_t pid)
{
	unsigned long long ticks = 0;
	struct timespec up, now;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file_read(path, began_line, &ticks);
	if (!ticks)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &up);
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - up.tv_sec + (time_t)(ticks / (unsigned long long)sysconf(_SC_CLK_TCK));
}

bool ddfs_proc_is_going(pid_t pid, time_t since)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool going;

	if (fd < 0)
		return errno != ESRCH && errno != EINVAL;
	going = began(pid) <= since + 2 && poll(&p, 1, 0) == 0 && ddfs_proc_is_dying(pid);
	close(fd);
	return going;
}
