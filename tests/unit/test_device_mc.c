/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * src/device/mc.h, the copies: every alignment of both sides, every length, poison at every line.
 *
 * The source ends where a page begins that can't be read, so it moves to have its first bad byte
 * where a case wants it: what is poisoned is a page here, and a line on hardware. Either a page
 * past the end of a file (BUS_ADRERR), or one that userfaultfd poisoned (BUS_MCEERR_AR).
 *
 * Built a second time with mc_plain.c.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/device/mc.h"
#include "tests/unit/suite.h"

#define LINE	  64
#define PAGE	  4096
#define GOOD_LEN  (1 << 20) /* before the bad page, and behind it */
#define MARGIN	  64	    /* around the destination, not to be touched */
#define UNTOUCHED 0xa5

/* Where a fault is a jump, the sanitizers look at the whole stack. And it has no loops unrolled. */
#ifdef MC_PLAIN
#define SAMPLE_FACTOR 5
#else
#define SAMPLE_FACTOR 1
#endif

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SAMPLE(step) ((step)*SAMPLE_FACTOR) /* each fault costs much more */
#else
#define SAMPLE(step) (SAMPLE_FACTOR / 2 + 1)
#endif

/* Later than the kernel headers that this must build with. */
struct poison_range {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define POISON_IOCTL   _IOWR(UFFDIO, 0x08, struct poison_range)
#define POISON_FEATURE (UINT64_C(1) << 14)

struct arena {
	uint8_t *src; /* GOOD_LEN bytes, the bad page, as many good ones again */
	uint8_t *bad; /* that page */
	uint8_t *dst; /* at a page, with a MARGIN before it */
	uint8_t *dst_map;
	int uffd;
};

#define SRC_LEN (2 * GOOD_LEN + PAGE)
#define DST_LEN (GOOD_LEN + 4 * PAGE)

/* ---- poison --------------------------------------------------------------------------------- */

static void poison_by_eof(struct arena *a)
{
	int fd = memfd_create("eof", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_eq(mmap(a->bad, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0), a->bad);
	close(fd);
}

/* Whether the kernel can (Linux 6.6) and this process may. */
static bool poison_by_uffd(struct arena *a)
{
	struct uffdio_api api = { .api = UFFD_API, .features = POISON_FEATURE };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct poison_range p = { .mode = 0 };

	reg.range.start = p.range.start = (uintptr_t)a->bad;
	reg.range.len = p.range.len = PAGE;
	a->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (a->uffd < 0 || ioctl(a->uffd, UFFDIO_API, &api))
		return false;
	madvise(a->bad, PAGE, MADV_DONTNEED);
	return !ioctl(a->uffd, UFFDIO_REGISTER, &reg) && !ioctl(a->uffd, POISON_IOCTL, &p);
}

/* ---- memory --------------------------------------------------------------------------------- */

static uint8_t *map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	return p;
}

static void arena_init(struct arena *a)
{
	uint32_t x = 1;

	a->src = map(SRC_LEN);
	a->bad = a->src + GOOD_LEN;
	a->dst_map = map(DST_LEN);
	a->dst = a->dst_map + PAGE;
	a->uffd = -1;
	for (size_t i = 0; i < SRC_LEN; i++) {
		x = x * 1664525 + 1013904223;
		a->src[i] = (uint8_t)(x >> 24);
	}
}

static void arena_fini(struct arena *a)
{
	if (a->uffd >= 0)
		close(a->uffd);
	munmap(a->src, SRC_LEN);
	munmap(a->dst_map, DST_LEN);
}

/* ---- one call ------------------------------------------------------------------------------- */

static bool all_untouched(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != UNTOUCHED)
			return false;
	return true;
}

/* A copy of len bytes whose first bad one, if there is one, is that at good. Without ck_ calls,
 * which cost more than the copy. */
static bool copy_is_right(const uint8_t *src, uint8_t *dst, size_t len, size_t good)
{
	size_t left;

	memset(dst - MARGIN, UNTOUCHED, len + 2 * MARGIN);
	left = ddfs_copy_mc(dst, src, len);
	return left == (good < len ? len - good : 0) && memcmp(dst, src, len - left) == 0 &&
	       all_untouched(dst - MARGIN, MARGIN) && all_untouched(dst + len, MARGIN);
}

static void check_copy(const struct arena *a, size_t good, size_t dst_align, size_t len)
{
	if (!copy_is_right(a->bad - good, a->dst + dst_align, len, good))
		ck_abort_msg("%zu bytes to %zu of a line, %zu of them good", len, dst_align, good);
}

static void check_probe(const struct arena *a, size_t good, size_t len)
{
	size_t left = ddfs_probe_mc(a->bad - good, len);

	if (left != (good < len ? len - good : 0))
		ck_abort_msg("%zu bytes, %zu of them good: %zu left", len, good, left);
}

/* ---- cases ---------------------------------------------------------------------------------- */

#define SHORT_LEN 160 /* more than a turn of a loop and its rest */
#define LONG_LEN  4160

/* Every place of the first bad byte, so every alignment of the source; of the destination every
 * third, and the next one's are the others. */
static void copy_short(const struct arena *a, size_t step)
{
	for (size_t len = 0; len <= SHORT_LEN; len += step)
		for (size_t good = 0; good <= len; good++)
			for (size_t align = (len + good) % 3; align < LINE; align += 3 * step)
				check_copy(a, good, align, len);
}

