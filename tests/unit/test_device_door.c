/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * src/device/door.c, map.c, turn.c and device.c: every policy on an image file, with what is
 * counted, and what the file holds afterwards.
 *
 * fdatasync is wrapped, so that a test sees how often it was called and can make it slow or fail.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <time.h>

#include "src/device/device.h"
#include "src/device/turn.h"
#include "tests/unit/test_device_image.h"

#define IMAGE_BYTES (32 * MIB)
#ifdef __SANITIZE_THREAD__
#define LARGEST_BYTES (UINT64_C(256) << 30) /* it leaves no more of the address space */
#else
#define LARGEST_BYTES (UINT64_C(16) << 40)
#endif

static atomic_int nr_syncs;
static atomic_int sync_result;
static long sync_ms;

int __wrap_fdatasync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	const struct timespec pause = { .tv_nsec = sync_ms * 1000000L };

	atomic_fetch_add(&nr_syncs, 1);
	nanosleep(&pause, NULL);
	if (sync_result) {
		errno = sync_result;
		return -1;
	}
	return __real_fdatasync(fd);
}

static struct image image;
static struct ear ear;
static struct ddfs_device *dev;
static struct ddfs_media *media;

static void open_image(const char *dir, uint64_t size, enum ddfs_persistence persistence)
{
	const struct ddfs_device_options opt = {
		.persistence = persistence,
		.log = ear_listen,
		.log_arg = &ear,
	};

	image_make(&image, dir, size);
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), 0);
	media = ddfs_device_media(dev);
}

static void close_image(void)
{
	ddfs_device_close(dev);
	image_remove(&image);
}

static bool is_disk(void)
{
	struct statfs st;

	return statfs(ON_DISK, &st) == 0 && st.f_type != TMPFS_MAGIC && st.f_type != RAMFS_MAGIC;
}

/* ---- every policy --------------------------------------------------------------------------- */

static const struct policy_case {
	enum ddfs_persistence wanted;
	const char *description;
	bool flushes;
} policies[] = {
	{ DDFS_PERSISTENCE_AUTO, "volatile, flush: elided", false },
	{ DDFS_PERSISTENCE_CPU_CACHE, "cpu_cache, flush: elided", false },
	{ DDFS_PERSISTENCE_MEMORY_CONTROLLER, "memory_controller, flush: ", true },
	{ DDFS_PERSISTENCE_NONE, "none, flush: elided", false },
};
#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

static void assert_stats(bool flushes, uint64_t bytes, uint64_t lines, uint64_t fences)
{
	ddfs_device_stats(dev);
	ck_assert_uint_eq(media->stats.bytes_stored, bytes);
	ck_assert_uint_eq(media->stats.lines_flushed, flushes ? lines : 0);
	ck_assert_uint_eq(media->stats.lines_elided, flushes ? 0 : lines);
	ck_assert_uint_eq(media->stats.fences, fences);
}

START_TEST(test_counters)
{
	const struct policy_case *p = &policies[_i];
	char bytes[8192];

	open_image(IN_MEMORY, IMAGE_BYTES, p->wanted);
	ck_assert_int_eq(
		strncmp(ddfs_device_persistence(dev), p->description, strlen(p->description)), 0);
	memset(bytes, 7, sizeof(bytes));
	media->ops->copy(media, 4096, bytes, 8);
	assert_stats(p->flushes, 8, 1, 0);
	media->ops->copy(media, 4096 + 60, bytes, 8); /* across two lines */
	assert_stats(p->flushes, 16, 2, 0);	      /* the first of which is the one before */
	media->ops->copy(media, 8192, bytes, 8192);
	assert_stats(p->flushes, 16 + 8192, 2 + 128, 0);
	media->ops->set(media, 64, 0, 65);
	assert_stats(p->flushes, 81 + 8192, 4 + 128, 0);
	media->ops->flush(media, 0, 4096);
	assert_stats(p->flushes, 81 + 8192, 67 + 128, 0); /* not the last of the set */
	media->ops->copy(media, 4096, bytes, 0);
	assert_stats(p->flushes, 81 + 8192, 67 + 128, 0);
	ck_assert_int_eq(media->ops->drain(media), 0);
	assert_stats(p->flushes, 81 + 8192, 67 + 128, 1);
	ck_assert_uint_eq(media->stats.deep_flushes, 0);
	ck_assert_int_eq(media->ops->deep_flush(media, DDFS_SYNC_FILE), 0);
	ck_assert_uint_eq(media->stats.deep_flushes, 1);
	ck_assert_int_eq(nr_syncs, 0); /* nothing behind the memory */
	close_image();
}
END_TEST

