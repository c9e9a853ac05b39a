/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kill in the midst of a store. Random moments seldom meet one: all that a transaction stores
 * takes a microsecond. Preloaded into a daemon, this sends it SIGKILL at its DDFS_SOAK_CUT-th call
 * of libpmem2 to store or flush, with a part of that done.
 */
#include <dlfcn.h>
#include <libpmem2.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libpmem2's functions have no argument for it. */
static struct {
	atomic_llong left; /* calls until the cut */
	pmem2_memcpy_fn memcpy;
	pmem2_memset_fn memset;
	pmem2_flush_fn flush;
} cut;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("DDFS_SOAK_CUT");

	atomic_init(&cut.left, text ? atoll(text) : INT64_MAX);
}

static bool is_due(void)
{
	return atomic_fetch_sub(&cut.left, 1) == 1;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* A beginning of what was to be stored, of any length, up to where an aligned word begins. */
static size_t part(const void *dst, size_t len)
{
	uintptr_t start = (uintptr_t)dst, end = start + (start >> 3) * 0x9e3779b1u % (len + 1);

	end &= ~(uintptr_t)7;
	return end > start ? end - start : 0;
}

static void *cut_memcpy(void *dst, const void *src, size_t len, unsigned int flags)
{
	if (is_due()) {
		cut.memcpy(dst, src, part(dst, len), flags);
		die();
	}
	return cut.memcpy(dst, src, len, flags);
}

static void *cut_memset(void *dst, int c, size_t len, unsigned int flags)
{
	if (is_due()) {
		cut.memset(dst, c, part(dst, len), flags);
		die();
	}
	return cut.memset(dst, c, len, flags);
}

static void cut_flush(const void *p, size_t len)
{
	if (is_due())
		die();
	cut.flush(p, len);
}

/* The function of that name in the library itself. */
static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort();
	return found;
}

pmem2_memcpy_fn pmem2_get_memcpy_fn(struct pmem2_map *map)
{
	pmem2_memcpy_fn (*get)(struct pmem2_map *) = next("pmem2_get_memcpy_fn");

	cut.memcpy = get(map);
	return cut_memcpy;
}

pmem2_memset_fn pmem2_get_memset_fn(struct pmem2_map *map)
{
	pmem2_memset_fn (*get)(struct pmem2_map *) = next("pmem2_get_memset_fn");

	cut.memset = get(map);
	return cut_memset;
}

pmem2_flush_fn pmem2_get_flush_fn(struct pmem2_map *map)
{
	pmem2_flush_fn (*get)(struct pmem2_map *) = next("pmem2_get_flush_fn");

	cut.flush = get(map);
	return cut_flush;
}
