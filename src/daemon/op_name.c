/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: looking up, making, linking, removing and renaming. */
#include "src/daemon/ops.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>

static void op_reply_entry(fuse_req_t req, int ret, const struct ddfs_entry *e)
{
	struct fuse_entry_param param;

	if (ret) {
		ddfs_op_reply(req, ret);
		return;
	}
	ddfs_op_entry(&e->attr, &param);
	fuse_reply_entry(req, &param);
}

/* Not there, which the kernel may remember like anything else. */
static void op_reply_negative(fuse_req_t req)
{
	fuse_reply_entry(req, &(struct fuse_entry_param){ .entry_timeout = DDFS_OPS_TIMEOUT });
}

/* Who was told that an inode had gone must not lose that race again. */
static int op_lookup_kept(
	fuse_req_t req, struct ddfs_inode *dir, const char *name, struct ddfs_entry *out)
{
	struct ddfs_estale *estale = &ddfs_op_daemon(req)->estale;
	int ret;

	do
		ret = ddfs_lookup(dir, name, strlen(name), out);
	while (!ret && ddfs_estale_is_wanted(estale) && !S_ISDIR(out->attr.mode) &&
		ddfs_estale_keep(estale, ddfs_op_fs(req), out->attr.id) == -ESTALE);
	return ret;
}

/* "." and ".." come from file handles of NFS servers and of open_by_handle_at(2): the kernel asks
 * for a node that it does not have, and for a directory's parent. */
static int op_lookup_any(
	fuse_req_t req, struct ddfs_inode *dir, const char *name, struct ddfs_entry *out)
{
	if (!strcmp(name, ".."))
		return ddfs_lookup_parent(dir, out);
	if (!strcmp(name, "."))
		return ddfs_getattr(dir, &out->attr);
	return op_lookup_kept(req, dir, name, out);
}

void ddfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ddfs_inode *dir = ddfs_op_inode(req, parent);
	struct ddfs_entry e;
	int ret;

	if (!dir)
		return;
	ret = op_lookup_any(req, dir, name, &e);
	ddfs_inode_put(dir);
	if (ret == -ENOENT)
		op_reply_negative(req);
	else
		op_reply_entry(req, ret, &e);
}

static void op_make(fuse_req_t req, fuse_ino_t parent, const char *name, struct ddfs_new *new)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct ddfs_inode *dir = ddfs_op_inode(req, parent);
	struct ddfs_entry e;
	int ret;

	if (!dir)
		return;
	new->umask = ctx->umask;
	new->uid = ctx->uid;
	new->gid = ctx->gid;
	ret = ddfs_create(dir, name, strlen(name), new, &e, NULL);
	ddfs_inode_put(dir);
	ddfs_dircache_changed(&ddfs_op_daemon(req)->dircache, parent);
	op_reply_entry(req, ret, &e);
}

void ddfs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	op_make(req, parent, name, &(struct ddfs_new){ .mode = mode, .rdev = (uint32_t)rdev });
}

void ddfs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	op_make(req, parent, name, &(struct ddfs_new){ .mode = (mode & ~S_IFMT) | S_IFDIR });
}

void ddfs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	op_make(req, parent, name, &(struct ddfs_new){ .mode = S_IFLNK | 0777, .target = target });
}

void ddfs_op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct ddfs_handle *h = ddfs_op_new_handle(req, fi);
	struct ddfs_inode *dir, *ip;
	struct ddfs_new new = {
		.mode = (mode & ~S_IFMT) | S_IFREG,
		.umask = ctx->umask,
		.uid = ctx->uid,
		.gid = ctx->gid,
	};
	struct ddfs_entry e;
	int ret;

	if (!h)
		return;
	dir = ddfs_op_inode(req, parent);
	if (!dir) {
		ddfs_handle_delete(h);
		return;
	}
	ret = ddfs_create(dir, name, strlen(name), &new, &e, &ip);
	ddfs_inode_put(dir);
	ddfs_dircache_changed(&ddfs_op_daemon(req)->dircache, parent);
	if (!ret) {
		ddfs_handle_open(&ddfs_op_daemon(req)->handles, h, ip);
		ddfs_op_reply_open(req, h, &e.attr);
		return;
	}
	ddfs_handle_delete(h);
	ddfs_op_reply(req, ret);
}

void ddfs_op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char *name)
{
	struct ddfs_inode *ip = ddfs_op_inode(req, node), *dir;
	struct ddfs_entry e;
	int ret;

	if (!ip)
		return;
	dir = ddfs_op_inode(req, parent);
	if (dir) {
		ret = ddfs_link(ip, dir, name, strlen(name), &e);
		ddfs_inode_put(dir);
		ddfs_dircache_changed(&ddfs_op_daemon(req)->dircache, parent);
		op_reply_entry(req, ret, &e);
	}
	ddfs_inode_put(ip);
}

static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name,
	int (*remove)(struct ddfs_inode *dir, const char *name, size_t len))
{
	struct ddfs_inode *dir = ddfs_op_inode(req, parent);
	int ret;

	if (!dir)
		return;
	ret = remove(dir, name, strlen(name));
	ddfs_inode_put(dir);
	ddfs_dircache_changed(&ddfs_op_daemon(req)->dircache, parent);
	ddfs_op_reply(req, ret);
}

void ddfs_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	op_remove(req, parent, name, ddfs_unlink);
}

void ddfs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	op_remove(req, parent, name, ddfs_rmdir);
}

void ddfs_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned int flags)
{
	struct ddfs_dircache *cache = &ddfs_op_daemon(req)->dircache;
	struct ddfs_inode *dir, *new_dir;
	int ret;

	/* RENAME_WHITEOUT wants a device node where the name was, for overlayfs alone. */
	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
		ddfs_op_reply(req, -EINVAL);
		return;
	}
	dir = ddfs_op_inode(req, parent);
	if (!dir)
		return;
	new_dir = ddfs_op_inode(req, new_parent);
	if (new_dir) {
		ret = ddfs_rename(
			dir, name, strlen(name), new_dir, new_name, strlen(new_name), flags);
		ddfs_inode_put(new_dir);
		ddfs_dircache_changed(cache, parent);
		ddfs_dircache_changed(cache, new_parent);
		ddfs_op_reply(req, ret);
	}
	ddfs_inode_put(dir);
}
