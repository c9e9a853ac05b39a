/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/crash/log.h"

static_assert(CRASH_PAGES <= UINT16_MAX + 1, "a page number");

static struct crash_memory *memory_of(struct ddfs_media *m)
{
	return (struct crash_memory *)m;
}

/* ---- the hash ------------------------------------------------------------------------------- */

/* Of a word at its place; 0 of a zero. The sum, without carry, over all words is that of the
 * memory, so that a store changes it by the words that it changes. */
static uint64_t mix(uint64_t off, uint64_t word)
{
	uint64_t x = word * UINT64_C(0x9e3779b97f4a7c15) + off;

	if (!word)
		return 0;
	x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ (x >> 32);
}

/* A line. */
#define STEP UINT64_C(64)

/* Of a step, which is aligned: `before` is what it held. */
static uint64_t hash_change(const struct crash_memory *m, uint64_t step, const uint64_t *before)
{
	const uint64_t *after = (const uint64_t *)(m->writable + step);
	uint64_t h = 0;

	for (unsigned int i = 0; i < STEP / 8; i++)
		if (before[i] != after[i])
			h ^= mix(step + i * 8, before[i]) ^ mix(step + i * 8, after[i]);
	return h;
}

/* ---- stores --------------------------------------------------------------------------------- */

static void mark_dirty(struct crash_memory *m, uint64_t off)
{
	uint64_t page = off / CRASH_PAGE, bit = UINT64_C(1) << (page % 64);

	if (m->is_dirty[page / 64] & bit)
		return;
	m->is_dirty[page / 64] |= bit;
	m->dirty[m->nr_dirty++] = (uint16_t)page;
}

static void store_step(struct crash_memory *m, uint64_t off, const uint8_t *src, size_t len)
{
	uint64_t step = off & ~(STEP - 1), before[STEP / 8];

	memcpy(before, m->writable + step, STEP);
	memcpy(m->writable + off, src, len);
	m->hash ^= hash_change(m, step, before);
	mark_dirty(m, off);
}

void crash_memory_store(struct crash_memory *m, uint64_t off, const void *src, size_t len)
{
	const uint8_t *p = src;

	if (off > m->media.size || len > m->media.size - off)
		abort();
	while (len) {
		size_t n = STEP - off % STEP < len ? STEP - off % STEP : len;

		store_step(m, off, p, n);
		off += n;
		p += n;
		len -= n;
	}
}

/* Who comes to the door, which may make it wait there. */
static struct crash_memory *enter(struct ddfs_media *media)
{
	struct crash_memory *m = memory_of(media);

	if (m->at_door)
		m->at_door(m->at_door_arg);
	return m;
}

static void memory_copy(struct ddfs_media *media, uint64_t off, const void *src, size_t len)
{
	struct crash_memory *m = enter(media);

	if (off < CRASH_PAGE)
		m->hash_at_super = m->hash;
	if (m->log)
		crash_log_store(m->log, off, src, len);
	crash_memory_store(m, off, src, len);
}

static void memory_set(struct ddfs_media *media, uint64_t off, int c, size_t len)
{
	uint8_t bytes[CRASH_PAGE];
	void *big = len > sizeof(bytes) ? malloc(len) : bytes;

	if (!big)
		abort();
	memset(big, c, len);
	/* One store, as it is for the device. */
	memory_copy(media, off, big, len);
	if (big != bytes)
		free(big);
}

static void memory_flush(struct ddfs_media *media, uint64_t off, size_t len)
{
	struct crash_memory *m = enter(media);

	if (m->log)
		crash_log_flush(m->log, off, len);
}

static int memory_drain(struct ddfs_media *media)
{
	struct crash_memory *m = enter(media);

	if (m->log)
		crash_log_note(m->log, CRASH_FENCE);
	return 0;
}

static int memory_deep_flush(struct ddfs_media *media, enum ddfs_sync_cause cause)
{
	struct crash_memory *m = enter(media);

	(void)cause;
	if (m->log)
		crash_log_note(m->log, CRASH_DEEP_FLUSH);
	return 0;
}

