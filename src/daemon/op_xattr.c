/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes. Who may read and write which is the kernel's matter, except in a list. */
#include "src/daemon/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/daemon/request.h"

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

/* Whether a mount option takes attributes of this name away. */
static bool op_xattr_is_off(fuse_req_t req, const char *name)
{
	const struct ddfs_options *opt = &ddfs_op_daemon(req)->options;

	return (opt->no_user_xattr && has_prefix(name, "user.")) ||
	       (opt->fs.no_acl && has_prefix(name, "system.posix_acl_"));
}

void ddfs_op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	char small[1024], *buf = small;
	struct ddfs_inode *ip;
	ssize_t ret;

	if (op_xattr_is_off(req, name)) {
		ddfs_op_reply(req, -EOPNOTSUPP);
		return;
	}
	if (size > sizeof(small))
		buf = malloc(size);
	ip = buf ? ddfs_op_inode(req, node) : NULL;
	if (ip) {
		ret = ddfs_getxattr(ip, name, size ? buf : NULL, size);
		ddfs_inode_put(ip);
		if (ret < 0)
			ddfs_op_reply(req, (int)ret);
		else if (!size)
			fuse_reply_xattr(req, (size_t)ret);
		else
			fuse_reply_buf(req, buf, (size_t)ret);
	} else if (!buf) {
		ddfs_op_reply(req, -ENOMEM);
	}
	if (buf != small)
		free(buf);
}

/* libfuse 3.14 knows only the short form of the request, hence its arguments are not looked at. */
void ddfs_op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name, const char *value,
	size_t size, int flags)
{
	struct ddfs_request_setxattr in;
	struct ddfs_inode *ip;
	int ret = ddfs_request_setxattr(&in);

	(void)name;
	(void)value;
	(void)size;
	(void)flags;
	if (!ret && op_xattr_is_off(req, in.name))
		ret = -EOPNOTSUPP;
	if (ret) {
		ddfs_op_reply(req, ret);
		return;
	}
	ip = ddfs_op_inode(req, node);
	if (!ip)
		return;
	ret = ddfs_setxattr(ip, in.name, in.value, in.size, in.flags, in.kill_sgid);
	ddfs_inode_put(ip);
	ddfs_op_reply(req, ret);
}

/* The names that the caller is to see, moved together; returns their length. Nobody but root is
 * told of trusted attributes: listxattr(2), unlike the other calls, leaves that to us. */
static size_t op_list_filter(fuse_req_t req, char *list, size_t len)
{
	bool root = fuse_req_ctx(req)->uid == 0;
	size_t kept = 0, n;

	for (char *name = list; name < list + len; name += n) {
		n = strlen(name) + 1;
		if (op_xattr_is_off(req, name) || (!root && has_prefix(name, "trusted.")))
			continue;
		memmove(list + kept, name, n);
		kept += n;
	}
	return kept;
}

static ssize_t op_list(struct ddfs_inode *ip, char **out)
{
	ssize_t len = ddfs_listxattr(ip, NULL, 0), ret;
	char *buf;

	if (len <= 0)
		return len;
	buf = malloc((size_t)len);
	if (!buf)
		return -ENOMEM;
	ret = ddfs_listxattr(ip, buf, (size_t)len);
	if (ret < 0)
		free(buf);
	else
		*out = buf;
	return ret;
}

void ddfs_op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct ddfs_inode *ip = ddfs_op_inode(req, node);
	char *list = NULL;
	ssize_t ret;
	size_t len;

	if (!ip)
		return;
	do /* another thread may add one between asking for the length and for the list */
		ret = op_list(ip, &list);
	while (ret == -ERANGE);
	ddfs_inode_put(ip);
	len = ret > 0 ? op_list_filter(req, list, (size_t)ret) : 0;
	if (ret < 0)
		ddfs_op_reply(req, (int)ret);
	else if (!size)
		fuse_reply_xattr(req, len);
	else if (len > size)
		ddfs_op_reply(req, -ERANGE);
	else
		fuse_reply_buf(req, list, len);
	free(list);
}

void ddfs_op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name)
{
	struct ddfs_inode *ip;
	int ret;

	if (op_xattr_is_off(req, name)) {
		ddfs_op_reply(req, -EOPNOTSUPP);
		return;
	}
	ip = ddfs_op_inode(req, node);
	if (!ip)
		return;
	ret = ddfs_removexattr(ip, name);
	ddfs_inode_put(ip);
	ddfs_op_reply(req, ret);
}
