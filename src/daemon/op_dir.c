/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading directories. */
#include "src/daemon/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An open directory has no state here; opendir is asked for to decide about the kernel's cache. */
void ddfs_op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	fi->cache_readdir = 1;
	fi->keep_cache = ddfs_dircache_open(&ddfs_op_daemon(req)->dircache, node);
	fuse_reply_open(req, fi);
}

void ddfs_op_releasedir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	(void)fi;
	ddfs_op_reply(req, 0);
}

struct op_dirents {
	fuse_req_t req;
	bool plus;
	char *buf;
	size_t size, used;
};

static bool is_dot(const struct ddfs_dirent *d)
{
	return d->name[0] == '.' && (d->name_len == 1 || (d->name_len == 2 && d->name[1] == '.'));
}

/* With a node number the kernel counts a lookup, except for "." and "..", where it expects none. */
static size_t op_add_plus(struct op_dirents *out, const struct ddfs_dirent *d, const char *name)
{
	struct fuse_entry_param e = { .attr = { .st_ino = d->ino, .st_mode = d->type } };

	if (d->attr && !is_dot(d))
		ddfs_op_entry(d->attr, &e);
	return fuse_add_direntry_plus(
		out->req, out->buf + out->used, out->size - out->used, name, &e, (off_t)d->cookie);
}

static size_t op_add(struct op_dirents *out, const struct ddfs_dirent *d, const char *name)
{
	struct stat st = { .st_ino = d->ino, .st_mode = d->type };

	return fuse_add_direntry(
		out->req, out->buf + out->used, out->size - out->used, name, &st, (off_t)d->cookie);
}

static int op_emit(void *arg, const struct ddfs_dirent *d)
{
	struct op_dirents *out = arg;
	char name[DDFS_NAME_MAX + 1];
	size_t len;

	memcpy(name, d->name, d->name_len);
	name[d->name_len] = '\0';
	len = out->plus ? op_add_plus(out, d, name) : op_add(out, d, name);
	if (len > out->size - out->used)
		return 1;
	out->used += len;
	return 0;
}

static void op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, bool plus)
{
	struct op_dirents out = { .req = req, .plus = plus, .size = size };
	struct ddfs_inode *dir;
	int ret;

	out.buf = malloc(size);
	if (!out.buf) {
		ddfs_op_reply(req, -ENOMEM);
		return;
	}
	dir = ddfs_op_inode(req, node);
	if (dir) {
		ret = ddfs_readdir(dir, (uint64_t)off, plus, op_emit, &out);
		ddfs_inode_put(dir);
		/* What came before an error is given first; the next call meets it again. */
		if (ret < 0 && !out.used)
			ddfs_op_reply(req, ret);
		else
			fuse_reply_buf(req, out.buf, out.used);
	}
	free(out.buf);
}

void ddfs_op_readdir(
	fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	op_readdir(req, node, size, off, false);
}

void ddfs_op_readdirplus(
	fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	op_readdir(req, node, size, off, true);
}

void ddfs_op_fsyncdir(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi)
{
	struct ddfs_inode *dir = ddfs_op_inode(req, node);
	int ret;

	(void)fi;
	if (!dir)
		return;
	ret = ddfs_fsync(dir, datasync);
	ddfs_inode_put(dir);
	ddfs_op_reply(req, ret);
}
