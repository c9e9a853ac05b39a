/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/acl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/tx.h"
#include "fs/xattr.h"

#define ACL_VERSION 2
#define ACL_MAX	    4096

enum {
	TAG_USER_OBJ = 0x01,
	TAG_USER = 0x02,
	TAG_GROUP_OBJ = 0x04,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHER = 0x20,
};

/* Packed: a request's value lies at any address. */
struct acl_entry {
	struct le16 tag;
	struct le16 perm;
	struct le32 id;
} __attribute__((packed));

struct acl {
	struct le32 version;
	struct acl_entry e[];
} __attribute__((packed));

/* An xattr's value as read into a buffer. */
struct acl_buf {
	size_t size;
	union {
		struct acl acl;
		uint8_t bytes[ACL_MAX];
	};
};

static size_t nr_entries(size_t size)
{
	return (size - sizeof(struct acl)) / sizeof(struct acl_entry);
}

/* A valid ACL has its tags in this order, the three base entries once, and a mask if it names
 * anybody. */
int ddfs_acl_check(const void *acl, size_t size)
{
	const struct acl *a = acl;
	unsigned int last = 0, seen = 0;

	if (size < sizeof(*a) || size > ACL_MAX || (size - sizeof(*a)) % sizeof(struct acl_entry) ||
		ddfs_le32(a->version) != ACL_VERSION)
		return -EINVAL;
	for (size_t i = 0; i < nr_entries(size); i++) {
		unsigned int tag = ddfs_le16(a->e[i].tag);
		bool many = tag == TAG_USER || tag == TAG_GROUP;

		if (!tag || tag & (tag - 1) || tag > TAG_OTHER || ddfs_le16(a->e[i].perm) > 7 ||
			tag < last || (tag == last && !many))
			return -EINVAL;
		last = tag;
		seen |= tag;
	}
	if ((seen & (TAG_USER_OBJ | TAG_GROUP_OBJ | TAG_OTHER)) !=
			(TAG_USER_OBJ | TAG_GROUP_OBJ | TAG_OTHER) ||
		(seen & (TAG_USER | TAG_GROUP) && !(seen & TAG_MASK)))
		return -EINVAL;
	return 0;
}

static struct acl_entry *find(struct acl *a, size_t size, unsigned int tag)
{
	for (size_t i = 0; i < nr_entries(size); i++)
		if (ddfs_le16(a->e[i].tag) == tag)
			return &a->e[i];
	return NULL;
}

/* The entry that the mode's group bits stand for. */
static struct acl_entry *group_class(struct acl *a, size_t size)
{
	struct acl_entry *mask = find(a, size, TAG_MASK);

	return mask ? mask : find(a, size, TAG_GROUP_OBJ);
}

bool ddfs_acl_mode(const void *acl, size_t size, uint32_t *mode)
{
	struct acl *a = (struct acl *)(uintptr_t)acl; /* find() serves writers too */

	*mode = (uint32_t)ddfs_le16(find(a, size, TAG_USER_OBJ)->perm) << 6 |
		(uint32_t)ddfs_le16(group_class(a, size)->perm) << 3 |
		ddfs_le16(find(a, size, TAG_OTHER)->perm);
	return nr_entries(size) == 3;
}

static void and_perm(struct acl_entry *e, uint32_t bits)
{
	e->perm = ddfs_to16((uint16_t)(ddfs_le16(e->perm) & bits));
}

static int acl_read(
	struct ddfs_tx *tx, const struct ddfs_inode_disk *di, const char *name, struct acl_buf *b)
{
	ssize_t n = ddfs_xattr_read(tx->fs, tx, di, name, b->bytes, sizeof(b->bytes));

	if (n < 0)
		return (int)n;
	b->size = (size_t)n;
	return ddfs_acl_check(b->bytes, b->size) ? -ENODATA : 0;
}

static void set_perms(struct ddfs_inode_disk *di, uint32_t perms)
{
	di->mode = ddfs_to16((uint16_t)((ddfs_le16(di->mode) & ~0777u) | perms));
}

/* Asking the xattrs of a directory that has none is not worth its while. */
static bool may_have_acl(const struct ddfs_inode_disk *di)
{
	return ddfs_le16(di->xattr_bytes) || ddfs_le64(di->xattr_root);
}

int ddfs_acl_inherit(struct ddfs_tx *tx, const struct ddfs_inode_disk *dir,
	struct ddfs_inode_disk *di, uint32_t umask)
{
	uint32_t mode = ddfs_le16(di->mode), perms;
	struct acl_buf b;
	bool minimal;
	int err = -ENODATA;

	if (S_ISLNK(mode))
		return 0;
	if (!tx->fs->opt.no_acl && may_have_acl(dir))
		err = acl_read(tx, dir, DDFS_ACL_DEFAULT, &b);
	if (err == -ENODATA) {
		set_perms(di, mode & 0777 & ~umask);
		return 0;
	}
	if (err)
		return err;
	if (S_ISDIR(mode)) {
		err = ddfs_xattr_write(tx, di, DDFS_ACL_DEFAULT, b.bytes, b.size);
		if (err)
			return err;
	}
	/* What the creator did not ask for is not granted; see acl(5), "object creation". */
	and_perm(find(&b.acl, b.size, TAG_USER_OBJ), mode >> 6 & 7);
	and_perm(group_class(&b.acl, b.size), mode >> 3 & 7);
	and_perm(find(&b.acl, b.size, TAG_OTHER), mode & 7);
	minimal = ddfs_acl_mode(b.bytes, b.size, &perms);
	set_perms(di, perms);
	return minimal ? 0 : ddfs_xattr_write(tx, di, DDFS_ACL_ACCESS, b.bytes, b.size);
}

int ddfs_acl_chmod(struct ddfs_tx *tx, struct ddfs_inode_disk *di)
{
	uint32_t mode = ddfs_le16(di->mode);
	struct acl_buf b;
	int err;

	if (tx->fs->opt.no_acl || !may_have_acl(di))
		return 0;
	err = acl_read(tx, di, DDFS_ACL_ACCESS, &b);
	if (err)
		return err == -ENODATA ? 0 : err;
	find(&b.acl, b.size, TAG_USER_OBJ)->perm = ddfs_to16(mode >> 6 & 7);
	group_class(&b.acl, b.size)->perm = ddfs_to16(mode >> 3 & 7);
	find(&b.acl, b.size, TAG_OTHER)->perm = ddfs_to16(mode & 7);
	return ddfs_xattr_write(tx, di, DDFS_ACL_ACCESS, b.bytes, b.size);
}
