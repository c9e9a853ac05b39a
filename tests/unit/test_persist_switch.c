/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * src/device/switch.c: whatever was stored before, or while, flushes begin to be needed is flushed
 * by the time its fence and the switch have returned.
 *
 * The door's flushing functions are replaced by some that note when they reached a line, on a clock
 * that every store and flush takes a tick of.
 */
#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/vfs.h>

#include "src/device/door.h"
#include "tests/unit/suite.h"
#include "tests/unit/test_device_image.h"

#define IMAGE_BYTES (32 * MIB)
#define NR_LINES    (IMAGE_BYTES / 64)
#define NR_THREADS  4
#ifdef __SANITIZE_THREAD__
#define NR_ROUNDS 4 /* each looks at every line several times */
#else
#define NR_ROUNDS 40
#endif

static struct ddfs_device *dev;
static struct ddfs_media *media;
static struct image image;
static struct ear ear;

static struct ddfs_map_functions real;
static atomic_ulong ticks = 1;
static atomic_ulong flushed[NR_LINES], stored[NR_LINES]; /* the last tick of each */

static void note_flush(const void *at, size_t len)
{
	const struct ddfs_door *door = (const struct ddfs_door *)media;
	uint64_t off = (uint64_t)((const uint8_t *)at - door->writable);
	unsigned long now = atomic_fetch_add(&ticks, 1);

	for (uint64_t l = off / 64; len && l <= (off + len - 1) / 64; l++) {
		unsigned long before = atomic_load(&flushed[l]);

		while (before < now && !atomic_compare_exchange_weak(&flushed[l], &before, now))
			;
	}
}

static void spy_flush(const void *at, size_t len)
{
	note_flush(at, len);
}

static void *spy_memcpy(void *dst, const void *src, size_t len, unsigned int flags)
{
	note_flush(dst, len);
	return real.memcpy(dst, src, len, flags);
}

static void open_image(const char *dir, enum ddfs_persistence persistence)
{
	const struct ddfs_device_options opt = { .persistence = persistence };
	struct ddfs_door *door;

	image_make(&image, dir, IMAGE_BYTES);
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), 0);
	media = ddfs_device_media(dev);
	image_remove(&image);
	door = (struct ddfs_door *)media;
	real = door->flushed;
	door->flushed.flush = spy_flush;
	door->flushed.memcpy = spy_memcpy;
}

static int set(enum ddfs_persistence wanted)
{
	return ddfs_device_set_persistence(dev, wanted, ear_listen, &ear);
}

static void store(uint64_t off, size_t len)
{
	static const uint8_t bytes[8192];

	for (uint64_t l = off / 64; l <= (off + len - 1) / 64; l++)
		atomic_store(&stored[l], atomic_fetch_add(&ticks, 1));
	media->ops->copy(media, off, bytes, len);
}

static unsigned int nr_unflushed(void)
{
	unsigned int nr = 0;

	for (uint64_t l = 0; l < NR_LINES; l++)
		nr += stored[l] && flushed[l] < stored[l];
	return nr;
}

/* ---- one thread ----------------------------------------------------------------------------- */

START_TEST(test_before)
{
	open_image(IN_MEMORY, DDFS_PERSISTENCE_CPU_CACHE);
	store(4096, 8192);
	store(5 * MIB + 3, 1);
	media->ops->drain(media);
	store(IMAGE_BYTES - 8, 8);
	media->ops->drain(media);
	ck_assert_uint_eq(nr_unflushed(), 129 + 1);
	ck_assert_int_eq(set(DDFS_PERSISTENCE_MEMORY_CONTROLLER), 0);
	ck_assert_uint_eq(nr_unflushed(), 0);
	ck_assert_uint_eq(ddfs_device_granularity(dev), 1);
	store(4096, 8192);
	media->ops->drain(media);
	ck_assert_uint_eq(nr_unflushed(), 0);
	ddfs_device_close(dev);
}
END_TEST

/* A store by the old policy, a fence by the new one. */
START_TEST(test_between)
{
	open_image(IN_MEMORY, DDFS_PERSISTENCE_CPU_CACHE);
	store(4096, 100);
	ck_assert_int_eq(set(DDFS_PERSISTENCE_MEMORY_CONTROLLER), 0);
	for (uint64_t l = 0; l < NR_LINES; l++)
		flushed[l] = 0; /* as if it had been stored a moment later */
	media->ops->drain(media);
	ck_assert_uint_eq(nr_unflushed(), 0);
	ddfs_device_close(dev);
}
END_TEST

static void tell_used(void *arg, void (*found)(void *to, uint64_t off, uint64_t len), void *to)
{
	(void)arg;
	found(to, 6 * MIB, 2 * MIB);
}

