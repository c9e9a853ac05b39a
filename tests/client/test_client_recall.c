/* SPDX-License-Identifier: BSD-3-Clause */
/* Recalls: by poll, by callback, and that letting go is what ends the wait. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "tests/client/client.h"

#define RW (DDFS_MAP_READ | DDFS_MAP_WRITE)

static struct ddfs_lease *lease_of(int fd, uint64_t off, uint64_t len)
{
	struct ddfs_lease *lease;

	CHECK_OK(ddfs_lease_new(fd, off, len, RW, &lease));
	return lease;
}

static bool is_running(pid_t pid)
{
	return kill(pid, 0) == 0;
}

/* Of the library, by their name. */
static int nr_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	char path[300], name[32];
	FILE *file;
	int nr = 0;

	CHECK(dir != NULL);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		nr += fgets(name, sizeof(name), file) && strcmp(name, "ddfs-recall\n") == 0;
		fclose(file);
	}
	closedir(dir);
	return nr;
}

/* A second callback for one recall would be there by now: the waiting change has long been told of,
 * and other requests have passed through the daemon since. */
static void let_settle(int fd)
{
	int i;

	for (i = 0; i < 200; i++) {
		client_nr_breaks(fd);
		usleep(500);
	}
}

/* ---- poll ----------------------------------------------------------------------------------- */

static void test_poll(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_lease *lease = lease_of(fd, 0, 0);
	struct pollfd p = { .fd = ddfs_lease_fd(lease), .events = POLLPRI };
	pid_t truncate;

	CHECK_SAME(ddfs_lease_is_recalled(lease), 0);
	CHECK_SAME(poll(&p, 1, 0), 0);
	truncate = client_truncate("f", 0);
	CHECK_SAME(poll(&p, 1, 20000), 1);
	CHECK_SAME(p.revents, POLLPRI);
	CHECK_SAME(ddfs_lease_is_recalled(lease), 1);
	CHECK(client_file_is(fd, 1, 0, 8192));
	CHECK(is_running(truncate));
	ddfs_lease_delete(lease);
	CHECK_SAME(client_wait(truncate), 0);
	CHECK_SAME(client_file_size(fd), 0);
}

static void ignore(int signal)
{
	(void)signal;
}

/* Who looks need not know of the process's signals. */
static void test_signals(void)
{
	const struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { 0 };
	const struct sigaction action = { .sa_handler = ignore };
	struct ddfs_lease *lease = lease_of(client_file("f", 1, 8192), 0, 0);
	int i;

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (i = 0; i < 5000; i++)
		CHECK_SAME(ddfs_lease_is_recalled(lease), 0);
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	ddfs_lease_delete(lease);
}

/* What is stored can be made durable while the change waits. */
static void test_sync(void)
{
	const uint64_t size = client_unit();
	int fd = client_file("f", 1, size);
	struct ddfs_mapping *m;
	pid_t truncate;

	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &m));
	truncate = client_truncate_waiting("f", 0);
	CHECK_SAME(ddfs_lease_is_recalled(ddfs_mapping_lease(m)), 1);
	client_pattern(ddfs_mapping_address(m), 2, 0, size);
	ddfs_mapping_persist(m, ddfs_mapping_address(m), size);
	CHECK_OK(ddfs_mapping_sync(m, 0, 0));
	CHECK_OK(ddfs_lease_sync(ddfs_mapping_lease(m), 0, 0));
	CHECK_ERROR(ddfs_mapping_grow(m, 2 * size), EDEADLK, "let go");
	CHECK(client_is_pattern(ddfs_mapping_address(m), 2, 0, size));
	ddfs_mapping_delete(m);
	CHECK_SAME(client_wait(truncate), 0);
}