/* Every length of what can be read, with nothing bad near. */
static void copy_good(const struct arena *a, size_t step)
{
	const uint8_t *src = a->bad - 2 * LONG_LEN / PAGE * PAGE;

	for (size_t len = 0; len <= LONG_LEN; len += step)
		for (size_t s = 0; s < LINE; s++)
			for (size_t d = 0; d < LINE; d += step)
				if (!copy_is_right(src + s, a->dst + d, len, len))
					ck_abort_msg("%zu bytes from %zu to %zu", len, s, d);
}

/* Every line of a longer range is the first bad one. */
static void copy_lines(const struct arena *a, size_t len, size_t src_step, size_t dst_step)
{
	for (size_t s = 0; s < LINE; s += src_step)
		for (size_t good = s; good < len + LINE; good += LINE)
			for (size_t d = 0; d < LINE; d += dst_step)
				check_copy(a, good, d, len);
}

static void copy_long(const struct arena *a, size_t step)
{
	copy_lines(a, 4096, step, step);
	copy_lines(a, 4097, step, 31);
	copy_lines(a, 8191, 7 * step, 9);
	copy_lines(a, 65536, 13 * step, 21);
	/* There is no arena before this one. */
	for (size_t good = 0; good <= GOOD_LEN; good += 1021 * LINE * step)
		check_copy(a, good, good % LINE, GOOD_LEN);
}

static void probe_all(const struct arena *a, size_t step)
{
	for (size_t len = 0; len <= 5 * LINE; len += step)
		for (size_t good = 0; good <= len + 1; good++)
			check_probe(a, good, len);
	for (size_t len = 4000; len <= 4160; len += step)
		for (size_t good = 0; good < len + LINE; good += LINE - 1)
			check_probe(a, good, len);
}

static void all_cases(const struct arena *a, size_t step)
{
	copy_short(a, step);
	copy_long(a, step);
	probe_all(a, step);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static struct arena arena;

static void begin(void)
{
	ck_assert_int_eq(ddfs_mc_init(), 0);
	arena_init(&arena);
}

static void end(void)
{
	arena_fini(&arena);
	ddfs_mc_fini();
}

START_TEST(test_good)
{
	begin();
	copy_good(&arena, SAMPLE(11));
	end();
}
END_TEST

START_TEST(test_past_the_end_of_a_file)
{
	begin();
	poison_by_eof(&arena);
	all_cases(&arena, SAMPLE(5));
	end();
}
END_TEST

/* The copies are the same: enough to see that the signal is. */
START_TEST(test_userfaultfd)
{
	begin();
	if (poison_by_uffd(&arena))
		all_cases(&arena, SAMPLE(7) + 4);
	else
		printf("skipped: no UFFDIO_POISON here\n");
	end();
}
END_TEST

/* Without the handler only what can be read. */
START_TEST(test_no_handler)
{
	arena_init(&arena);
	for (size_t len = 0; len < GOOD_LEN; len = len * 3 + 1) {
		check_copy(&arena, len, 7, len);
		check_probe(&arena, len, len);
	}
	arena_fini(&arena);
}
END_TEST

/* The bad page is none of the range: neither is read, as a longer load would. */
START_TEST(test_end_of_range)
{
	begin();
	poison_by_eof(&arena);
	for (size_t len = 0; len < 2 * PAGE; len++) {
		check_copy(&arena, len, len % LINE, len);
		check_probe(&arena, len, len);
	}
	/* Nor that before the range. */
	ck_assert(copy_is_right(arena.bad + PAGE, arena.dst, PAGE, PAGE));
	ck_assert(ddfs_probe_mc(arena.bad + PAGE, PAGE) == 0);
	ck_assert(copy_is_right(arena.bad + PAGE + 1, arena.dst, 100, 100));
	end();
}
END_TEST

/* Destinations a little behind the source within a page are copied another way. */
START_TEST(test_close_behind)
{
	begin();
	poison_by_eof(&arena);
	for (size_t behind = 0; behind < 2 * LINE; behind++)
		for (size_t good = PAGE - 300; good <= PAGE + 300; good += SAMPLE(7))
			check_copy(&arena, good, (PAGE - good % PAGE + behind) % PAGE, PAGE + 150);
	end();
}
END_TEST

#define NR_THREADS 4

static void *thread_main(void *arg)
{
	struct arena mine;

	arena_init(&mine);
	poison_by_eof(&mine);
	all_cases(&mine, (size_t)(uintptr_t)arg);
	arena_fini(&mine);
	return NULL;
}

/* At once, each with its own faults at its own step. */
START_TEST(test_threads)
{
	pthread_t threads[NR_THREADS];

	ck_assert_int_eq(ddfs_mc_init(), 0);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, thread_main,
					 (void *)(2 * i + SAMPLE(7) + 4)),
			0);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	ddfs_mc_fini();
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = {
		{ "good", test_good, 0 },
		{ "past the end of a file", test_past_the_end_of_a_file, 0 },
		{ "userfaultfd", test_userfaultfd, 0 },
		{ "no handler", test_no_handler, 0 },
		{ "end of range", test_end_of_range, 0 },
		{ "close behind", test_close_behind, 0 },
		{ "threads", test_threads, 0 },
	};

	return suite_run("device_mc", cases, sizeof(cases) / sizeof(cases[0]));
}
