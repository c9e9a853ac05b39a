/* SPDX-License-Identifier: BSD-3-Clause */
/* A door over plain memory, for tests of fs/: the filesystem gets a read-only view of it, so that
 * a store past the door faults. */
#ifndef DDFS_TEST_RAM_H
#define DDFS_TEST_RAM_H

#include "fs/fs.h"
#include "fs/media.h"

/* Told before a store changes memory, and before a fence ends. */
struct ram_ear {
	void (*store)(void *arg, uint64_t off, size_t len);
	void (*drain)(void *arg);
	void *arg;
};

struct ram {
	struct ddfs_media media;
	uint8_t *writable; /* the same memory */
	int fd;
	const struct ram_ear *ear; /* NULL: nobody listens */
};

/* Aborts the test if there is no memory. */
void ram_init(struct ram *r, uint64_t size, uint64_t align);
void ram_fini(struct ram *r);

/* Each access to the page at off raises SIGBUS, as poison does, until it is healed, with what it
 * held then or was stored through the door since. While nobody else stores. */
void ram_poison(struct ram *r, uint64_t off);
void ram_heal(struct ram *r, uint64_t off);

/* The copy that another r has of the same size: what a crash would leave. */
void ram_copy_image(struct ram *to, const struct ram *from);

/* ram_init and mkfs. */
void ram_mkfs(struct ram *r, uint64_t size, uint64_t align);

/* Log lines to stderr, but for those of a test that provokes them. */
void ram_log(void *arg, int priority, const char *line);
void ram_log_nothing(void *arg, int priority, const char *line);

/* Mount with default options (or opt), failing the test on error; log lines go to stderr. */
struct ddfs_fs *ram_mount(struct ram *r, const struct ddfs_fs_options *opt);

/* The root directory, referenced. */
struct ddfs_inode *ram_root(struct ddfs_fs *fs);

#endif
