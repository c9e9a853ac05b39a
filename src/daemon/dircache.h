/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the kernel may keep what it has cached of a directory's entries.
 *
 * The kernel caches entries as they are read and looks whether the directory has changed only when
 * a stream starts at a complete cache. So it can happen that one reader stops half-way, a name is
 * created in the half that is cached, and of two readers that start then, one completes the cache
 * and the other goes on in its outdated half: it misses a name that was there before it opened the
 * directory. Therefore the cache is dropped at the first opendir behind a change. What a reader
 * finds cached later was read behind that opendir.
 *
 * This is a table of the directories that were opened last and have not changed since. Forgetting
 * one is harmless: its cache is dropped once more.
 */
#ifndef DDFS_DAEMON_DIRCACHE_H
#define DDFS_DAEMON_DIRCACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DDFS_DIRCACHE_SLOTS 4096

struct ddfs_dircache {
	_Atomic uint64_t slots[DDFS_DIRCACHE_SLOTS]; /* ids; 0: none */
};

/* At opendir: true if the directory was opened before and has not changed since. */
bool ddfs_dircache_open(struct ddfs_dircache *c, uint64_t id);

/* Behind a change of the directory's entries, before its answer. */
void ddfs_dircache_changed(struct ddfs_dircache *c, uint64_t id);

#endif
