/* SPDX-License-Identifier: BSD-3-Clause */
/* POSIX ACLs in the form of their xattrs (acl(5), <linux/posix_acl_xattr.h>). The kernel checks
 * access; what a filesystem does is inherit them and keep them and the mode in agreement. */
#ifndef DDFS_FS_ACL_H
#define DDFS_FS_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ddfs_inode;
struct ddfs_inode_disk;
struct ddfs_tx;

/* -EINVAL: no well-formed ACL. */
int ddfs_acl_check(const void *acl, size_t size);
/* The permission bits that an access ACL stands for; true if they say all of it. */
bool ddfs_acl_mode(const void *acl, size_t size, uint32_t *mode);

/* New inode di, in a directory of (shadow or view) dir: gives it the ACLs and the mode that it
 * inherits; without a default ACL, umask applies. */
int ddfs_acl_inherit(struct ddfs_tx *tx, const struct ddfs_inode_disk *dir,
	struct ddfs_inode_disk *di, uint32_t umask);
/* di's mode was changed by chmod: its access ACL follows. */
int ddfs_acl_chmod(struct ddfs_tx *tx, struct ddfs_inode_disk *di);

#endif
