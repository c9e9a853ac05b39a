/* SPDX-License-Identifier: BSD-3-Clause */
/* Making inodes, and reading the target of a symlink. */
#include <string.h>
#include <sys/stat.h>

#include "fs/acl.h"
#include "fs/core.h"
#include "fs/dir.h"
#include "fs/extent.h"
#include "fs/namei.h"
#include "fs/tx.h"

/* What a new inode starts with, before ACLs. */
static void fill(struct ddfs_inode_disk *di, const struct ddfs_inode *ip,
	const struct ddfs_inode_disk *dir, const struct ddfs_new *n)
{
	struct timespec now = ddfs_now();
	uint32_t mode = n->mode, gid = n->gid;

	/* BSD semantics in a set-gid directory; subdirectories stay so. */
	if (ddfs_le16(dir->mode) & S_ISGID) {
		gid = ddfs_le32(dir->gid);
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	memset(di, 0, sizeof(*di));
	di->magic = ddfs_to16(DDFS_INODE_MAGIC);
	di->mode = ddfs_to16((uint16_t)mode);
	di->ino = ddfs_to32(ip->ino);
	di->gen = ddfs_to32(ip->gen);
	di->uid = ddfs_to32(n->uid);
	di->gid = ddfs_to32(gid);
	di->nlink = ddfs_to32(S_ISDIR(mode) ? 2 : 1);
	if (S_ISREG(mode) || S_ISDIR(mode))
		di->flags = ddfs_to32(ddfs_le32(dir->flags) & (DDFS_FLAG_DAX | DDFS_FLAG_NOATIME));
	if (S_ISCHR(mode) || S_ISBLK(mode))
		di->rdev = ddfs_to32(n->rdev);
	if (S_ISDIR(mode))
		di->parent = dir->ino;
	ddfs_set_time(&di->atime, &di->atime_ns, now);
	ddfs_set_time(&di->mtime, &di->mtime_ns, now);
	ddfs_set_time(&di->ctime, &di->ctime_ns, now);
	ddfs_set_time(&di->btime, &di->btime_ns, now);
}

static int set_target(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *target)
{
	size_t len = strlen(target);
	struct ddfs_map m = { .len = 1, .kind = DDFS_MAP_WRITTEN };
	struct ddfs_range r;
	void *block;
	int err;

	di->size = ddfs_to64(len);
	if (len <= DDFS_INLINE_SYMLINK) {
		memcpy(di->body.target, target, len);
		return 0;
	}
	err = ddfs_alloc_get(tx->fs, 0, 1, 1, 0, &r);
	if (err)
		return err;
	ddfs_tx_adopt(tx, r);
	/* Not a node: the bytes alone, with their checksum in the inode. */
	block = (uint8_t[DDFS_BLOCK_BYTES]){ 0 };
	memcpy(block, target, len);
	tx->fs->media->ops->copy(tx->fs->media, ddfs_block_off(r.start), block, DDFS_BLOCK_BYTES);
	di->target_crc = ddfs_to32(ddfs_crc32c(tx->fs->csum_seed, target, len));
	m.pblk = r.start;
	return ddfs_extent_insert(tx, di, &m);
}

static int fill_all(struct ddfs_tx *tx, struct ddfs_inode *ip, struct ddfs_inode *dir,
	const char *name, size_t len, const struct ddfs_new *n)
{
	struct ddfs_inode_disk *parent = ddfs_inode_edit(tx, dir);
	struct ddfs_inode_disk *di = ddfs_tx_edit(tx, ip->off, sizeof(*di));
	int err;

	fill(di, ip, parent, n);
	err = ddfs_acl_inherit(tx, parent, di, n->umask);
	if (!err && S_ISLNK(n->mode))
		err = set_target(tx, di, n->target);
	if (!err)
		err = ddfs_dir_insert(tx, parent, name, len, ip->ino, n->mode);
	if (S_ISDIR(n->mode))
		ddfs_links_add(parent, 1);
	return err;
}

static bool inherits_dax(const struct ddfs_inode *dir, uint32_t mode)
{
	enum ddfs_dax dax = dir->fs->opt.dax;

	if (!S_ISREG(mode) || dax == DDFS_DAX_NEVER)
		return false;
	return dax == DDFS_DAX_ALWAYS ||
	       ddfs_le32(ddfs_inode_view(dir, NULL)->flags) & DDFS_FLAG_DAX;
}

/* dir is locked and has no such name. On success *out is locked by op and referenced. */
static int make(struct ddfs_op *op, struct ddfs_inode *dir, const char *name, size_t len,
	const struct ddfs_new *n, struct ddfs_inode **out)
{
	struct ddfs_inode *ip;
	struct ddfs_ino_grant g;
	int err = ddfs_itable_get(op->fs, &g);

	if (err)
		return err;
	err = ddfs_inode_new(op->fs, &g, n->mode, inherits_dax(dir, n->mode), &ip);
	if (err)
		return err;
	err = ddfs_op_tx(op);
	if (!err)
		err = ddfs_itable_join(op->tx, &g);
	if (!err)
		err = fill_all(op->tx, ip, dir, name, len, n);
	if (!err)
		err = ddfs_op_commit(op);
	if (!err) {
		ddfs_itable_settle(op->fs, &g, true);
		ddfs_op_adopt_lock(op, ip);
		*out = ip;
		return 0;
	}
	ddfs_op_abort(op);
	ddfs_inode_cancel(ip, &g);
	return err;
}

static int check(const char *name, size_t len, const struct ddfs_new *n)
{
	switch (n->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return ddfs_name_check(name, len);
	case S_IFLNK:
		if (!n->target || !*n->target)
			return -ENOENT;
		if (strlen(n->target) > DDFS_SYMLINK_MAX)
			return -ENAMETOOLONG;
		return ddfs_name_check(name, len);
	default:
		return -EINVAL;
	}
}

int ddfs_create(struct ddfs_inode *dir, const char *name, size_t len, const struct ddfs_new *n,
	struct ddfs_entry *out, struct ddfs_inode **opened)
{
	struct ddfs_inode *ip;
	struct ddfs_op op;
	uint32_t ino;
	int err = check(name, len, n);

	if (err)
		return err;
	ddfs_op_begin(&op, dir->fs);
	ddfs_op_lock(&op, dir, true);
	err = ddfs_dir_find(dir, NULL, name, len, &ino);
	if (err == -ENOENT && !dir->dead)
		err = ddfs_may_add(dir);
	else if (!err)
		err = -EEXIST;
	if (!err)
		err = ddfs_fs_writable(op.fs);
	if (!err)
		err = make(&op, dir, name, len, n, &ip);
	if (err)
		return ddfs_op_end(&op, err);
	ddfs_inode_attr(ip, &out->attr);
	if (opened) {
		atomic_fetch_add(&ip->opens, 1);
		*opened = ip;
	} else {
		ddfs_op_hold(&op, ip);
	}
	return ddfs_op_end(&op, 0);
}

static ssize_t read_target(struct ddfs_inode *ip, char *buf, size_t size)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	size_t len = (size_t)ddfs_le64(di->size), n = len < size ? len : size;
	struct ddfs_map m;
	int err;

	if (ip->dead)
		return -ESTALE;
	if (!S_ISLNK(ddfs_le16(di->mode)))
		return -EINVAL;
	if (len <= DDFS_INLINE_SYMLINK) {
		memcpy(buf, di->body.target, n);
		return (ssize_t)n;
	}
	err = ddfs_extent_lookup(ip->fs, NULL, di, 0, &m);
	if (err)
		return err;
	if (m.kind != DDFS_MAP_WRITTEN ||
		ddfs_crc32c(ip->fs->csum_seed, ip->fs->base + ddfs_block_off(m.pblk), len) !=
			ddfs_le32(di->target_crc))
		return ddfs_corrupt(
			ip->fs, "inode %u: its symlink target fails its checksum", ip->ino);
	memcpy(buf, ip->fs->base + ddfs_block_off(m.pblk), n);
	return (ssize_t)n;
}

ssize_t ddfs_readlink(struct ddfs_inode *ip, char *buf, size_t size)
{
	ssize_t n;

	pthread_rwlock_rdlock(&ip->lock);
	n = read_target(ip, buf, size);
	if (n >= 0)
		ddfs_inode_accessed(ip);
	pthread_rwlock_unlock(&ip->lock);
	return n;
}
