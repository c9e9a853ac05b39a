/* SPDX-License-Identifier: BSD-3-Clause */
/* Image files and an ear for the device tests. */
#ifndef DDFS_TESTS_DEVICE_IMAGE_H
#define DDFS_TESTS_DEVICE_IMAGE_H

#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

/* A directory in memory and one that may be on a disk: where the test runs. */
#define IN_MEMORY "/dev/shm"
#define ON_DISK	  "."

/* Process that runs the suite: its images are known by it. One for all files of a program. */
__attribute__((weak)) pid_t image_owner;

struct image {
	char path[PATH_MAX];
};

static inline void image_make(struct image *image, const char *dir, uint64_t size)
{
	char name[PATH_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s/ddfs-test-%d-XXXXXX", dir, (int)image_owner);
	fd = mkstemp(name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
	ck_assert_ptr_nonnull(realpath(name, image->path));
}

static inline void image_remove(const struct image *image)
{
	unlink(image->path);
}

/* Everything said so far, a line each. */
struct ear {
	char heard[16384];
};

static inline void ear_listen(void *arg, int priority, const char *line)
{
	struct ear *ear = arg;
	size_t len = strlen(ear->heard);

	(void)priority;
	snprintf(ear->heard + len, sizeof(ear->heard) - len, "%s\n", line);
}

#define ck_assert_heard(ear, text)                                                                 \
	ck_assert_msg(                                                                             \
		strstr((ear)->heard, text), "heard \"%s\" rather than \"%s\"", (ear)->heard, text)

static inline int run_tests(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline void remove_images(pid_t owner)
{
	static const char *const dirs[] = { IN_MEMORY, ON_DISK };
	char pattern[64];
	glob_t found;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(pattern, sizeof(pattern), "%s/ddfs-test-%d-*", dirs[i], (int)owner);
		if (glob(pattern, 0, NULL, &found))
			continue;
		for (size_t n = 0; n < found.gl_pathc; n++)
			unlink(found.gl_pathv[n]);
		globfree(&found);
	}
}

/* The tests run in a process of their own; what they leave behind when they fail
 * or are interrupted is removed by this one. */
static inline int run_suite(Suite *suite)
{
	sigset_t signals;
	int status, sig;
	pid_t pid;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	pid = fork();
	if (pid < 0)
		return EXIT_FAILURE;
	if (pid == 0) {
		image_owner = getpid();
		setpgid(0, 0); /* Check ends its whole group */
		sigprocmask(SIG_UNBLOCK, &signals, NULL);
		_exit(run_tests(suite));
	}
	srunner_free(srunner_create(suite)); /* this process's copy */
	while (!sigwait(&signals, &sig) && waitpid(pid, &status, WNOHANG) != pid)
		kill(pid, SIGTERM);
	remove_images(pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

#endif
