/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes: small ones in the inode, others in a name tree, large values in blocks. */
#ifndef DDFS_FS_XATTR_H
#define DDFS_FS_XATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ddfs_fs;
struct ddfs_inode_disk;
struct ddfs_tx;

#define DDFS_ACL_ACCESS	 "system.posix_acl_access"
#define DDFS_ACL_DEFAULT "system.posix_acl_default"

bool ddfs_xattr_inline_valid(const struct ddfs_inode_disk *di);

/* The inode's lock is held. name has its prefix. As getxattr(2). */
ssize_t ddfs_xattr_read(struct ddfs_fs *fs, const struct ddfs_tx *tx,
	const struct ddfs_inode_disk *di, const char *name, void *buf, size_t size);
/* Set (value not NULL) or remove; di is a shadow. Removing what is not there is no error. */
int ddfs_xattr_write(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *name,
	const void *value, size_t size);

/* Whether the tree is one leaf without values elsewhere. */
bool ddfs_xattr_is_small(struct ddfs_fs *fs, const struct ddfs_inode_disk *di);
/* Free the tree, or, if that is too much for a transaction, a part of it. */
int ddfs_xattr_free_some(struct ddfs_tx *tx, struct ddfs_inode_disk *di);

#endif
