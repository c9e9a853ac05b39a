/* SPDX-License-Identifier: BSD-3-Clause */
/* A workload being run: its operations, the model of what they should have made, what is open. */
#ifndef DDFS_TEST_CRASH_WORLD_H
#define DDFS_TEST_CRASH_WORLD_H

#include "tests/crash/crash.h"
#include "tests/crash/ops.h"
#include "tests/crash/snap.h"

#define WORLD_HANDLES 8
#define WORLD_PINS    8

struct world_handle {
	char *path; /* as it was opened; NULL: free */
	struct ddfs_inode *ip;
	struct snap_node *node;
};

/* What a path led to before two operations were made at the same time. */
struct world_name {
	char *path;
	ddfs_id id;
};

struct world_pin {
	uint64_t id;
	struct snap_node *node; /* NULL: free */
	uint64_t first, last;	/* blocks of the file */
};

struct crash_world {
	struct crash_workload w;
	struct crash_op *op;
	int64_t *result; /* of each that was run */
	ddfs_id *target; /* of each that was run: whose contents it changes */
	bool *lazy;	 /* likewise: times may be in memory alone once it has returned */
	unsigned int nr_ops, nr_prepare; /* of all; of those, how many prepare */
	struct crash_snap *model;
	bool full;   /* the model does not know how much room there is */
	int64_t got; /* what the call that is being compared returned */
	struct world_handle handle[WORLD_HANDLES];
	struct world_name *name;
	unsigned int nr_names;
	struct world_pin pin[WORLD_PINS];
	struct ddfs_pin_owner owner;
	struct ddfs_holder *holder;
};

/* Aborts the test. */
_Noreturn __attribute__((format(printf, 3, 4))) void world_wrong(
	const struct crash_world *w, const struct crash_op *op, const char *fmt, ...);

/* ---- finding, in the filesystem: references to be put ---- */

int world_get(struct crash_world *w, struct ddfs_fs *fs, const char *path, struct ddfs_inode **out);
/* The directory, and the last component of path. */
int world_get_parent(struct crash_world *w, struct ddfs_fs *fs, const char *path,
	struct ddfs_inode **dir, const char **name);
/* From here on path is known to lead where it does, and what is above it. */
void world_keep_name(struct crash_world *w, struct ddfs_fs *fs, const char *path);
/* 0: path is not known. */
ddfs_id world_kept_id(const struct crash_world *w, const char *path);

/* ---- and in the model ---- */

/* -ENOENT, -ENOTDIR, -EBADF (no such open file). */
int world_find(struct crash_world *w, const char *path, struct snap_node **out);
/* *path is that of the directory, to be freed. */
int world_find_parent(struct crash_world *w, const char *of, struct snap_node **dir, char **path);
struct world_handle *world_handle(struct crash_world *w, const char *path);

/* The clock's time. */
void world_touch(struct snap_node *n, bool mtime);
/* As a write or a change of owner does. */
void world_kill_priv(struct snap_node *n);
/* The unit in bytes of what the file is made of. */
uint64_t world_unit(const struct crash_world *w, const struct snap_node *n);
bool world_is_dax(const struct crash_world *w, const struct snap_node *n);
/* Whether a client holds some of blocks [first, last). */
bool world_is_pinned(
	const struct crash_world *w, const struct snap_node *n, uint64_t first, uint64_t last);
/* 0, or what an operation on a regular file's contents gives for this. */
int world_check_file(const struct snap_node *n);

/* ---- ACLs of one form: two named users ---- */

#define WORLD_ACL_ACCESS  "system.posix_acl_access"
#define WORLD_ACL_DEFAULT "system.posix_acl_default"
#define WORLD_ACL_BYTES	  44

/* perms: rwx of owner, mask and others. */
void world_acl_make(uint32_t perms, uint8_t value[WORLD_ACL_BYTES]);
/* The mode of a file that is given one changes; and an ACL with the mode of its file. */
void world_acl_chmod(struct snap_node *n);
/* What a new inode has of its directory's. */
void world_acl_inherit(const struct snap_node *dir, struct snap_node *n, uint32_t umask);

#endif