/* The three ways to store of every policy, at odd places: neighbours stay as they were. */
START_TEST(test_stores)
{
	static const size_t lens[] = { 1, 7, 8, 63, 64, 65, 255, 256, 257, 4095, 4096, 4097,
		70001 };
	static const uint64_t offs[] = { 4096, 4097, 8191, 8200, 12288 + 56 };
	uint8_t *bytes = malloc(70001), *expected = malloc(128 * 1024);
	size_t i, j, k;

	open_image(IN_MEMORY, IMAGE_BYTES, policies[_i].wanted);
	memset(expected, 0, 128 * 1024);
	for (k = 0; k < 70001; k++)
		bytes[k] = (uint8_t)(k * 7 + 1);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		for (j = 0; j < sizeof(offs) / sizeof(offs[0]); j++) {
			media->ops->copy(media, offs[j], bytes, lens[i]);
			memcpy(expected + offs[j], bytes, lens[i]);
			media->ops->set(media, 90000 + offs[j], (int)(i + j), lens[i] % 4200);
			memset(expected + 90000 + offs[j], (int)(i + j), lens[i] % 4200);
			media->ops->drain(media);
			ck_assert_mem_eq(media->base, expected, 128 * 1024);
		}
	}
	free(expected);
	free(bytes);
	close_image();
}
END_TEST

/* The image got shorter: what lies behind its end can't be read, as if it were poisoned. */
START_TEST(test_poison)
{
	const uint64_t bad = IMAGE_BYTES / 2;
	uint8_t bytes[8192], expected[8192];

	open_image(IN_MEMORY, IMAGE_BYTES, policies[_i].wanted);
	media->ops->set(media, bad - 4096, 7, 4096);
	ck_assert_int_eq(media->ops->drain(media), 0);
	memset(expected, 7, sizeof(expected));
	ck_assert_int_eq(truncate(image.path, (off_t)bad), 0);
	ck_assert_uint_eq(media->ops->copy_out(media, bytes, bad - 4095, 4095), 0);
	ck_assert_uint_eq(media->ops->probe(media, bad - 4095, 4095), 0);
	ck_assert_uint_eq(ddfs_device_stats(dev)->lines_lost, 0);
	ck_assert_uint_eq(media->ops->copy_out(media, bytes, bad - 4000, 8000), 4000);
	ck_assert_mem_eq(bytes, expected, 4000);
	ck_assert_uint_eq(ddfs_device_stats(dev)->lines_lost, 1);
	ck_assert_uint_eq(media->ops->probe(media, bad - 1, 4096), 4095);
	ck_assert_uint_eq(ddfs_device_stats(dev)->lines_lost, 2);
	close_image();
}
END_TEST

/* ---- an image on a disk --------------------------------------------------------------------- */

START_TEST(test_page_policy)
{
	if (!is_disk())
		return;
	open_image(ON_DISK, IMAGE_BYTES, DDFS_PERSISTENCE_AUTO);
	ck_assert_str_eq(ddfs_device_persistence(dev), "page, flush: fdatasync");
	media->ops->set(media, MIB, 1, 100);
	ck_assert_int_eq(nr_syncs, 0);
	ck_assert_int_eq(media->ops->drain(media), 0);
	ck_assert_int_eq(nr_syncs, 1);
	/* With nothing stored since, there is nothing to wait for. */
	ck_assert_int_eq(media->ops->drain(media), 0);
	ck_assert_int_eq(nr_syncs, 1);
	ck_assert_uint_eq(ddfs_device_stats(dev)->fences, 1);
	ck_assert_int_eq(media->ops->deep_flush(media, DDFS_SYNC_FILE), 0);
	ck_assert_int_eq(nr_syncs, 2);
	ck_assert_uint_eq(media->stats.deep_flushes, 1);

	sync_result = ENOSPC;
	media->ops->set(media, MIB, 2, 100);
	ck_assert_int_eq(media->ops->drain(media), -EIO);
	ck_assert_int_eq(media->ops->deep_flush(media, DDFS_SYNC_FILE), -EIO);
	sync_result = 0;
	ck_assert_int_eq(media->ops->drain(media), 0);
	close_image();
}
END_TEST

