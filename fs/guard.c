/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/guard.h"

#include "fs/bad.h"
#include "fs/core.h"
#include "fs/guard_raise.h"

/*
 * The innermost guard of this thread. Not a member of struct ddfs_fs: a signal handler is told a
 * thread and an address, and nothing else.
 */
static _Thread_local struct ddfs_guard *volatile top;

void ddfs_guard_push(struct ddfs_guard *g, struct ddfs_fs *fs, bool stores)
{
	g->fs = fs;
	g->stores = stores;
	g->outer = top;
	top = g;
}

void ddfs_guard_pop(struct ddfs_guard *g)
{
	top = g->outer;
}

static bool has(const struct ddfs_fs *fs, const void *addr)
{
	return (uintptr_t)addr - (uintptr_t)fs->base < fs->media->size;
}

bool ddfs_guard_raise(const void *addr, bool store)
{
	struct ddfs_guard *g = top;

	while (g && !has(g->fs, addr))
		g = g->outer;
	if (!g || (store && !g->stores))
		return false;
	g->addr = (uintptr_t)addr;
	g->was_store = store;
	/* What comes next in this thread is behind the guard. */
	top = g->outer;
	longjmp(g->env, 1);
}

static uint64_t note(const struct ddfs_guard *g)
{
	uint64_t block = (g->addr - (uintptr_t)g->fs->base) >> DDFS_BLOCK_SHIFT;

	ddfs_bad_note(g->fs, (struct ddfs_range){ block, 1 });
	return block;
}

int ddfs_guard_hit(struct ddfs_guard *g)
{
	ddfs_corrupt(g->fs, "block %llu can't be read: the memory is poisoned",
		(unsigned long long)note(g));
	return -EIO;
}

int ddfs_guard_hit_store(struct ddfs_guard *g)
{
	ddfs_log(g->fs, LOG_ERR, "block %llu can't be stored to: the memory is poisoned",
		(unsigned long long)note(g));
	return -EIO;
}

int ddfs_guard_hit_either(struct ddfs_guard *g)
{
	return g->was_store ? ddfs_guard_hit_store(g) : ddfs_guard_hit(g);
}
