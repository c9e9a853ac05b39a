/* SPDX-License-Identifier: BSD-3-Clause */
/* Image files and an ear for the device tests. */
#ifndef DDFS_TESTS_DEVICE_IMAGE_H
#define DDFS_TESTS_DEVICE_IMAGE_H

#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

/* A directory in memory and one that may be on a disk: where the test runs. */
#define IN_MEMORY "/dev/shm"
#define ON_DISK	  "."

struct image {
	char path[PATH_MAX];
};

static inline void image_make(struct image *image, const char *dir, uint64_t size)
{
	char name[PATH_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s/ddfs-test-XXXXXX", dir);
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

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int nr_failed;

	srunner_run_all(runner, CK_ENV);
	nr_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nr_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
