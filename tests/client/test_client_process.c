/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of leases in threads, at fork and exec, and when a process ends in any way. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "tests/client/client.h"

#define RW (DDFS_MAP_READ | DDFS_MAP_WRITE)

/* ThreadSanitizer's own rule for forked children is not to start threads. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

static struct ddfs_mapping *map(int fd)
{
	struct ddfs_mapping *m;

	CHECK_OK(ddfs_mapping_new(fd, 0, 0, RW, &m));
	return m;
}

/* Descriptors of this process that are open on one of two files. */
static int nr_open(const struct stat *a, const struct stat *b)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	struct stat st;
	int nr = 0;

	CHECK(dir != NULL);
	while ((entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
			((st.st_dev == a->st_dev && st.st_ino == a->st_ino) ||
				(st.st_dev == b->st_dev && st.st_ino == b->st_ino)))
			nr++;
	closedir(dir);
	return nr;
}

static void do_nothing(struct ddfs_lease *lease, void *arg)
{
	(void)lease;
	(void)arg;
}

/* ---- fork ----------------------------------------------------------------------------------- */

/* Whether this process has pages of the file at the address. To store there would tell as well, but
 * whatever allocates memory, such as a sanitizer, may have got the place by then. */
static bool has_mapped(const struct stat *file, const volatile void *address)
{
	uintptr_t at = (uintptr_t)address, from, to;
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long inode;
	char line[4096];
	bool has = false;

	CHECK(maps != NULL);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %lu", &from, &to, &inode) ==
				3 &&
			from <= at && at < to)
			has = inode == file->st_ino;
	fclose(maps);
	return has;
}

static void check_all_refused(struct ddfs_mapping *m)
{
	struct ddfs_lease *lease = ddfs_mapping_lease(m);
	const struct ddfs_extent_range *extents;

	CHECK_ERROR(ddfs_lease_fd(lease), ECHILD, "fork");
	CHECK_ERROR(ddfs_lease_device_fd(lease), ECHILD, "fork");
	CHECK_ERROR(ddfs_lease_is_recalled(lease), ECHILD, "fork");
	CHECK_ERROR(ddfs_lease_sync(lease, 0, 0), ECHILD, "fork");
	CHECK_ERROR(ddfs_lease_on_recall(lease, do_nothing, NULL), ECHILD, "fork");
	CHECK_ERROR(ddfs_mapping_grow(m, 1 << 20), ECHILD, "fork");
	CHECK_ERROR(ddfs_mapping_sync(m, 0, 0), ECHILD, "fork");
	CHECK_SAME(ddfs_lease_extents(lease, &extents), 0);
	CHECK(ddfs_mapping_address(m) == NULL);
	CHECK_SAME(ddfs_mapping_len(m), 0);
}

struct forked {
	struct ddfs_mapping *m;
	volatile char *address;
	struct stat file, device;
	int fd;
};

static void be_child(void *arg)
{
	struct forked *f = arg;
	struct ddfs_mapping *own;
	char *other;

	/* the test's own descriptor, and the library's, which keep the pin */
	CHECK_SAME(nr_open(&f->file, &f->device), 3);
	CHECK(!has_mapped(&f->device, f->address));
	check_all_refused(f->m);
	/* something else where the mapping was, unless that is so: deleting must leave it alone */
	other = mmap((void *)f->address, 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(other == f->address || errno == EEXIST);
	if (other == f->address)
		*other = 5;
	own = map(f->fd);
	CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(own), do_nothing, NULL));
	ddfs_mapping_delete(f->m);
	if (other == f->address)
		CHECK_SAME(*other, 5);
	CHECK(client_is_pattern(ddfs_mapping_address(own), 1, 0, 8192));
	CHECK_SAME(client_nr_pins(f->fd), 2);
	ddfs_mapping_delete(own);
	CHECK_SAME(client_nr_pins(f->fd), 1);
	CHECK_SAME(nr_open(&f->file, &f->device), 1);
}

static void test_fork(void)
{
	struct forked f = { .fd = client_file("f", 1, 8192) };
	int i;

	f.m = map(f.fd);
	f.address = ddfs_mapping_address(f.m);
	CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(f.m), do_nothing, NULL));
	CHECK(fstat(f.fd, &f.file) == 0);
	CHECK(fstat(ddfs_lease_device_fd(ddfs_mapping_lease(f.m)), &f.device) == 0);
	CHECK(has_mapped(&f.device, f.address));
	for (i = 0; i < 3; i++)
		CHECK_SAME(client_wait(client_fork(be_child, &f)), 0);
	CHECK(client_is_pattern((char *)f.address, 1, 0, 8192));
	CHECK_SAME(client_nr_pins(f.fd), 1);
	CHECK_SAME(ddfs_lease_is_recalled(ddfs_mapping_lease(f.m)), 0);
	ddfs_mapping_delete(f.m);
	CHECK_SAME(client_nr_pins(f.fd), 0);
}

