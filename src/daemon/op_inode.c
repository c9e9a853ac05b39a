/* SPDX-License-Identifier: BSD-3-Clause */
/* Inodes: attributes, symbolic links, forgetting; and the filesystem's own numbers. */
#include "src/daemon/ops.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "src/daemon/job.h"
#include "src/daemon/request.h"

void ddfs_op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count)
{
	(void)count; /* the kernel forgets a node as a whole */
	ddfs_forget(ddfs_op_fs(req), node);
	fuse_reply_none(req);
}

void ddfs_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		ddfs_forget(ddfs_op_fs(req), forgets[i].ino);
	fuse_reply_none(req);
}

static void op_reply_attr(fuse_req_t req, const struct ddfs_attr *attr)
{
	struct stat st;

	ddfs_op_stat(attr, &st);
	fuse_reply_attr(req, &st, DDFS_OPS_TIMEOUT);
}

void ddfs_op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct ddfs_inode *ip = ddfs_op_inode(req, node);
	struct ddfs_attr attr;
	int ret;

	(void)fi;
	if (!ip)
		return;
	ret = ddfs_getattr(ip, &attr);
	ddfs_inode_put(ip);
	if (ret)
		ddfs_op_reply(req, ret);
	else
		op_reply_attr(req, &attr);
}

static unsigned int op_setattr_mask(int valid)
{
	static const struct {
		int fuse;
		unsigned int ddfs;
	} bits[] = {
		{ FUSE_SET_ATTR_MODE, DDFS_SET_MODE },
		{ FUSE_SET_ATTR_UID, DDFS_SET_UID },
		{ FUSE_SET_ATTR_GID, DDFS_SET_GID },
		{ FUSE_SET_ATTR_SIZE, DDFS_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, DDFS_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, DDFS_SET_MTIME },
		{ FUSE_SET_ATTR_CTIME, DDFS_SET_CTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, DDFS_SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, DDFS_SET_MTIME_NOW },
	};
	unsigned int mask = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (valid & bits[i].fuse)
			mask |= bits[i].ddfs;
	return mask;
}

/* A change of size may have to wait for pins. */
struct op_setattr {
	struct ddfs_job job;
	struct ddfs_inode *ip;
	unsigned int mask;
	struct ddfs_attr attr; /* wanted, then what it is */
};

static int setattr_run(struct ddfs_job *job)
{
	struct op_setattr *s = (struct op_setattr *)job;

	return ddfs_setattr(s->ip, &s->attr, s->mask, &s->attr, &job->wait);
}

static void setattr_answer(struct ddfs_job *job, int ret)
{
	struct op_setattr *s = (struct op_setattr *)job;

	ddfs_inode_put(s->ip);
	if (ret)
		ddfs_op_reply(job->req, ret);
	else
		op_reply_attr(job->req, &s->attr);
}

static const struct ddfs_job_kind setattr_kind = { .run = setattr_run, .answer = setattr_answer };

void ddfs_op_setattr(
	fuse_req_t req, fuse_ino_t node, struct stat *st, int valid, struct fuse_file_info *fi)
{
	struct ddfs_inode *ip = ddfs_op_inode(req, node);
	struct op_setattr *s;

	(void)fi;
	if (!ip)
		return;
	s = ddfs_job_new(ddfs_op_daemon(req)->jobs, req, sizeof(*s), &setattr_kind);
	if (!s) {
		ddfs_inode_put(ip);
		return;
	}
	s->ip = ip;
	s->mask = op_setattr_mask(valid);
	if (ddfs_request_kills_priv())
		s->mask |= DDFS_SET_KILL_PRIV;
	s->attr = (struct ddfs_attr){
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = (uint64_t)st->st_size,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};
	ddfs_job_start(&s->job);
}

void ddfs_op_readlink(fuse_req_t req, fuse_ino_t node)
{
	struct ddfs_inode *ip = ddfs_op_inode(req, node);
	char target[DDFS_SYMLINK_MAX + 1];
	ssize_t len;

	if (!ip)
		return;
	len = ddfs_readlink(ip, target, DDFS_SYMLINK_MAX);
	ddfs_inode_put(ip);
	if (len < 0) {
		ddfs_op_reply(req, (int)len);
		return;
	}
	target[len] = '\0';
	fuse_reply_readlink(req, target);
}

void ddfs_op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct ddfs_statfs s;
	int ret = ddfs_fs_statfs(ddfs_op_fs(req), &s);

	(void)node;
	if (ret) {
		ddfs_op_reply(req, ret);
		return;
	}
	fuse_reply_statfs(req, &(struct statvfs){
				       .f_bsize = s.block_bytes,
				       .f_frsize = s.block_bytes,
				       .f_blocks = s.nr_blocks,
				       .f_bfree = s.nr_free,
				       .f_bavail = s.nr_avail,
				       .f_files = s.nr_inodes,
				       .f_ffree = s.nr_free_inodes,
				       .f_favail = s.nr_free_inodes,
				       .f_namemax = DDFS_NAME_MAX,
			       });
}