/* A change that is given up takes its recall along. */
static void test_given_up(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_lease *lease = lease_of(fd, 0, 0);
	pid_t truncate = client_truncate_waiting("f", 0);

	CHECK_SAME(ddfs_lease_is_recalled(lease), 1);
	CHECK(kill(truncate, SIGINT) == 0);
	CHECK_SAME(client_wait(truncate), 256 + SIGINT);
	WAIT_UNTIL(ddfs_lease_is_recalled(lease) == 0);
	CHECK(client_file_is(fd, 1, 0, 8192));
	ddfs_lease_delete(lease);
}

/* A change of other pages is none of the lease's business. */
static void test_elsewhere(void)
{
	const uint64_t unit = client_unit();
	int fd = client_file("f", 1, 4 * unit);
	struct ddfs_lease *lease = lease_of(fd, 0, unit);

	CHECK(ftruncate(fd, (off_t)unit) == 0);
	CHECK_SAME(ddfs_lease_is_recalled(lease), 0);
	ddfs_lease_delete(lease);
}

/* ---- callbacks ------------------------------------------------------------------------------ */

struct calls {
	atomic_int nr;
	pthread_t thread;
};

static void count(struct ddfs_lease *lease, void *arg)
{
	struct calls *calls = arg;

	CHECK(ddfs_lease_is_recalled(lease) == 1);
	calls->thread = pthread_self();
	atomic_fetch_add(&calls->nr, 1);
}

static void test_callback(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_lease *lease = lease_of(fd, 0, 0);
	struct calls calls = { 0 };
	pid_t truncate;

	CHECK_SAME(nr_threads(), 0);
	CHECK_OK(ddfs_lease_on_recall(lease, count, &calls));
	CHECK_SAME(nr_threads(), 1);
	truncate = client_truncate("f", 0);
	WAIT_UNTIL(atomic_load(&calls.nr) > 0);
	CHECK(!pthread_equal(calls.thread, pthread_self()));
	CHECK(is_running(truncate));
	let_settle(fd);
	CHECK_SAME(atomic_load(&calls.nr), 1);
	ddfs_lease_delete(lease);
	CHECK_SAME(client_wait(truncate), 0);
	WAIT_UNTIL(nr_threads() == 0);
}

static void test_each_recall(void)
{
	int fd = client_file("f", 1, 8192), i;
	struct ddfs_lease *lease = lease_of(fd, 0, 0);
	struct calls calls = { 0 };
	pid_t truncate;

	CHECK_OK(ddfs_lease_on_recall(lease, count, &calls));
	for (i = 1; i <= 5; i++) {
		truncate = client_truncate_waiting("f", 0);
		WAIT_UNTIL(atomic_load(&calls.nr) == i);
		CHECK(kill(truncate, SIGINT) == 0);
		CHECK_SAME(client_wait(truncate), 256 + SIGINT);
		WAIT_UNTIL(ddfs_lease_is_recalled(lease) == 0);
	}
	let_settle(fd);
	CHECK_SAME(atomic_load(&calls.nr), 5);
	ddfs_lease_delete(lease);
}

/* Set when it is recalled already: told all the same. */
static void test_late(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_lease *lease = lease_of(fd, 0, 0);
	pid_t truncate = client_truncate_waiting("f", 0);
	struct calls calls = { 0 };

	CHECK_OK(ddfs_lease_on_recall(lease, count, &calls));
	WAIT_UNTIL(atomic_load(&calls.nr) == 1);
	ddfs_lease_delete(lease);
	CHECK_SAME(client_wait(truncate), 0);
}