/* From the library's own thread too, whose copy the child goes on in. */
static void be_child_of_callback(void *arg)
{
	check_all_refused(arg);
	ddfs_mapping_delete(arg);
}

static void fork_and_let_go(struct ddfs_lease *lease, void *arg)
{
	CHECK(ddfs_mapping_lease(arg) == lease);
	CHECK_SAME(client_wait(client_fork(be_child_of_callback, arg)), 0);
	ddfs_mapping_delete(arg);
}

static void test_fork_in_callback(void)
{
	int fd = client_file("f", 1, 8192);
	struct ddfs_mapping *m = map(fd);

	CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(m), fork_and_let_go, m));
	CHECK_SAME(client_wait(client_truncate("f", 0)), 0);
	CHECK_SAME(client_nr_pins(fd), 0);
}

/* ---- the end of a process ------------------------------------------------------------------- */

struct life {
	int fd, end;
	int ready[2]; /* written to when all is set up */
	int stay[2];  /* at its end of file who lives on ends too */
};
enum { DELETE, EXIT, EXEC, KILL, KILL_WITH_CHILD };

static void say_ready(const struct life *life)
{
	CHECK_SAME(write(life->ready[1], "", 1), 1);
}

static void live_on(const struct life *life)
{
	char byte;

	CHECK_SAME(read(life->stay[0], &byte, 1), 0);
	_exit(0);
}

static void be_child_of_holder(void *arg)
{
	say_ready(arg);
	live_on(arg);
}

static void hold(void *arg)
{
	const struct life *life = arg;
	struct ddfs_mapping *m = map(life->fd);

	close(life->stay[1]);
	close(life->fd);
	CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(m), do_nothing, NULL));
	switch (life->end) {
	case DELETE:
		ddfs_mapping_delete(m);
		break;
	case EXEC:
		CHECK(dup2(life->ready[1], 1) == 1 && dup2(life->stay[0], 0) == 0);
		execlp("sh", "sh", "-c", "echo; exec cat", NULL);
		_exit(127);
	case KILL_WITH_CHILD:
		client_fork(be_child_of_holder, arg);
		live_on(life);
	}
	say_ready(life);
	if (life->end != EXIT)
		live_on(life);
	_exit(0);
}

/* The child has the pin: it may have what the pages were given to as well. */
static void end_child(struct life *life)
{
	usleep(200000);
	CHECK_SAME(client_nr_pins(life->fd), 1);
	CHECK(close(life->stay[1]) == 0);
	life->stay[1] = -1;
}

/* However the holder ends, a truncate of the file is free to go on; and not before. */
static void end_by(int end)
{
	struct life life = { .fd = client_file("f", 1, 8192), .end = end };
	pid_t holder, truncate;
	char byte;

	CHECK(pipe2(life.ready, O_CLOEXEC) == 0 && pipe2(life.stay, O_CLOEXEC) == 0);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	holder = client_fork(hold, &life);
	CHECK_SAME(read(life.ready[0], &byte, 1), 1);
	if (end == KILL || end == KILL_WITH_CHILD) {
		CHECK_SAME(client_nr_pins(life.fd), 1);
		truncate = client_truncate_waiting("f", 0);
		CHECK(kill(holder, SIGKILL) == 0);
		CHECK_SAME(client_wait(holder), 256 + SIGKILL);
		if (end == KILL_WITH_CHILD)
			end_child(&life);
		CHECK_SAME(client_wait(truncate), 0);
	} else {
		CHECK_SAME(client_wait(client_truncate("f", 0)), 0);
	}
	CHECK_SAME(client_file_size(life.fd), 0);
	/* those that lived on did until now */
	close(life.stay[1]);
	if (end != KILL)
		CHECK_SAME(client_wait(-1), 0);
	CHECK_SAME(client_wait(-1), -ECHILD);
}

static void test_delete(void)
{
	end_by(DELETE);
}

static void test_exit(void)
{
	end_by(EXIT);
}

static void test_exec(void)
{
	end_by(EXEC);
}

static void test_kill(void)
{
	end_by(KILL);
}

