/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of libdevdaxfs are made of. Each test is a function that runs in a process and a
 * DAX directory of its own, below the current one, which is on a mounted devdaxfs; and one line of
 * the result, as tests/mounted/run counts them.
 */
#ifndef DDFS_TESTS_CLIENT_H
#define DDFS_TESTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct client_test {
	const char *name;
	void (*run)(void);
};
#define CLIENT_TEST(name)                                                                          \
	{                                                                                          \
#name, test_##name                                                                 \
	}

/* Runs all tests, or those that argv names; the status for main. */
int client_main(const char *group, const struct client_test *tests, int argc, char **argv);

/* ---- expectations: a process that misses one says so and ends ------------------------------- */

void client_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void client_skip(const char *why) __attribute__((noreturn));

#define CHECK(condition)                                                                           \
	((condition) ? (void)0 : client_fail(__FILE__, __LINE__, "not so: %s", #condition))
/* Integers. */
#define CHECK_SAME(a, b) client_same(__FILE__, __LINE__, #a, (long long)(a), #b, (long long)(b))
/* A call of the library that works. */
#define CHECK_OK(call) client_ok(__FILE__, __LINE__, #call, call)
/* One that fails, with a sentence in which there is the word. */
#define CHECK_ERROR(call, error, word) client_error(__FILE__, __LINE__, #call, call, error, word)

void client_same(
	const char *file, int line, const char *a, long long av, const char *b, long long bv);
void client_ok(const char *file, int line, const char *call, int ret);
void client_error(
	const char *file, int line, const char *call, int ret, int error, const char *word);

/* Until the condition holds; fails after a while. */
#define WAIT_UNTIL(condition)                                                                      \
	do {                                                                                       \
		long long client_end_ = client_deadline();                                         \
		while (!(condition))                                                               \
			client_pause(__FILE__, __LINE__, #condition, client_end_);                 \
	} while (0)
long long client_deadline(void);
void client_pause(const char *file, int line, const char *what, long long deadline);

/* ---- files ---------------------------------------------------------------------------------- */

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* Bytes that tell where they are. */
void client_pattern(void *to, uint64_t seed, uint64_t off, size_t len);
/* Whether they are those. */
bool client_is_pattern(const void *from, uint64_t seed, uint64_t off, size_t len);

/* A new file of size bytes of the pattern, open for reading and writing. */
int client_file(const char *name, uint64_t seed, uint64_t size);
void client_pwrite(int fd, uint64_t seed, uint64_t off, size_t len);
bool client_file_is(int fd, uint64_t seed, uint64_t off, size_t len);
uint64_t client_file_size(int fd);

/* Of the mount that the current directory is on. */
uint64_t client_unit(void);
uint64_t client_piece(void); /* whole units, at least 1 MiB */
uint32_t client_epoch(void);
uint64_t client_size(void); /* that it uses of its device */
/* Where its device is; the test is skipped if that is not an image. */
const char *client_image(void);

bool client_is_device(void);

/* Of the file: pins, and changes that wait for them. */
uint64_t client_nr_pins(int fd);
uint64_t client_nr_breaks(int fd);

/* ---- processes ------------------------------------------------------------------------------ */

/* truncate(1) of the file, begun and waiting for somebody's lease. */
pid_t client_truncate_waiting(const char *name, uint64_t size);
/* The same, not waited for. */
pid_t client_truncate(const char *name, uint64_t size);
/* Its exit status, or 256 and the signal that ended it. */
int client_wait(pid_t pid);
/* A forked process that runs fn(arg), with _exit(0) if that returns. */
pid_t client_fork(void (*fn)(void *arg), void *arg);

#endif
