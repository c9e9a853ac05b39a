/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/ram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/mkfs.h"
#include "src/device/mc.h"

/* ThreadSanitizer knows memory by its address: with two views it would miss every race on media. */
#ifdef __has_feature
#define ONE_VIEW __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define ONE_VIEW 1
#else
#define ONE_VIEW 0
#endif

#define READABLE_PROT (ONE_VIEW ? PROT_READ | PROT_WRITE : PROT_READ)
#define PAGE_BYTES    UINT64_C(4096)

static struct ram *ram_of(struct ddfs_media *m)
{
	return (struct ram *)m;
}

static void ear_store(struct ddfs_media *m, uint64_t off, size_t len)
{
	const struct ram_ear *ear = ram_of(m)->ear;

	if (off + len > m->size || off + len < off)
		abort();
	if (ear)
		ear->store(ear->arg, off, len);
}

static void ram_copy(struct ddfs_media *m, uint64_t off, const void *src, size_t len)
{
	ear_store(m, off, len);
	memcpy(ram_of(m)->writable + off, src, len);
	atomic_fetch_add_explicit(&m->stats.bytes_stored, len, memory_order_relaxed);
}

static void ram_set(struct ddfs_media *m, uint64_t off, int c, size_t len)
{
	ear_store(m, off, len);
	memset(ram_of(m)->writable + off, c, len);
	atomic_fetch_add_explicit(&m->stats.bytes_stored, len, memory_order_relaxed);
}

static void ram_flush(struct ddfs_media *m, uint64_t off, size_t len)
{
	(void)m;
	(void)off;
	(void)len;
}

static int ram_drain(struct ddfs_media *m)
{
	const struct ram_ear *ear = ram_of(m)->ear;

	if (ear)
		ear->drain(ear->arg);
	atomic_fetch_add_explicit(&m->stats.fences, 1, memory_order_relaxed);
	return 0;
}

static int ram_deep_flush(struct ddfs_media *m, enum ddfs_sync_cause cause)
{
	atomic_fetch_add_explicit(&m->stats.syncs[cause], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->stats.deep_flushes, 1, memory_order_relaxed);
	return 0;
}

static void *ram_scratch(struct ddfs_media *m, uint64_t off, size_t len)
{
	if (off + len > m->size || off + len < off)
		abort();
	return ram_of(m)->writable + off;
}

/* What is counted is lines: the rest of the one that was met, at least. */
static size_t note_lost(struct ddfs_media *m, size_t left)
{
	atomic_fetch_add_explicit(&m->stats.lines_lost, left != 0, memory_order_relaxed);
	return left;
}

static size_t ram_copy_out(struct ddfs_media *m, void *dst, uint64_t off, size_t len)
{
	if (off + len > m->size || off + len < off)
		abort();
	return note_lost(m, ddfs_copy_mc(dst, m->base + off, len));
}

static size_t ram_probe(struct ddfs_media *m, uint64_t off, size_t len)
{
	if (off + len > m->size || off + len < off)
		abort();
	return note_lost(m, ddfs_probe_mc(m->base + off, len));
}

static int ram_clear_poison(struct ddfs_media *m, uint64_t off, size_t len)
{
	(void)m;
	(void)off;
	(void)len;
	return -EOPNOTSUPP;
}

static int ram_bad_ranges(
	struct ddfs_media *m, void (*found)(void *arg, uint64_t off, uint64_t len), void *arg)
{
	(void)m;
	(void)found;
	(void)arg;
	return -EOPNOTSUPP;
}

static const struct ddfs_media_ops ram_ops = {
	.copy = ram_copy,
	.set = ram_set,
	.flush = ram_flush,
	.drain = ram_drain,
	.deep_flush = ram_deep_flush,
	.copy_out = ram_copy_out,
	.probe = ram_probe,
	.clear_poison = ram_clear_poison,
	.bad_ranges = ram_bad_ranges,
	.scratch = ram_scratch,
};

static void die(const char *what)
{
	perror(what);
	abort();
}

/* Of the readable view. */
static void *page_of(const struct ram *r, uint64_t off)
{
	if (off >= r->media.size)
		abort();
	return (void *)(uintptr_t)(r->media.base + (off & ~(PAGE_BYTES - 1)));
}

static void *map(const struct ram *r, uint64_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, r->fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

void ram_init(struct ram *r, uint64_t size, uint64_t align)
{
	memset(r, 0, sizeof(*r));
	if (ddfs_mc_init())
		die("SIGBUS");
	r->fd = memfd_create("ddfs-test", MFD_CLOEXEC);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)size))
		die("memfd");
	r->writable = map(r, size, PROT_READ | PROT_WRITE);
	r->media.ops = &ram_ops;
	r->media.base = ONE_VIEW ? r->writable : map(r, size, PROT_READ);
	r->media.size = size;
	r->media.align_bytes = align;
}

/* A page past the end of its file. */
void ram_poison(struct ram *r, uint64_t off)
{
	int fd = memfd_create("ddfs-poison", MFD_CLOEXEC);

	if (r->writable == r->media.base)
		r->writable = map(r, r->media.size, PROT_READ | PROT_WRITE);
	if (fd < 0 || mmap(page_of(r, off), PAGE_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) ==
			      MAP_FAILED)
		die("poison");
	close(fd);
}

void ram_heal(struct ram *r, uint64_t off)
{
	if (mmap(page_of(r, off), PAGE_BYTES, READABLE_PROT, MAP_SHARED | MAP_FIXED, r->fd,
		    (off_t)(off & ~(PAGE_BYTES - 1))) == MAP_FAILED)
		die("heal");
}

void ram_fini(struct ram *r)
{
	ddfs_mc_fini();
	munmap(r->writable, r->media.size);
	if (r->writable != r->media.base)
		munmap((void *)(uintptr_t)r->media.base, r->media.size);
	close(r->fd);
}

void ram_mkfs(struct ram *r, uint64_t size, uint64_t align)
{
	struct ddfs_mkfs p = { .label = "test" };
	struct ddfs_geometry g;

	ram_init(r, size, align);
	if (ddfs_geometry_init(size, align, false, &g) || ddfs_mkfs(&r->media, &p, &g))
		die("mkfs");
}

void ram_copy_image(struct ram *to, const struct ram *from)
{
	ram_init(to, from->media.size, from->media.align_bytes);
	memcpy(to->writable, from->writable, from->media.size);
}

void ram_log(void *arg, int priority, const char *line)
{
	(void)arg;
	fprintf(stderr, "<%d> %s\n", priority, line);
}

void ram_log_nothing(void *arg, int priority, const char *line)
{
	(void)arg;
	(void)priority;
	(void)line;
}

struct ddfs_fs *ram_mount(struct ram *r, const struct ddfs_fs_options *opt)
{
	struct ddfs_fs_options o = { 0 };
	struct ddfs_fs *fs;
	int err;

	if (opt)
		o = *opt;
	if (!o.log)
		o.log = ram_log;
	err = ddfs_fs_open(&r->media, &o, &fs);
	if (err) {
		fprintf(stderr, "mount: %s\n", strerror(-err));
		abort();
	}
	return fs;
}

struct ddfs_inode *ram_root(struct ddfs_fs *fs)
{
	struct ddfs_inode *root;

	if (ddfs_inode_get(fs, DDFS_ID_ROOT, &root))
		die("root");
	return root;
}
