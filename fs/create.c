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

/* One call. */
struct making {
	struct ddfs_op op;
	struct ddfs_inode *dir;
	const char *name;
	size_t len;
	const struct ddfs_new *n;
	struct ddfs_ino_grant grant;
	struct ddfs_inode *ip;
};

static DDFS_GUARD_STEP int make_tx(struct making *m)
{
	int err = ddfs_op_tx(&m->op);

	if (!err)
		err = ddfs_itable_join(m->op.tx, &m->grant);
	if (!err)
		err = fill_all(m->op.tx, m->ip, m->dir, m->name, m->len, m->n);
	return err ? err : ddfs_op_commit(&m->op);
}

/* dir is locked and has no such name. On success m->ip is locked and held by the op. */
static int make(struct making *m)
{
	bool dax = inherits_dax(m->dir, m->n->mode);
	int err = ddfs_itable_get(m->op.fs, &m->grant);

	if (!err)
		err = ddfs_inode_new(m->op.fs, &m->grant, m->n->mode, dax, &m->ip);
	if (err)
		return err;
	/* Of the grant and the new inode's lock the op knows nothing yet. */
	err = DDFS_GUARDED(m->op.fs, make_tx(m));
	if (err) {
		ddfs_op_abort(&m->op);
		ddfs_inode_cancel(m->ip, &m->grant);
		return err;
	}
	ddfs_itable_settle(m->op.fs, &m->grant, true);
	ddfs_op_adopt_lock(&m->op, m->ip);
	ddfs_op_hold(&m->op, m->ip);
	return 0;
}

static DDFS_GUARD_STEP int create(struct making *m, struct ddfs_attr *out)
{
	struct ddfs_inode *dir = m->dir;
	uint32_t ino;
	int err = ddfs_dir_find(dir, NULL, m->name, m->len, &ino);

	if (err == -ENOENT && !dir->dead)
		err = ddfs_may_add(dir);
	else if (!err)
		err = -EEXIST;
	if (!err)
		err = ddfs_fs_writable(dir->fs);
	if (!err)
		err = make(m);
	if (!err)
		ddfs_inode_attr(m->ip, out);
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
	struct making m = { .dir = dir, .name = name, .len = len, .n = n };
	int err = check(name, len, n);

	if (err)
		return err;
	ddfs_op_begin(&m.op, dir->fs);
	ddfs_op_lock(&m.op, dir, true);
	err = DDFS_GUARDED(dir->fs, create(&m, &out->attr));
	if (!err && opened) {
		ddfs_inode_hold(m.ip);
		atomic_fetch_add(&m.ip->opens, 1);
		*opened = m.ip;
	}
	return ddfs_op_end(&m.op, err);
}

static int read_target(struct ddfs_inode *ip, char *buf, size_t size)
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
		ddfs_inode_accessed(ip);
		return (int)n;
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
	ddfs_inode_accessed(ip);
	return (int)n;
}

ssize_t ddfs_readlink(struct ddfs_inode *ip, char *buf, size_t size)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, read_target(ip, buf, size)));
}