/* A forked child that lives on keeps the pin. */
static void test_kill_with_child(void)
{
	end_by(KILL_WITH_CHILD);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { NR_THREADS = 8 };

static int rounds(int full)
{
	const char *scale = getenv("DDFS_SCALE");
	int nr = (int)(full * (scale && *scale ? atof(scale) : 1));

	return nr < 3 ? 3 : nr;
}

static void *use(void *arg)
{
	int fd = *(int *)arg, i, nr = rounds(100);

	for (i = 0; i < nr; i++) {
		struct ddfs_mapping *m = map(fd);
		struct ddfs_lease *lease;

		CHECK_OK(ddfs_lease_on_recall(ddfs_mapping_lease(m), do_nothing, NULL));
		CHECK_OK(ddfs_lease_new(fd, 4096, 4096, DDFS_MAP_READ, &lease));
		CHECK(client_is_pattern(ddfs_mapping_address(m), 1, 0, 4096));
		CHECK_SAME(ddfs_lease_is_recalled(lease), 0);
		CHECK_ERROR(ddfs_mapping_sync(m, 1 << 20, 0), EINVAL, "range");
		ddfs_mapping_persist(m, ddfs_mapping_address(m), 64);
		CHECK_OK(ddfs_mapping_grow(m, 16384));
		ddfs_mapping_delete(m);
		CHECK_SAME(client_nr_pins(fd) > 0, 1);
		ddfs_lease_delete(lease);
	}
	return NULL;
}

static void start_threads(pthread_t threads[NR_THREADS], void *(*fn)(void *), void *arg)
{
	int i;

	for (i = 0; i < NR_THREADS; i++)
		CHECK_SAME(pthread_create(&threads[i], NULL, fn, arg), 0);
}

static void join_threads(pthread_t threads[NR_THREADS])
{
	int i;

	for (i = 0; i < NR_THREADS; i++)
		CHECK_SAME(pthread_join(threads[i], NULL), 0);
}

static void test_threads(void)
{
	int fd = client_file("f", 1, 16384);
	pthread_t threads[NR_THREADS];

	start_threads(threads, use, &fd);
	join_threads(threads);
	CHECK_SAME(client_nr_pins(fd), 0);
}

/* Each thread's message is its own. */
static void *fail(void *arg)
{
	const unsigned int bad = 0x100u << (atomic_fetch_add((atomic_uint *)arg, 1) % NR_THREADS);
	struct ddfs_lease *lease;
	char number[32];
	int i;

	snprintf(number, sizeof(number), "%#x", bad);
	for (i = 0; i < 20000; i++)
		CHECK_ERROR(ddfs_lease_new(-1, 0, 0, bad | DDFS_MAP_READ, &lease), EINVAL, number);
	return NULL;
}

static void test_messages(void)
{
	pthread_t threads[NR_THREADS];
	atomic_uint next = 0;

	start_threads(threads, fail, &next);
	join_threads(threads);
}

struct storm {
	int fd;
	atomic_bool is_over;
	struct stat file, device;
};

static void *take_leases(void *arg)
{
	struct storm *storm = arg;
	struct ddfs_lease *lease;

	while (!atomic_load(&storm->is_over)) {
		CHECK_OK(ddfs_lease_new(storm->fd, 0, 0, RW, &lease));
		ddfs_lease_delete(lease);
	}
	return NULL;
}

static void have_few(void *arg)
{
	const struct storm *storm = arg;
	int nr = nr_open(&storm->file, &storm->device);

	CHECK(nr >= 1 && nr <= 1 + 2 * NR_THREADS);
}

/* At whatever moment of another thread's a child is made, what is open in it was its parent's, and
 * keeps nothing when both have let go. */
static void test_fork_storm(void)
{
	struct storm storm = { .fd = client_file("f", 1, 8192) };
	struct ddfs_mapping *m = map(storm.fd);
	pthread_t threads[NR_THREADS];
	int i, nr = rounds(200);

	CHECK(fstat(storm.fd, &storm.file) == 0);
	CHECK(fstat(ddfs_lease_device_fd(ddfs_mapping_lease(m)), &storm.device) == 0);
	ddfs_mapping_delete(m);
	start_threads(threads, take_leases, &storm);
	for (i = 0; i < nr; i++)
		CHECK_SAME(client_wait(client_fork(have_few, &storm)), 0);
	atomic_store(&storm.is_over, true);
	join_threads(threads);
	CHECK_SAME(client_nr_pins(storm.fd), 0);
}

static const struct client_test tests[] = {
	CLIENT_TEST(fork),
	CLIENT_TEST(fork_in_callback),
	CLIENT_TEST(delete),
	CLIENT_TEST(exit),
	CLIENT_TEST(exec),
	CLIENT_TEST(kill),
	CLIENT_TEST(kill_with_child),
	CLIENT_TEST(threads),
	CLIENT_TEST(messages),
	CLIENT_TEST(fork_storm),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return client_main("client_process", tests, argc, argv);
}
