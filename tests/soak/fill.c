/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/fill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/soak/choose.h"
#include "tests/soak/model.h"
#include "tests/soak/perform.h"

#define NAME	  "ballast"
#define GROW_MOST ((off_t)16 << 20) /* bytes at a time */
#define CUT_MOST  ((off_t)1 << 20)
#define READ_LEN  ((size_t)1 << 20)

struct ballast {
	int fd;
	off_t size;
	struct soak_random random;
};

static void block_of(uint64_t number, uint8_t out[SOAK_BLOCK])
{
	soak_fill(out, SOAK_BLOCK, UINT64_C(0xba11a57) << 32 | number);
}

/* ---- work ----------------------------------------------------------------------------------- */

/* Until not even a block is to be had. */
static int grow(struct ballast *b)
{
	for (off_t len = GROW_MOST; len >= (off_t)SOAK_BLOCK;) {
		if (!fallocate(b->fd, 0, b->size, len))
			b->size += len;
		else if (errno == ENOSPC)
			len /= 2;
		else
			return errno;
	}
	return 0;
}

/* Must work however full the device is. */
static int cut(struct ballast *b)
{
	off_t len = (off_t)soak_random_below(&b->random, CUT_MOST) / SOAK_BLOCK * SOAK_BLOCK;
	off_t size = b->size > len ? b->size - len : 0;

	if (ftruncate(b->fd, size))
		return errno;
	b->size = size;
	return 0;
}

/* Blocks that were not written are; with what they are split into room may lack. */
static int mark(struct ballast *b)
{
	uint32_t nr_blocks = (uint32_t)(b->size / SOAK_BLOCK);
	uint8_t block[SOAK_BLOCK];
	uint32_t number;

	if (!nr_blocks)
		return 0;
	number = soak_random_below(&b->random, nr_blocks);
	block_of(number, block);
	if (pwrite(b->fd, block, sizeof(block), (off_t)number * SOAK_BLOCK) < 0)
		return errno == ENOSPC ? 0 : errno;
	return 0;
}

static int one_change(struct ballast *b)
{
	int err;

	switch (soak_random_below(&b->random, 8)) {
	case 0:
		return cut(b);
	case 1:
	case 2:
	case 3:
		return mark(b);
	default:
		err = grow(b);
		usleep(soak_random_below(&b->random, 4000));
		return err;
	}
}

static int work(int root, struct ballast *b, const volatile sig_atomic_t *stop)
{
	struct stat st;
	int err;

	b->fd = openat(root, NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b->fd < 0 || fstat(b->fd, &st))
		return errno;
	b->size = st.st_size;
	err = grow(b);
	puts("ready");
	fflush(stdout);
	while (!err && !*stop)
		err = one_change(b);
	return err;
}

bool soak_fill_work(int root, uint64_t seed, const volatile sig_atomic_t *stop)
{
	struct ballast b = { .random = { seed } };
	int err = work(root, &b, stop);

	if (b.fd >= 0)
		close(b.fd);
	if (!err || (err == EINTR && *stop) || soak_is_gone(root))
		return true;
	fprintf(stderr, "soak: %s: %s\n", NAME, strerror(err));
	return false;
}

/* ---- check ---------------------------------------------------------------------------------- */

static bool block_holds(const uint8_t *got, size_t len, uint64_t number)
{
	uint8_t want[SOAK_BLOCK] = { 0 };

	if (!memcmp(got, want, len))
		return true;
	block_of(number, want);
	return !memcmp(got, want, len);
}

static bool check_blocks(int fd, uint8_t *buf, FILE *why)
{
	ssize_t n;

	for (off_t at = 0; (n = pread(fd, buf, READ_LEN, at)) > 0; at += n)
		for (ssize_t i = 0; i < n; i += SOAK_BLOCK) {
			size_t len = n - i < (ssize_t)SOAK_BLOCK ? (size_t)(n - i) : SOAK_BLOCK;

			if (block_holds(buf + i, len, (uint64_t)(at + i) / SOAK_BLOCK))
				continue;
			fprintf(why, "  %s: its block %lld holds what nobody wrote there\n", NAME,
				(long long)(at + i) / SOAK_BLOCK);
			return false;
		}
	if (n < 0)
		fprintf(why, "  %s: %s\n", NAME, strerror(errno));
	return n == 0;
}

bool soak_fill_check(int root, FILE *why)
{
	int fd = openat(root, NAME, O_RDONLY | O_CLOEXEC);
	uint8_t *buf;
	bool good;

	if (fd < 0 && errno == ENOENT)
		return true;
	buf = malloc(READ_LEN);
	good = fd >= 0 && buf && check_blocks(fd, buf, why);
	if (fd < 0)
		fprintf(why, "  %s: %s\n", NAME, strerror(errno));
	free(buf);
	if (fd >= 0)
		close(fd);
	return good;
}
