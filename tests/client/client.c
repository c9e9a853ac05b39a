/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"

#define SKIP_STATUS 77

/* ---- running -------------------------------------------------------------------------------- */

/* Files made in it are DAX files. */
static void enter_directory(const char *name)
{
	struct fsxattr attr = { .fsx_xflags = FS_XFLAG_DAX };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "in-%s", name);
	CHECK(mkdir(path, 0777) == 0 && chmod(path, 0777) == 0 && chdir(path) == 0);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && ioctl(fd, FS_IOC_FSSETXATTR, &attr) == 0);
	close(fd);
}

/* What it says goes to a file, so that the line of its result comes first. */
static int run_one(const struct client_test *test, int output)
{
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (pid == 0) {
		dup2(output, STDOUT_FILENO);
		dup2(output, STDERR_FILENO);
		enter_directory(test->name);
		test->run();
		exit(0);
	}
	return client_wait(pid);
}

static void show_output(int output)
{
	FILE *file = fdopen(output, "r");
	char line[1024];

	rewind(file);
	while (fgets(line, sizeof(line), file))
		printf("    %s%s", line, strchr(line, '\n') ? "" : "\n");
	fclose(file);
}

static bool report(const char *group, const struct client_test *test, int status, int output)
{
	char why[256] = "";

	if (status == 0) {
		printf("ok %s.%s\n", group, test->name);
	} else if (status == SKIP_STATUS) {
		if (pread(output, why, sizeof(why) - 1, 0) < 0)
			why[0] = '\0';
		printf("skip %s.%s # %.*s\n", group, test->name, (int)strcspn(why, "\n"), why);
	} else {
		printf("not ok %s.%s # status %d\n", group, test->name, status);
		show_output(output);
		return false;
	}
	close(output);
	return true;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc <= 1;
}

int client_main(const char *group, const struct client_test *tests, int argc, char **argv)
{
	int failed = 0;

	umask(022);
	/* A shell has what it runs in the background ignore it. */
	signal(SIGINT, SIG_DFL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; tests->name; tests++) {
		int output;

		if (!is_wanted(tests->name, argc, argv))
			continue;
		output = memfd_create("output", MFD_CLOEXEC);
		if (!report(group, tests, run_one(tests, output), output))
			failed = 1;
	}
	return failed;
}

/* ---- expectations --------------------------------------------------------------------------- */

/* The whole process, from any thread of it, and without the library's leave. */
void client_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(1);
}

void client_skip(const char *why)
{
	fprintf(stderr, "%s\n", why);
	_exit(SKIP_STATUS);
}

void client_same(
	const char *file, int line, const char *a, long long av, const char *b, long long bv)
{
	if (av != bv)
		client_fail(file, line, "%s is %lld, %s is %lld", a, av, b, bv);
}

void client_ok(const char *file, int line, const char *call, int ret)
{
	if (ret)
		client_fail(file, line, "%s: %s (%s)", call, strerror(-ret), ddfs_errormsg());
}

void client_error(
	const char *file, int line, const char *call, int ret, int error, const char *word)
{
	if (ret != -error)
		client_fail(file, line, "%s: %d, want %d (%s): %s", call, ret, -error,
			strerror(error), ret < 0 ? ddfs_errormsg() : "it works");
	if (!strstr(ddfs_errormsg(), word))
		client_fail(file, line, "%s: no \"%s\" in: %s", call, word, ddfs_errormsg());
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

long long client_deadline(void)
{
	const char *patience = getenv("DDFS_PATIENCE");

	return now_ms() + (long long)(20000 * (patience && *patience ? atof(patience) : 1));
}

void client_pause(const char *file, int line, const char *what, long long deadline)
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	if (now_ms() > deadline)
		client_fail(file, line, "waited in vain for: %s", what);
	nanosleep(&pause, NULL);
}

/* ---- processes ------------------------------------------------------------------------------ */

pid_t client_fork(void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	return pid;
}

int client_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

pid_t client_truncate(const char *name, uint64_t size)
{
	char number[32];
	pid_t pid;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)size);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		execlp("truncate", "truncate", "-s", number, name, NULL);
		_exit(127);
	}
	return pid;
}

pid_t client_truncate_waiting(const char *name, uint64_t size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	pid_t pid;

	CHECK(fd >= 0);
	pid = client_truncate(name, size);
	WAIT_UNTIL(client_nr_breaks(fd) == 1);
	close(fd);
	return pid;
}
