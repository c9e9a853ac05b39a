/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of a tree of files, in plain memory and as simple as can be, and the operations that do
 * the same to it and to a filesystem. Any difference fails the test.
 */
#ifndef DDFS_TEST_MODEL_H
#define DDFS_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "fs/fs.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"

#define MODEL_BLOCK   4096u
#define MODEL_XATTRS  12u
#define MODEL_HANDLES 12u
#define MODEL_BUF     (6u << 20)

/* A block of a file that was written; all others read as zeroes. */
struct mblock {
	uint32_t lblk;
	uint8_t *data;
};

struct mxattr {
	char name[32];
	uint8_t *value; /* NULL: not set */
	size_t size;
};

struct mentry {
	char name[256];
	size_t len;
	struct mnode *node;
};

struct mnode {
	ddfs_id id;
	uint32_t mode, uid, gid, rdev, nlink;
	uint64_t size;
	char *target;
	struct mblock *block; /* ascending */
	size_t nr_blocks, cap_blocks;
	struct mxattr xattr[MODEL_XATTRS];
	struct mentry *entry;
	size_t nr_entries, cap_entries;
	struct mnode *parent; /* of a directory that has a name */
	unsigned int opens;
};

struct world {
	struct rng rng;
	struct ram ram;
	struct ddfs_fs *fs;
	struct ddfs_fs_options opt;
	uint64_t unit_bytes;	  /* what collapse and insert must be multiples of */
	unsigned int image_flags; /* for the checker */
	struct mnode **node;	  /* all, [0] is the root */
	size_t nr_nodes, cap_nodes;
	struct {
		struct mnode *node;
		struct ddfs_inode *ip;
	} handle[MODEL_HANDLES];
	unsigned int nr_handles;
	ddfs_id dead[64]; /* gone, but not forgotten */
	unsigned int nr_dead;
	uint8_t *buf;
	uint64_t nr_ok, nr_refused, nr_full;
	bool trace; /* print each change of a file: DDFS_TRACE in the environment */
};

#define model_trace(w, what, n, off, len)                                                          \
	do {                                                                                       \
		if ((w)->trace)                                                                    \
			fprintf(stderr, "%s %#llx (%llu) %llu+%llu\n", what,                       \
				(unsigned long long)(n)->id, (unsigned long long)(n)->size,        \
				(unsigned long long)(off), (unsigned long long)(len));             \
	} while (0)

/* ---- model.c: the model alone ---- */

struct mnode *model_node_new(struct world *w, uint32_t mode);
/* Gone for good: no name and not open. */
void model_node_delete(struct world *w, struct mnode *n);
void model_clear(struct world *w);
bool model_is_dir(const struct mnode *n);
bool model_is_reg(const struct mnode *n);
/* Whether n is dir or lies above it. */
bool model_is_above(const struct mnode *n, const struct mnode *dir);

struct mentry *model_find(struct mnode *dir, const char *name, size_t len);
void model_add(struct mnode *dir, const char *name, size_t len, struct mnode *n);
void model_del(struct mnode *dir, struct mentry *e);

/* The first written block at or behind lblk, or NULL. */
struct mblock *model_block_from(struct mnode *n, uint32_t lblk);
void model_write(struct mnode *n, uint64_t off, const uint8_t *src, size_t len);
void model_read(struct mnode *n, uint64_t off, uint8_t *dst, size_t len);
/* A hole copied to a hole stays one. */
void model_copy(struct mnode *in, uint64_t off_in, struct mnode *out, uint64_t off_out, size_t len);
void model_truncate(struct mnode *n, uint64_t size);
/* Whole blocks become unwritten, the rest of the range zero. */
void model_punch(struct mnode *n, uint64_t off, uint64_t len);
void model_collapse(struct mnode *n, uint64_t off, uint64_t len);
void model_insert(struct mnode *n, uint64_t off, uint64_t len);

/* ---- model_verify.c ---- */

struct ddfs_inode *model_get(struct world *w, const struct mnode *n);
void model_verify_node(struct world *w, struct mnode *n);
/* All names, attributes and contents; the image; the count of free blocks. */
void model_verify(struct world *w);

/* ---- model_names.c, model_data.c, model_attrs.c: one random operation each ---- */

void model_op_create(struct world *w);
void model_op_link(struct world *w);
void model_op_unlink(struct world *w);
void model_op_rmdir(struct world *w);
void model_op_rename(struct world *w);
void model_op_lookup(struct world *w);

void model_op_write(struct world *w);
void model_op_truncate(struct world *w);
void model_op_fallocate(struct world *w);
void model_op_copy(struct world *w);
void model_op_verify(struct world *w);

void model_op_setattr(struct world *w);
void model_op_setxattr(struct world *w);
void model_op_removexattr(struct world *w);
void model_op_open(struct world *w);
void model_op_release(struct world *w);
void model_op_forget(struct world *w);

/* Remove every name, file by file, and what the root has of its own. */
void model_remove_all(struct world *w);

struct mnode *model_any(struct world *w);
/* A regular file, or NULL. */
struct mnode *model_any_file(struct world *w);
/* One that has a name. */
struct mnode *model_any_dir(struct world *w);
/* One that has none, but is open; or NULL. */
struct mnode *model_removed_dir(struct world *w);
/* What an operation gave: true if it was done. Anything but want or, with too little room for
 * `blocks` blocks, -ENOSPC fails the test. */
bool model_result(struct world *w, const char *what, int64_t got, int64_t want, uint64_t blocks);
/* n lost a name or an open: is it gone? */
void model_settle(struct world *w, struct mnode *n);

#endif
