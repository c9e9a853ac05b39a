/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls on extended attributes. */
#include "fs/xattr.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/acl.h"
#include "fs/core.h"
#include "fs/op.h"
#include "fs/tx.h"
#include "fs/xattr_priv.h"

static int get(struct ddfs_inode *ip, const char *name, void *buf, size_t size)
{
	if (ip->dead)
		return -ESTALE;
	return (int)ddfs_xattr_read(ip->fs, NULL, ddfs_inode_view(ip, NULL), name, buf, size);
}

ssize_t ddfs_getxattr(struct ddfs_inode *ip, const char *name, void *buf, size_t size)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, get(ip, name, buf, size)));
}

struct list {
	char *buf;
	size_t size; /* 0: only count */
	size_t used;
};

static int list_add(struct list *l, uint8_t prefix, const char *suffix, size_t len)
{
	const char *p = ddfs_xattr_prefix(prefix);
	size_t need;

	if (!ddfs_xattr_name_is_possible(prefix, (const uint8_t *)suffix, len))
		return -EUCLEAN;
	need = strlen(p) + len + 1;
	if (l->size) {
		if (need > l->size - l->used)
			return -ERANGE;
		memcpy(l->buf + l->used, p, strlen(p));
		memcpy(l->buf + l->used + strlen(p), suffix, len);
		l->buf[l->used + need - 1] = 0;
	}
	l->used += need;
	return 0;
}

static int list_record(void *arg, const struct ddfs_hrecord *r)
{
	return list_add(arg, (uint8_t)r->name[0], r->name + 1, r->name_len - 1u);
}

static int list_all(struct ddfs_inode *ip, struct list *l)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	const struct ddfs_inline_xattr *x;
	struct ddfs_htree t;
	unsigned int pos = 0;

	if (ip->dead)
		return -ESTALE;

	while ((x = ddfs_xattr_inline_next(di, &pos))) {
		int err = list_add(l, x->prefix, (const char *)(x + 1), x->name_len);

		if (err)
			return err;
	}
	ddfs_xattr_tree(di, &t);
	return ddfs_htree_walk(ip->fs, NULL, &t, 0, list_record, l);
}

ssize_t ddfs_listxattr(struct ddfs_inode *ip, char *buf, size_t size)
{
	struct list l = { .buf = buf, .size = size };
	struct ddfs_op op;
	int err;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	err = ddfs_op_end(&op, DDFS_GUARDED(op.fs, list_all(ip, &l)));
	return err ? err : (ssize_t)l.used;
}

/* Setting an ACL sets the mode too; one that says no more than the mode is not kept. */
static int acl_applies(struct ddfs_inode_disk *di, const char *name, const void **value,
	size_t size, bool kill_sgid)
{
	uint32_t mode = ddfs_le16(di->mode), perms;
	bool access = strcmp(name, DDFS_ACL_ACCESS) == 0;

	if (!access && strcmp(name, DDFS_ACL_DEFAULT) != 0)
		return 0;
	if (!access && !S_ISDIR(mode))
		return *value ? -EACCES : 0;
	if (!*value)
		return 0;
	if (size == sizeof(struct le32)) {
		/* A header alone is how setfacl -b empties one. */
		*value = NULL;
		return 0;
	}
	if (ddfs_acl_check(*value, size))
		return -EINVAL;
	if (!access)
		return 0;
	if (ddfs_acl_mode(*value, size, &perms))
		*value = NULL;
	mode = (mode & ~0777u) | perms;
	if (kill_sgid)
		mode &= ~(uint32_t)S_ISGID;
	di->mode = ddfs_to16((uint16_t)mode);
	return 0;
}

static int check_flags(struct ddfs_inode *ip, const char *name, int flags)
{
	ssize_t n = ddfs_xattr_read(ip->fs, NULL, ddfs_inode_view(ip, NULL), name, NULL, 0);

	if (n < 0 && n != -ENODATA)
		return (int)n;
	if (flags & XATTR_CREATE && n >= 0)
		return -EEXIST;
	if (flags & XATTR_REPLACE && n < 0)
		return -ENODATA;
	return 0;
}

static int change_locked(struct ddfs_op *op, struct ddfs_inode *ip, const char *name,
	const void *value, size_t size, int flags, bool kill_sgid)
{
	struct ddfs_inode_disk *di;
	int err;

	if (ip->dead)
		return -ESTALE;
	if (ddfs_le32(ddfs_inode_view(ip, NULL)->flags) & (DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND))
		return -EPERM;
	err = check_flags(ip, name, flags);
	if (!err)
		err = ddfs_op_tx(op);
	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	err = acl_applies(di, name, &value, size, kill_sgid);
	if (!err)
		err = ddfs_xattr_write(op->tx, di, name, value, size);
	ddfs_touch(di, false);
	return err ? err : ddfs_op_commit(op);
}

static int change(struct ddfs_inode *ip, const char *name, const void *value, size_t size,
	int flags, bool kill_sgid)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op,
		DDFS_GUARDED(op.fs, change_locked(&op, ip, name, value, size, flags, kill_sgid)));
}

int ddfs_setxattr(struct ddfs_inode *ip, const char *name, const void *value, size_t size,
	int flags, bool kill_sgid)
{
	if (size > DDFS_XATTR_SIZE_MAX)
		return -E2BIG;
	return change(ip, name, size ? value : "", size, flags, kill_sgid);
}

int ddfs_removexattr(struct ddfs_inode *ip, const char *name)
{
	bool acl = strcmp(name, DDFS_ACL_ACCESS) == 0 || strcmp(name, DDFS_ACL_DEFAULT) == 0;

	/* An ACL that is not there is as good as removed; any other attribute is missed. */
	return change(ip, name, NULL, 0, acl ? 0 : XATTR_REPLACE, false);
}
