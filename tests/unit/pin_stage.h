/* SPDX-License-Identifier: BSD-3-Clause */
/* A filesystem in memory with files that are pinned: for tests of pins in fs/. */
#ifndef DDFS_TEST_PIN_STAGE_H
#define DDFS_TEST_PIN_STAGE_H

#include <check.h>
#include <stdint.h>

#include "fs/fs.h"
#include "layout/holder.h"
#include "tests/unit/ram.h"

#define KIB  UINT64_C(1024)
#define MIB  (KIB * 1024)
#define BLK  UINT64_C(4096)
#define UNIT (2 * MIB)

/* A wait, and how often it was woken. */
struct pin_waiter {
	struct ddfs_wait wait; /* first: wake is given this */
	unsigned int nr_wakes;
	int err; /* of the last one */
};
void pin_waiter_init(struct pin_waiter *w);

struct pin_stage {
	struct ram ram;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
	struct ddfs_holder *holder; /* the client of this mount */
	struct ddfs_pin_owner owner;
	struct ddfs_fs_options opt;
	/* of the log */
	unsigned int nr_crit; /* lines of LOG_CRIT, which no test may see */
	char said[8][256];    /* the last lines of LOG_NOTICE and above, and those that say pin */
	unsigned int nr_said;
	/* what opt.clients_alive says */
	uint32_t alive_epoch;
	pid_t client[8]; /* of each mount: a process of its own; 0: it has ended */
	unsigned int nr_mounts;
};

/* clients_alive of the options; the argument is the stage. */
bool stage_is_alive(void *arg, uint32_t epoch);

/* A filesystem whose files are all DAX inodes in units of align, with options of opt (or NULL). */
void stage_init(
	struct pin_stage *s, uint64_t size, uint64_t align, const struct ddfs_fs_options *opt);
/* Unmount, mount. */
void stage_unmount(struct pin_stage *s);
void stage_mount(struct pin_stage *s);
void stage_fini(struct pin_stage *s);
/* The daemon was killed: s goes on over a copy of memory as it is, with nothing of the old mounts.
 * Their clients have ended, but for the one of that epoch (0: none), which holds the device. */
void stage_crash(struct pin_stage *s, uint32_t epoch);
/* The clients of earlier mounts end, but for the one of that epoch. */
void stage_end_clients(struct pin_stage *s, uint32_t but);

/* Whether a line that contains what was logged; forgets all lines. */
bool stage_said(struct pin_stage *s, const char *what);

/* A file of size bytes, written; referenced. */
struct ddfs_inode *stage_file(struct pin_stage *s, const char *name, uint64_t size);

/* One of nr blocks: written, hole, unwritten, by turns. */
struct ddfs_inode *stage_patchwork(struct pin_stage *s, unsigned int nr);

/* Pin as args say but for owner and holder, which are the stage's; no wait. */
int stage_pin_args(struct pin_stage *s, struct ddfs_inode *ip, struct ddfs_pin_args args,
	struct ddfs_pinned *out, struct ddfs_file_extent *extents, uint32_t max);
/* For reading and writing; returns the id. Fails the test if it can't be made. */
uint64_t stage_pin(
	struct pin_stage *s, struct ddfs_inode *ip, uint64_t off, uint64_t len, unsigned int flags);
void stage_unpin(struct pin_stage *s, uint64_t id);

/* The bytes of the device that hold the file's byte off, to look at and to store to as a client
 * does. Fails the test if there are none. */
uint8_t *stage_memory(struct pin_stage *s, struct ddfs_inode *ip, uint64_t off);

uint64_t stage_size(struct ddfs_inode *ip);
int stage_truncate(struct ddfs_inode *ip, uint64_t size, struct ddfs_wait *w);
/* Whether [off, off + len) of the file reads as the byte c. */
bool stage_reads(struct ddfs_inode *ip, uint64_t off, size_t len, int c);

/* As stage_pin_args, and unpinned again. */
int stage_try_pin(struct pin_stage *s, struct ddfs_inode *ip, uint64_t off, uint64_t len,
	unsigned int mode, unsigned int flags);

struct ddfs_layouts_stats stage_stats(struct pin_stage *s);
struct ddfs_recovery stage_recovery(struct pin_stage *s);
uint64_t stage_free(struct pin_stage *s); /* blocks */

/* All space goes to the file "ballast", until there is no more; returns its size. */
uint64_t stage_fill(struct pin_stage *s);
/* A file of nr blocks that are pinned; *off is where they lie on the device. */
struct ddfs_inode *stage_pinned_file(
	struct pin_stage *s, const char *name, uint64_t nr, uint64_t *off);
/* A stage of 32 MiB in units of a block, with such a file, named "file". */
struct ddfs_inode *stage_init_pinned(struct pin_stage *s, uint64_t nr, uint64_t *off);
/* The same of ten blocks behind a crash, of which the client of that epoch (0: none) is left. */
void stage_init_crashed(struct pin_stage *s, uint32_t epoch);
/* Whether the device has the byte c throughout. */
bool stage_holds(const struct pin_stage *s, uint64_t off, uint64_t len, int c);
/* The clients of earlier mounts are gone, which the filesystem notices. */
void stage_tick_gone(struct pin_stage *s);

#endif
