/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The FUSE operations. Each decodes its request, calls one function of fs/ and answers exactly
 * once; the table is in ops.c.
 *
 * A node's number in FUSE is its ddfs_id. An open file's handle is a struct ddfs_handle;
 * directories have none.
 */
#ifndef DDFS_DAEMON_OPS_H
#define DDFS_DAEMON_OPS_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "src/daemon/daemon.h"
#include "src/daemon/handle.h"

extern const struct fuse_lowlevel_ops ddfs_ops;

/* For how long the kernel may believe a name or an attribute, in seconds: we are the only writer,
 * and it knows what it changes itself. */
#define DDFS_OPS_TIMEOUT (365.0 * 24 * 3600)

/* ---- what they share ------------------------------------------------------------------------ */

struct ddfs_daemon *ddfs_op_daemon(fuse_req_t req);
struct ddfs_fs *ddfs_op_fs(fuse_req_t req);

/* The inode of a node, to be put; on failure NULL, and the request has been answered. */
struct ddfs_inode *ddfs_op_inode(fuse_req_t req, fuse_ino_t node);

/* What an open file's handle is. */
struct ddfs_handle *ddfs_op_handle(const struct fuse_file_info *fi);
/* For an open; on failure NULL, and the request has been answered. */
struct ddfs_handle *ddfs_op_new_handle(fuse_req_t req, const struct fuse_file_info *fi);

/* Clear ip's set-id bits as write(2) does. fallocate(2), copy_file_range(2) and our ioctls do not
 * say whether the caller lacks CAP_FSETID: whoever is not root is taken to. */
void ddfs_op_drop_setid(fuse_req_t req, struct ddfs_inode *ip);

/* err is 0 or negative. */
void ddfs_op_reply(fuse_req_t req, int err);

void ddfs_op_stat(const struct ddfs_attr *attr, struct stat *out);
void ddfs_op_entry(const struct ddfs_attr *attr, struct fuse_entry_param *out);

/* ---- the operations ------------------------------------------------------------------------- */

void ddfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ddfs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void ddfs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void ddfs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void ddfs_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *fi);
void ddfs_op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char *name);
void ddfs_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ddfs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void ddfs_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned int flags);

void ddfs_op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count);
void ddfs_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void ddfs_op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void ddfs_op_setattr(
	fuse_req_t req, fuse_ino_t node, struct stat *st, int valid, struct fuse_file_info *fi);
void ddfs_op_readlink(fuse_req_t req, fuse_ino_t node);
void ddfs_op_statfs(fuse_req_t req, fuse_ino_t node);

void ddfs_op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void ddfs_op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void ddfs_op_fsync(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi);
void ddfs_op_read(
	fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi);
void ddfs_op_write(fuse_req_t req, fuse_ino_t node, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi);
void ddfs_op_fallocate(
	fuse_req_t req, fuse_ino_t node, int mode, off_t off, off_t len, struct fuse_file_info *fi);
void ddfs_op_lseek(
	fuse_req_t req, fuse_ino_t node, off_t off, int whence, struct fuse_file_info *fi);
void ddfs_op_copy_file_range(fuse_req_t req, fuse_ino_t node_in, off_t off_in,
	struct fuse_file_info *fi_in, fuse_ino_t node_out, off_t off_out,
	struct fuse_file_info *fi_out, size_t len, int flags);

/* The answer to an open: how the kernel is to treat the file. entry is set for CREATE. */
void ddfs_op_reply_open(fuse_req_t req, struct ddfs_handle *h, const struct ddfs_attr *entry);

void ddfs_op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void ddfs_op_releasedir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void ddfs_op_readdir(
	fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi);
void ddfs_op_readdirplus(
	fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi);
void ddfs_op_fsyncdir(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi);

void ddfs_op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size);
void ddfs_op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name, const char *value,
	size_t size, int flags);
void ddfs_op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size);
void ddfs_op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name);

void ddfs_op_ioctl(fuse_req_t req, fuse_ino_t node, unsigned int cmd, void *arg,
	struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_size,
	size_t out_size);
void ddfs_op_poll(
	fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi, struct fuse_pollhandle *ph);

#endif