/* Only what is in use, where somebody says what that is, and what went through the door. */
START_TEST(test_used)
{
	open_image(IN_MEMORY, DDFS_PERSISTENCE_NONE);
	ddfs_device_set_used(dev, tell_used, NULL);
	store(12 * MIB, 64);
	media->ops->drain(media);
	ck_assert_int_eq(set(DDFS_PERSISTENCE_MEMORY_CONTROLLER), 0);
	for (uint64_t l = 0; l < NR_LINES; l++) {
		uint64_t at = l * 64 / MIB;

		ck_assert_int_eq(flushed[l] != 0, at == 6 || at == 7 || at == 12 || at == 13);
	}
	ddfs_device_close(dev);
}
END_TEST

/* A line that is not full is flushed late, at the fence, and then no more; the switch back knows of
 * it though nobody says that it is in use. */
START_TEST(test_back)
{
	open_image(IN_MEMORY, DDFS_PERSISTENCE_MEMORY_CONTROLLER);
	ddfs_device_set_used(dev, tell_used, NULL);
	store(12 * MIB, 8);
	ck_assert_int_eq(set(DDFS_PERSISTENCE_CPU_CACHE), 0);
	media->ops->drain(media);
	ck_assert_uint_eq(nr_unflushed(), 1);
	ck_assert_int_eq(set(DDFS_PERSISTENCE_MEMORY_CONTROLLER), 0);
	ck_assert_uint_eq(nr_unflushed(), 0);
	ddfs_device_close(dev);
}
END_TEST

/* ---- many ----------------------------------------------------------------------------------- */

static atomic_bool stop;

/* Each in its own part, some lines an interval, some intervals a moment. */
static void *store_thread(void *arg)
{
	uint64_t base = 4 * MIB + (uint64_t)(uintptr_t)arg * 4 * MIB;
	uint64_t off = 0;

	while (!atomic_load(&stop)) {
		for (int i = 0; i < 5; i++) {
			store(base + off, 8 + off % 700);
			off = (off * 5 + 4177) % (3 * MIB);
		}
		media->ops->drain(media);
	}
	return NULL;
}

START_TEST(test_threads)
{
	pthread_t threads[NR_THREADS];

	open_image(IN_MEMORY, DDFS_PERSISTENCE_CPU_CACHE);
	for (int round = 0; round < NR_ROUNDS; round++) {
		atomic_store(&stop, false);
		for (uintptr_t i = 0; i < NR_THREADS; i++)
			pthread_create(&threads[i], NULL, store_thread, (void *)i);
		usleep(1000);
		ck_assert_int_eq(set(DDFS_PERSISTENCE_MEMORY_CONTROLLER), 0);
		atomic_store(&stop, true);
		for (int i = 0; i < NR_THREADS; i++)
			pthread_join(threads[i], NULL);
		ck_assert_uint_eq(nr_unflushed(), 0);
		ck_assert_int_eq(set(DDFS_PERSISTENCE_CPU_CACHE), 0);
	}
	ddfs_device_close(dev);
}
END_TEST

/* ---- what can't be -------------------------------------------------------------------------- */

START_TEST(test_disk)
{
	struct statfs st;

	ck_assert_int_eq(statfs(ON_DISK, &st), 0);
	if (st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC)
		return;
	open_image(ON_DISK, DDFS_PERSISTENCE_AUTO);
	ck_assert_int_eq(set(DDFS_PERSISTENCE_MEMORY_CONTROLLER), -EOPNOTSUPP);
	ck_assert_heard(&ear, "only auto and none");
	ck_assert_int_eq(set(DDFS_PERSISTENCE_CPU_CACHE), -EOPNOTSUPP);
	ck_assert_int_eq(set(DDFS_PERSISTENCE_NONE), 0);
	ck_assert_str_eq(ddfs_device_persistence(dev), "none, flush: elided");
	ck_assert_int_eq(set(DDFS_PERSISTENCE_AUTO), 0);
	ck_assert_str_eq(ddfs_device_persistence(dev), "page, flush: fdatasync");
	ddfs_device_close(dev);
}
END_TEST

START_TEST(test_readonly)
{
	const struct ddfs_device_options opt = { .readonly = true };

	image_make(&image, IN_MEMORY, IMAGE_BYTES);
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), 0);
	image_remove(&image);
	ck_assert_int_eq(set(DDFS_PERSISTENCE_NONE), -EROFS);
	ck_assert_heard(&ear, "read-only");
	ddfs_device_close(dev);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "before", test_before, 0 },
		{ "between", test_between, 0 },
		{ "used", test_used, 0 },
		{ "back", test_back, 0 },
		{ "threads", test_threads, 0 },
		{ "disk", test_disk, 0 },
		{ "readonly", test_readonly, 0 },
	};

	return run_suite(suite_make("persist switch", cases, sizeof(cases) / sizeof(cases[0])));
}