/* Whatever is elided, a deep flush reaches the disk. */
START_TEST(test_disk_deep_flush_not_elided)
{
	if (!is_disk())
		return;
	open_image(ON_DISK, IMAGE_BYTES, _i ? DDFS_PERSISTENCE_CPU_CACHE : DDFS_PERSISTENCE_NONE);
	media->ops->set(media, MIB, 1, 100);
	ck_assert_int_eq(media->ops->drain(media), 0);
	ck_assert_int_eq(nr_syncs, 0);
	ck_assert_int_eq(media->ops->deep_flush(media, DDFS_SYNC_FILE), 0);
	ck_assert_int_eq(nr_syncs, 1);
	close_image();
}
END_TEST

/* ---- threads and devices -------------------------------------------------------------------- */

/* More than have a place of their own to count in. */
#define NR_COUNTING 96
#define NR_STORES   20000

static void *store_thread(void *arg)
{
	uint64_t off = 4096 + (uint64_t)(uintptr_t)arg * 4096;

	for (unsigned int i = 0; i < NR_STORES; i++) {
		media->ops->set(media, off, 1, 8);
		media->ops->drain(media);
	}
	return NULL;
}

START_TEST(test_counting_threads)
{
	pthread_t threads[NR_COUNTING];
	uint64_t nr = (uint64_t)NR_COUNTING * NR_STORES;

	open_image(IN_MEMORY, IMAGE_BYTES, policies[_i].wanted);
	for (uintptr_t i = 0; i < NR_COUNTING; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, store_thread, (void *)i), 0);
	for (int i = 0; i < NR_COUNTING; i++)
		pthread_join(threads[i], NULL);
	assert_stats(policies[_i].flushes, nr * 8, nr, nr);
	close_image();
}
END_TEST

/* One thread's stores to two devices: each has its own fence, and its own lines. */
START_TEST(test_two_devices)
{
	struct ddfs_device *first;
	struct ddfs_media *other;
	struct image removed;

	open_image(IN_MEMORY, IMAGE_BYTES, policies[_i].wanted);
	first = dev;
	other = media;
	removed = image;
	open_image(IN_MEMORY, IMAGE_BYTES, policies[_i].wanted);
	other->ops->set(other, 4096, 1, 8);
	media->ops->set(media, 4096, 2, 8);
	ck_assert_int_eq(media->ops->drain(media), 0);
	ck_assert_int_eq(other->ops->drain(other), 0);
	assert_stats(policies[_i].flushes, 8, 1, 1);
	close_image();
	dev = first;
	media = other;
	image = removed;
	assert_stats(policies[_i].flushes, 8, 1, 1);
	close_image();
}
END_TEST

/* What was stored to a device that is closed is no matter of one that has its place in memory. */
START_TEST(test_forgotten)
{
	open_image(IN_MEMORY, IMAGE_BYTES, policies[_i].wanted);
	media->ops->set(media, 4096, 1, 8);
	close_image();
	open_image(IN_MEMORY, IMAGE_BYTES, policies[_i].wanted);
	media->ops->drain(media);
	assert_stats(policies[_i].flushes, 0, 0, 0);
	close_image();
}
END_TEST

/* ---- sharing -------------------------------------------------------------------------------- */

#define NR_THREADS 8

static void *deep_flush_thread(void *arg)
{
	return (void *)(intptr_t)media->ops->deep_flush(arg, DDFS_SYNC_FILE);
}

/* All eight ask within the first one's time, so that two runs serve them. */
START_TEST(test_deep_flush_shared)
{
	pthread_t threads[NR_THREADS];
	void *ret;
	int i;

	if (!is_disk())
		return;
	open_image(ON_DISK, IMAGE_BYTES, DDFS_PERSISTENCE_AUTO);
	sync_ms = 200;
	for (i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, deep_flush_thread, media);
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], &ret);
		ck_assert_ptr_null(ret);
	}
	ck_assert_int_ge(nr_syncs, 1);
	ck_assert_int_lt(nr_syncs, NR_THREADS);
	ck_assert_uint_eq(media->stats.deep_flushes, (unsigned int)nr_syncs);
	ck_assert_uint_eq(media->stats.syncs[DDFS_SYNC_FILE], NR_THREADS);
	ck_assert_uint_gt(media->stats.most_shared, 1);
	ck_assert_uint_le(media->stats.most_shared, NR_THREADS);
	close_image();
}
END_TEST

struct turn_test {
	struct ddfs_turn turn;
	atomic_ulong value, published;
};

static int publish(void *arg)
{
	struct turn_test *t = arg;
	unsigned long seen = atomic_load(&t->value);

	atomic_store(&t->published, seen);
	return 0;
}