/* ---- the rest of the door ------------------------------------------------------------------- */

static size_t memory_copy_out(struct ddfs_media *media, void *dst, uint64_t off, size_t len)
{
	memcpy(dst, media->base + off, len);
	return 0;
}

static size_t memory_probe(struct ddfs_media *media, uint64_t off, size_t len)
{
	if (off > media->size || len > media->size - off)
		abort();
	return 0;
}

static int memory_clear_poison(struct ddfs_media *media, uint64_t off, size_t len)
{
	(void)media;
	(void)off;
	(void)len;
	return -EOPNOTSUPP;
}

static int memory_bad_ranges(
	struct ddfs_media *media, void (*found)(void *arg, uint64_t off, uint64_t len), void *arg)
{
	(void)media;
	(void)found;
	(void)arg;
	return -EOPNOTSUPP;
}

/* For a pagemap on the device, and mkfs makes no room for one here: its counts mean nothing after a
 * crash, but would be stored to unseen. */
static void *memory_scratch(struct ddfs_media *media, uint64_t off, size_t len)
{
	(void)media;
	(void)off;
	(void)len;
	fprintf(stderr, "crash: nothing may be stored to past the door\n");
	abort();
}

static const struct ddfs_media_ops memory_ops = {
	.copy = memory_copy,
	.set = memory_set,
	.flush = memory_flush,
	.drain = memory_drain,
	.deep_flush = memory_deep_flush,
	.copy_out = memory_copy_out,
	.probe = memory_probe,
	.clear_poison = memory_clear_poison,
	.bad_ranges = memory_bad_ranges,
	.scratch = memory_scratch,
};

/* ---- making and restoring ------------------------------------------------------------------- */

static void *map(int fd, int prot)
{
	void *p = mmap(NULL, CRASH_BYTES, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		perror("crash: mmap");
		abort();
	}
	return p;
}

void crash_memory_init(struct crash_memory *m)
{
	memset(m, 0, sizeof(*m));
	m->fd = memfd_create("ddfs-crash", MFD_CLOEXEC);
	if (m->fd < 0 || ftruncate(m->fd, (off_t)CRASH_BYTES)) {
		perror("crash: memfd");
		abort();
	}
	m->writable = map(m->fd, PROT_READ | PROT_WRITE);
	m->media.ops = &memory_ops;
	m->media.base = map(m->fd, PROT_READ);
	m->media.size = CRASH_BYTES;
	m->media.align_bytes = CRASH_PAGE;
}

void crash_memory_fini(struct crash_memory *m)
{
	munmap(m->writable, CRASH_BYTES);
	munmap((void *)(uintptr_t)m->media.base, CRASH_BYTES);
	close(m->fd);
}

void crash_memory_settle(struct crash_memory *m)
{
	for (uint32_t i = 0; i < m->nr_dirty; i++)
		m->is_dirty[m->dirty[i] / 64] = 0;
	m->nr_dirty = 0;
}

void crash_memory_copy(struct crash_memory *m, const struct crash_memory *from)
{
	memcpy(m->writable, from->writable, CRASH_BYTES);
	m->hash = from->hash;
	m->media.align_bytes = from->media.align_bytes;
	crash_memory_settle(m);
}

void crash_memory_take(
	struct crash_memory *m, const struct crash_memory *from, const uint16_t *pages, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t off = pages[i] * CRASH_PAGE;

		memcpy(m->writable + off, from->writable + off, CRASH_PAGE);
	}
	m->hash = from->hash;
}

void crash_memory_revert(struct crash_memory *m, const struct crash_memory *from)
{
	crash_memory_take(m, from, m->dirty, m->nr_dirty);
	crash_memory_settle(m);
}

int crash_memory_save(const struct crash_memory *m, const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644), err = 0;
	uint64_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < CRASH_BYTES && !err) {
		ssize_t n = write(fd, m->media.base + done, CRASH_BYTES - done);

		if (n < 0)
			err = -errno;
		else
			done += (uint64_t)n;
	}
	if (close(fd) && !err)
		err = -errno;
	return err;
}
