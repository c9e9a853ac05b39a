/* SPDX-License-Identifier: BSD-3-Clause */
/* Between xattr.c and xattr_store.c. */
#ifndef DDFS_FS_XATTR_PRIV_H
#define DDFS_FS_XATTR_PRIV_H

#include "fs/htree.h"
#include "fs/xattr.h"

/* Prefix byte and suffix. */
struct ddfs_xname {
	char s[256];
	size_t len;
};

/* -EOPNOTSUPP: unknown prefix; -EINVAL: nothing behind it; -ERANGE: too long. */
int ddfs_xname_parse(const char *name, struct ddfs_xname *out);
const char *ddfs_xattr_prefix(uint8_t prefix);

struct ddfs_inline_xattr;
/* The inline attribute at *pos, which moves on; NULL at the end. */
const struct ddfs_inline_xattr *ddfs_xattr_inline_next(
	const struct ddfs_inode_disk *di, unsigned int *pos);

void ddfs_xattr_tree(const struct ddfs_inode_disk *di, struct ddfs_htree *t);

#endif
