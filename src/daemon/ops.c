/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/ops.h"

#include <errno.h>
#include <stdint.h>

#include "src/daemon/session.h"

struct ddfs_daemon *ddfs_op_daemon(fuse_req_t req)
{
	return ddfs_session_data(req);
}

struct ddfs_fs *ddfs_op_fs(fuse_req_t req)
{
	return ddfs_op_daemon(req)->fs;
}

struct ddfs_inode *ddfs_op_inode(fuse_req_t req, fuse_ino_t node)
{
	struct ddfs_inode *ip;
	int ret = ddfs_inode_get(ddfs_op_fs(req), node, &ip);

	if (!ret)
		return ip;
	ddfs_op_reply(req, ret);
	return NULL;
}

struct ddfs_handle *ddfs_op_handle(const struct fuse_file_info *fi)
{
	return (struct ddfs_handle *)(uintptr_t)fi->fh;
}

struct ddfs_handle *ddfs_op_new_handle(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct ddfs_handle *h = ddfs_handle_new(fi->flags);

	if (!h)
		ddfs_op_reply(req, -ENOMEM);
	return h;
}

void ddfs_op_reply(fuse_req_t req, int err)
{
	if (err == -ESTALE)
		ddfs_estale_told(&ddfs_op_daemon(req)->estale);
	fuse_reply_err(req, -err);
}

void ddfs_op_stat(const struct ddfs_attr *attr, struct stat *out)
{
	*out = (struct stat){
		.st_ino = attr->ino,
		.st_mode = attr->mode,
		.st_nlink = attr->nlink,
		.st_uid = attr->uid,
		.st_gid = attr->gid,
		.st_rdev = attr->rdev,
		.st_size = (off_t)attr->size,
		.st_blksize = 4096,
		.st_blocks = (blkcnt_t)attr->sectors,
		.st_atim = attr->atime,
		.st_mtim = attr->mtime,
		.st_ctim = attr->ctime,
	};
}

void ddfs_op_entry(const struct ddfs_attr *attr, struct fuse_entry_param *out)
{
	*out = (struct fuse_entry_param){
		.ino = attr->id,
		.generation = attr->gen,
		.attr_timeout = DDFS_OPS_TIMEOUT,
		.entry_timeout = DDFS_OPS_TIMEOUT,
	};
	ddfs_op_stat(attr, &out->attr);
}

/*
 * Not there, so that libfuse answers ENOSYS and the kernel does the thing itself or stops asking:
 * flush (what write(2) returned from is on media), access (default_permissions), locks (local to
 * the kernel that has the mount) and bmap.
 */
const struct fuse_lowlevel_ops ddfs_ops = {
	.lookup = ddfs_op_lookup,
	.forget = ddfs_op_forget,
	.forget_multi = ddfs_op_forget_multi,
	.getattr = ddfs_op_getattr,
	.setattr = ddfs_op_setattr,
	.readlink = ddfs_op_readlink,
	.mknod = ddfs_op_mknod,
	.mkdir = ddfs_op_mkdir,
	.unlink = ddfs_op_unlink,
	.rmdir = ddfs_op_rmdir,
	.symlink = ddfs_op_symlink,
	.rename = ddfs_op_rename,
	.link = ddfs_op_link,
	.open = ddfs_op_open,
	.read = ddfs_op_read,
	.write = ddfs_op_write,
	.release = ddfs_op_release,
	.fsync = ddfs_op_fsync,
	.opendir = ddfs_op_opendir,
	.readdir = ddfs_op_readdir,
	.releasedir = ddfs_op_releasedir,
	.fsyncdir = ddfs_op_fsyncdir,
	.statfs = ddfs_op_statfs,
	.setxattr = ddfs_op_setxattr,
	.getxattr = ddfs_op_getxattr,
	.listxattr = ddfs_op_listxattr,
	.removexattr = ddfs_op_removexattr,
	.create = ddfs_op_create,
	.ioctl = ddfs_op_ioctl,
	.fallocate = ddfs_op_fallocate,
	.readdirplus = ddfs_op_readdirplus,
	.copy_file_range = ddfs_op_copy_file_range,
	.lseek = ddfs_op_lseek,
	.poll = ddfs_op_poll,
};