static void *turn_thread(void *arg)
{
	struct turn_test *t = arg;
	unsigned long mine;
	int i;

	for (i = 0; i < 20000; i++) {
		mine = atomic_fetch_add(&t->value, 1) + 1;
		ddfs_turn_take(&t->turn, publish, t);
		if (atomic_load(&t->published) < mine)
			return arg;
	}
	return NULL;
}

/* Never served by a run that began before the call. */
START_TEST(test_turn)
{
	struct turn_test t = { .value = 0 };
	pthread_t threads[4];
	void *ret;
	int i;

	ddfs_turn_init(&t.turn);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, turn_thread, &t);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &ret);
		ck_assert_ptr_null(ret);
	}
	ck_assert_uint_le(t.turn.nr_ended, 80000);
	ddfs_turn_fini(&t.turn);
}
END_TEST

/* ---- views ---------------------------------------------------------------------------------- */

START_TEST(test_base_faults_on_store)
{
	open_image(IN_MEMORY, IMAGE_BYTES, DDFS_PERSISTENCE_AUTO);
	image_remove(&image);
	signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
	*(volatile uint8_t *)(uintptr_t)(media->base + 4096) = 1;
}
END_TEST

START_TEST(test_readonly)
{
	const struct ddfs_device_options opt = { .readonly = true };

	image_make(&image, IN_MEMORY, IMAGE_BYTES);
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), 0);
	media = ddfs_device_media(dev);
	ck_assert(media->readonly);
	ck_assert_ptr_null(media->ops->copy);
	ck_assert_uint_eq(media->ops->probe(media, MIB, MIB), 0);
	ck_assert_int_eq(media->base[MIB], 0);
	ck_assert_str_eq(ddfs_device_persistence(dev), "read-only");
	ck_assert_str_eq(ddfs_device_readonly_reason(dev), "opened read-only");
	close_image();
}
END_TEST

START_TEST(test_too_small)
{
	const struct ddfs_device_options opt = { .log = ear_listen, .log_arg = &ear };

	image_make(&image, IN_MEMORY, 16 * MIB - 1);
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), -ENOSPC);
	ck_assert_heard(&ear, "at least 16 MiB");
	image_remove(&image);
}
END_TEST

/* Opening costs neither time nor memory, whatever the size. */
START_TEST(test_largest)
{
	const uint64_t size = LARGEST_BYTES;
	struct timespec a, b;
	struct stat st;

	clock_gettime(CLOCK_MONOTONIC, &a);
	open_image(IN_MEMORY, size, DDFS_PERSISTENCE_AUTO);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ck_assert_uint_eq(media->size, size);
	ck_assert_int_lt((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000, 50);
	media->ops->set(media, size - 4096, 5, 4096);
	ck_assert_int_eq(media->base[size - 1], 5);
	ck_assert_int_eq(stat(image.path, &st), 0);
	ck_assert_int_eq(st.st_blocks, 8);
	close_image();
}
END_TEST

START_TEST(test_image_has_no_health)
{
	struct ddfs_device_health health;

	open_image(IN_MEMORY, IMAGE_BYTES, DDFS_PERSISTENCE_AUTO);
	ck_assert_int_eq(ddfs_device_health(dev, &health), -EOPNOTSUPP);
	close_image();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device door");
	TCase *tc = tcase_create("door");

	tcase_add_loop_test(tc, test_counters, 0, NR_POLICIES);
	tcase_add_loop_test(tc, test_stores, 0, NR_POLICIES);
	tcase_add_loop_test(tc, test_poison, 0, NR_POLICIES);
	tcase_add_loop_test(tc, test_counting_threads, 0, NR_POLICIES);
	tcase_add_loop_test(tc, test_two_devices, 0, NR_POLICIES);
	tcase_add_loop_test(tc, test_forgotten, 0, NR_POLICIES);
	tcase_add_test(tc, test_page_policy);
	tcase_add_loop_test(tc, test_disk_deep_flush_not_elided, 0, 2);
	tcase_add_test(tc, test_deep_flush_shared);
	tcase_add_test(tc, test_turn);
	tcase_add_test_raise_signal(tc, test_base_faults_on_store, SIGSEGV);
	tcase_add_test(tc, test_readonly);
	tcase_add_test(tc, test_too_small);
	tcase_add_test(tc, test_largest);
	tcase_add_test(tc, test_image_has_no_health);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