static void let_go(struct ddfs_lease *lease, void *arg)
{
	ddfs_lease_delete(lease);
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void test_delete_inside(void)
{
	int fd = client_file("f", 1, 8192), i;
	atomic_int nr = 0;
	pid_t truncate;

	for (i = 1; i <= 20; i++) {
		CHECK_OK(ddfs_lease_on_recall(lease_of(fd, 0, 0), let_go, &nr));
		truncate = client_truncate("f", 0);
		CHECK_SAME(client_wait(truncate), 0);
		WAIT_UNTIL(atomic_load(&nr) == i);
		client_pwrite(fd, 1, 0, 8192);
	}
	WAIT_UNTIL(nr_threads() == 0);
	CHECK_SAME(client_nr_pins(fd), 0);
}

struct mapped {
	struct ddfs_mapping *m;
	atomic_bool is_gone;
};

static void unmap(struct ddfs_lease *lease, void *arg)
{
	struct mapped *mapped = arg;

	CHECK(ddfs_mapping_lease(mapped->m) == lease);
	client_pattern(ddfs_mapping_address(mapped->m), 2, 0, 4096);
	CHECK_OK(ddfs_mapping_sync(mapped->m, 0, 0));
	ddfs_mapping_delete(mapped->m);
	atomic_store(&mapped->is_gone, true);
}

static void test_mapping_inside(void)
{
	const uint64_t unit = client_unit();
	int fd = client_file("f", 1, 4 * unit);
	struct mapped mapped = { NULL, false };

	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &mapped.m));
	CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(mapped.m), unmap, &mapped));
	CHECK_SAME(client_wait(client_truncate("f", 2 * unit)), 0);
	WAIT_UNTIL(atomic_load(&mapped.is_gone));
	CHECK(client_file_is(fd, 2, 0, 4096));
	CHECK(client_file_is(fd, 1, 4096, 2 * unit - 4096));
	WAIT_UNTIL(nr_threads() == 0);
}

/* The callback stays with the lease when its mapping grows. */
static void test_grown(void)
{
	const uint64_t unit = client_unit();
	int fd = client_file("f", 1, unit);
	struct mapped mapped = { NULL, false };

	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &mapped.m));
	CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(mapped.m), unmap, &mapped));
	CHECK_OK(ddfs_mapping_grow(mapped.m, 5 * unit));
	CHECK_SAME(client_wait(client_truncate("f", 4 * unit)), 0);
	WAIT_UNTIL(atomic_load(&mapped.is_gone));
	CHECK_SAME(client_file_size(fd), 4 * unit);
}

/* ---- setting and clearing ------------------------------------------------------------------- */

static void test_cleared(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_lease *lease = lease_of(fd, 0, 0);
	struct calls calls = { 0 };
	pid_t truncate;

	CHECK_OK(ddfs_lease_on_recall(lease, count, &calls));
	CHECK_OK(ddfs_lease_on_recall(lease, NULL, NULL));
	CHECK_OK(ddfs_lease_on_recall(lease, NULL, NULL));
	WAIT_UNTIL(nr_threads() == 0);
	truncate = client_truncate_waiting("f", 0);
	let_settle(fd);
	CHECK_SAME(atomic_load(&calls.nr), 0);
	ddfs_lease_delete(lease);
	CHECK_SAME(client_wait(truncate), 0);
}

static void test_replaced(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_lease *lease = lease_of(fd, 0, 0);
	struct calls first = { 0 };
	atomic_int second = 0;
	pid_t truncate;

	CHECK_OK(ddfs_lease_on_recall(lease, count, &first));
	CHECK_OK(ddfs_lease_on_recall(lease, let_go, &second));
	truncate = client_truncate("f", 0);
	CHECK_SAME(client_wait(truncate), 0);
	WAIT_UNTIL(atomic_load(&second) == 1);
	CHECK_SAME(atomic_load(&first.nr), 0);
}

struct slow {
	atomic_bool is_in, may_leave, has_left;
};

static void dawdle(struct ddfs_lease *lease, void *arg)
{
	struct slow *slow = arg;

	atomic_store(&slow->is_in, true);
	WAIT_UNTIL(atomic_load(&slow->may_leave));
	usleep(20000);
	CHECK(ddfs_lease_is_recalled(lease) == 1);
	atomic_store(&slow->has_left, true);
}

