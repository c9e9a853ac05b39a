/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's end of a FUSE connection, whose other end is the daemon's session in this process.
 *
 *	struct kernel k;
 *
 *	kernel_mount(&k, stage, "dax=always");
 *	kernel_begin(&k, FUSE_LOOKUP, 1);
 *	kernel_put(&k, "name", 5);
 *	kernel_send(&k);
 *	kernel_unmount(&k);
 *
 * Requests are what the kernel could send: well-formed, of nodes and files that it was told of. An
 * answer that no request has, or a second one, is a failure; so is a request that is not answered
 * when nothing is left for it to wait for.
 */
#ifndef DDFS_FUZZ_KERNEL_H
#define DDFS_FUZZ_KERNEL_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/daemon/daemon.h"
#include "tests/fuzz/device.h"

struct stage;

#define KERNEL_MAX_BYTES (256u << 10) /* of a message */
#define KERNEL_MAX	 64	      /* nodes, files, requests under way */

struct kernel_file {
	uint64_t fh, node;
	uint32_t flags;
	bool is_open, is_dir;
};

struct kernel_request {
	uint64_t unique; /* 0: free */
	uint64_t node;
	uint32_t opcode;
	uint32_t open_flags;
	unsigned int file, also; /* open files that it uses; KERNEL_MAX: none */
};

struct kernel {
	struct ddfs_daemon daemon;
	struct ddfs_device device;
	struct stage *stage;
	int fd;		      /* ours */
	char target[16];      /* the daemon's */
	struct fuse_buf *buf; /* that the daemon reads to */
	uint8_t *message;     /* being put together */
	size_t len;
	uint8_t *answer; /* the last one */
	size_t answer_len;
	uint64_t unique;
	unsigned int also;	    /* a second file that the request being put together uses */
	unsigned int nr_interrupts; /* sent */
	pid_t other_pid;	    /* a process that holds pins, beside ours */

	uint64_t nodes[KERNEL_MAX];
	unsigned int nr_nodes;
	struct kernel_file files[KERNEL_MAX];
	struct kernel_request requests[KERNEL_MAX];
};

/* options: as mount -o. */
void kernel_mount(struct kernel *k, struct stage *s, const char *options);
/* Closes what is open, ends what waits, closes the filesystem: nothing must be left held. */
void kernel_unmount(struct kernel *k);

void kernel_begin(struct kernel *k, uint32_t opcode, uint64_t node);
/* Behind what is there; NULL: zeroes. */
void kernel_put(struct kernel *k, const void *bytes, size_t len);
struct fuse_in_header *kernel_head(struct kernel *k);
/* file: the open file that the request is of, and open_flags of an open. */
void kernel_send_for(struct kernel *k, unsigned int file, uint32_t open_flags);
void kernel_send(struct kernel *k);

/* Whether a request of that open file is under way. */
bool kernel_is_used(const struct kernel *k, unsigned int file);
/* An open file, which is one of a directory or not; KERNEL_MAX: there is none. */
unsigned int kernel_find_file(const struct kernel *k, unsigned int index, bool is_dir);
void kernel_release(struct kernel *k, unsigned int file);
/* A signal to who waits. */
void kernel_interrupt(struct kernel *k, uint64_t unique);

/* Closes all files, ends all requests, forgets all nodes; for kernel_unmount. */
void kernel_end(struct kernel *k);

#endif