/* Who clears or deletes waits for the callback that is running. */
static void test_clear_waits(void)
{
	int fd = client_file("f", 1, 8192), i;

	for (i = 0; i < 2; i++) {
		struct ddfs_lease *lease = lease_of(fd, 0, 0);
		struct slow slow = { false, false, false };
		pid_t truncate;

		CHECK_OK(ddfs_lease_on_recall(lease, dawdle, &slow));
		truncate = client_truncate("f", 0);
		WAIT_UNTIL(atomic_load(&slow.is_in));
		atomic_store(&slow.may_leave, true);
		if (i == 0)
			CHECK_OK(ddfs_lease_on_recall(lease, NULL, NULL));
		else
			ddfs_lease_delete(lease);
		CHECK(atomic_load(&slow.has_left));
		if (i == 0)
			ddfs_lease_delete(lease);
		CHECK_SAME(client_wait(truncate), 0);
		client_pwrite(fd, 1, 0, 8192);
	}
}

struct slow_mapped {
	struct slow slow;
	struct ddfs_mapping *m;
};

static void dawdle_and_store(struct ddfs_lease *lease, void *arg)
{
	struct slow_mapped *s = arg;

	dawdle(lease, &s->slow);
	client_pattern(ddfs_mapping_address(s->m), 2, 0, 8192);
}

/* Nor is the memory gone under it. */
static void test_unmap_waits(void)
{
	int fd = client_file("f", 1, 8192);
	struct slow_mapped s = { { false, false, false }, NULL };
	pid_t truncate;

	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &s.m));
	CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(s.m), dawdle_and_store, &s));
	truncate = client_truncate("f", 0);
	WAIT_UNTIL(atomic_load(&s.slow.is_in));
	atomic_store(&s.slow.may_leave, true);
	ddfs_mapping_delete(s.m);
	CHECK(atomic_load(&s.slow.has_left));
	CHECK_SAME(client_wait(truncate), 0);
}

/* One thread for all; each is told of its own. */
static void test_several(void)
{
	enum { NR = 20 };
	static const char *const names[] = { "a", "b", "c", "d" };
	struct ddfs_lease *leases[4][NR];
	struct calls calls[4][NR] = { 0 };
	pid_t truncates[4];
	int fds[4], i, j;

	for (i = 0; i < 4; i++) {
		fds[i] = client_file(names[i], 1, 8192);
		for (j = 0; j < NR; j++) {
			leases[i][j] = lease_of(fds[i], 0, 0);
			CHECK_OK(ddfs_lease_on_recall(leases[i][j], count, &calls[i][j]));
		}
	}
	CHECK_SAME(nr_threads(), 1);
	for (i = 0; i < 3; i++)
		truncates[i] = client_truncate(names[i], 0);
	for (i = 0; i < 3; i++)
		for (j = 0; j < NR; j++)
			WAIT_UNTIL(atomic_load(&calls[i][j].nr) == 1);
	let_settle(fds[3]);
	for (i = 0; i < 4; i++) {
		for (j = 0; j < NR; j++) {
			CHECK_SAME(atomic_load(&calls[i][j].nr), i < 3);
			ddfs_lease_delete(leases[i][j]);
		}
		if (i < 3)
			CHECK_SAME(client_wait(truncates[i]), 0);
	}
	WAIT_UNTIL(nr_threads() == 0);
}

static const struct client_test tests[] = {
	CLIENT_TEST(poll),
	CLIENT_TEST(signals),
	CLIENT_TEST(sync),
	CLIENT_TEST(given_up),
	CLIENT_TEST(elsewhere),
	CLIENT_TEST(callback),
	CLIENT_TEST(each_recall),
	CLIENT_TEST(late),
	CLIENT_TEST(delete_inside),
	CLIENT_TEST(mapping_inside),
	CLIENT_TEST(grown),
	CLIENT_TEST(cleared),
	CLIENT_TEST(replaced),
	CLIENT_TEST(clear_waits),
	CLIENT_TEST(unmap_waits),
	CLIENT_TEST(several),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return client_main("client_recall", tests, argc, argv);
}
