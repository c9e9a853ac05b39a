/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/session.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <unistd.h>

#include "src/daemon/channel.h"
#include "src/daemon/request.h"

/* Of protocol 7.39, newer than the headers we build with. */
#define INIT_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)

/* Requests that readahead and asynchronous direct I/O may have under way. The kernel's default of
 * 12 is less than one fio job asks for. */
#define MAX_BACKGROUND 256

/* No request has this number; requests start at 2 and notifications have 0. */
#define NO_UNIQUE UINT64_MAX

struct ddfs_session {
	struct fuse_session *fuse;
	struct ddfs_session_params params;
	void *data;
	char *mountpoint;
	unsigned long long mount_id;
	struct ddfs_channels channels; /* from fd on */
	bool detached; /* once is enough: whatever has the mount's id later is not ours */
	int fd;

	/* Written by the worker that receives INIT, before any other request is answered. */
	_Atomic uint64_t init_unique;
	uint64_t init_offered; /* flags of the kernel */
	atomic_bool long_setxattr;
};

/* ---- negotiation ---------------------------------------------------------------------------- */

/*
 * What is asked of the kernel, as far as libfuse can ask. The daemon is the only writer, so the
 * page cache is dropped when we say so (EXPLICIT_INVAL_DATA), not whenever an mtime changes
 * (AUTO_INVAL_DATA), which would throw it away after each write of our own.
 */
static void session_init(void *userdata, struct fuse_conn_info *conn)
{
	const struct ddfs_session *s = userdata;
	unsigned int want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC |
			    FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_DONT_MASK | FUSE_CAP_IOCTL_DIR |
			    FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_DIO |
			    FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
			    FUSE_CAP_EXPLICIT_INVAL_DATA;

	if (!s->params.no_acl)
		want |= FUSE_CAP_POSIX_ACL;
	conn->want = want & conn->capable;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND / 4 * 3;
}

static void session_note_init(struct ddfs_session *s, const struct fuse_in_header *in, size_t len)
{
	const struct fuse_init_in *init = (const void *)(in + 1);

	if (len < sizeof(*in) + offsetof(struct fuse_init_in, flags2))
		return;
	s->init_offered = init->flags;
	if (init->flags & FUSE_INIT_EXT && len >= sizeof(*in) + sizeof(*init))
		s->init_offered |= (uint64_t)init->flags2 << 32;
	atomic_store(&s->init_unique, in->unique);
}

/*
 * What libfuse 3.14 does not know of is added to its answer:
 * - HANDLE_KILLPRIV_V2: we clear set-id bits and capabilities when told to, so that the kernel need
 *   not ask for security.capability before every write;
 * - SETXATTR_EXT: told when a new ACL has to clear the set-gid bit;
 * - DIRECT_IO_ALLOW_MMAP: mmap(MAP_SHARED) of inodes that bypass the page cache.
 */
static void session_patch_init(struct ddfs_session *s, struct fuse_init_out *out)
{
	uint64_t add = FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT;

	if (s->init_offered & FUSE_INIT_EXT)
		add |= FUSE_INIT_EXT | INIT_DIRECT_IO_ALLOW_MMAP;
	add &= s->init_offered;
	out->flags |= (uint32_t)add;
	out->flags2 |= (uint32_t)(add >> 32);
	atomic_store(&s->long_setxattr, add & FUSE_SETXATTR_EXT);
}

static ssize_t session_answer_init(struct ddfs_session *s, int fd, struct iovec *iov, int count)
{
	const struct fuse_out_header *head = iov[0].iov_base;
	bool ok = !head->error && count == 2 && iov[1].iov_len >= sizeof(struct fuse_init_out);
	ssize_t ret;

	if (ok)
		session_patch_init(s, iov[1].iov_base);
	atomic_store(&s->init_unique, NO_UNIQUE);
	ret = writev(fd, iov, count);
	if (ret >= 0 && ok && s->params.ready)
		s->params.ready(s->params.ready_arg);
	return ret;
}

/* ---- the way requests and answers go -------------------------------------------------------- */

static ssize_t session_read(int fd, void *buf, size_t len, void *userdata)
{
	struct ddfs_session *s = userdata;
	unsigned int channel = ddfs_channels_current(&s->channels);
	const struct fuse_in_header *in = buf;
	ssize_t ret = read(s->channels.fd[channel], buf, len);

	(void)fd;
	if (ret < 0 && errno == ECONNABORTED)
		errno = ENODEV; /* the same to us, and libfuse knows it */
	if (ret < (ssize_t)sizeof(*in))
		return ret;
	if (in->opcode == FUSE_INIT)
		session_note_init(s, in, (size_t)ret);
	ddfs_request_enter(buf, (size_t)ret,
		atomic_load_explicit(&s->long_setxattr, memory_order_relaxed), channel);
	return ret;
}

static ssize_t session_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct ddfs_session *s = userdata;
	const struct fuse_out_header *head = iov[0].iov_base;

	if (head->unique == atomic_load_explicit(&s->init_unique, memory_order_relaxed))
		return session_answer_init(s, fd, iov, count);
	return ddfs_channels_writev(&s->channels, ddfs_request_channel(), head->unique, iov, count);
}

static const struct fuse_custom_io session_io = {
	.read = session_read,
	.writev = session_writev,
};

/* ---- mounting ------------------------------------------------------------------------------- */

/* fsname= of libfuse and fusermount3: commas and backslashes escaped. */
static int session_add_source(struct fuse_args *args, const char *source)
{
	char *opt = malloc(2 * strlen(source) + sizeof("-ofsname="));
	char *to = opt;
	int ret;

	if (!opt)
		return -ENOMEM;
	to = stpcpy(to, "-ofsname=");
	for (; *source; source++) {
		if (*source == ',' || *source == '\\')
			*to++ = '\\';
		*to++ = *source;
	}
	*to = '\0';
	ret = fuse_opt_add_arg(args, opt);
	free(opt);
	return ret ? -ENOMEM : 0;
}

/* What fusermount3 is to be told; it adds nosuid and nodev itself. */
static int session_add_mount(struct fuse_args *args, const struct ddfs_mount_params *m)
{
	int ret = session_add_source(args, m->source);

	if (!ret && fuse_opt_add_arg(args, "-osubtype=devdaxfs,default_permissions") < 0)
		ret = -ENOMEM;
	if (!ret && m->allow_other && fuse_opt_add_arg(args, "-oallow_other") < 0)
		ret = -ENOMEM;
	if (!ret && m->flags & MS_RDONLY && fuse_opt_add_arg(args, "-oro") < 0)
		ret = -ENOMEM;
	if (!ret && m->flags & MS_NOEXEC && fuse_opt_add_arg(args, "-onoexec") < 0)
		ret = -ENOMEM;
	return ret;
}

static int session_fuse_new(
	struct ddfs_session *s, const struct fuse_lowlevel_ops *ops, size_t ops_size)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_lowlevel_ops own = { 0 };
	int ret = 0;

	memcpy(&own, ops, ops_size < sizeof(own) ? ops_size : sizeof(own));
	own.init = session_init;
	if (fuse_opt_add_arg(&args, "devdaxfs") < 0)
		ret = -ENOMEM;
	if (!ret && s->params.debug && fuse_opt_add_arg(&args, "-odebug") < 0)
		ret = -ENOMEM;
	if (!ret && geteuid())
		ret = session_add_mount(&args, &s->params.mount);
	if (!ret)
		s->fuse = fuse_session_new(&args, &own, sizeof(own), s);
	if (!ret && !s->fuse)
		ret = -ENOMEM;
	fuse_opt_free_args(&args);
	return ret;
}

int ddfs_session_new(const struct fuse_lowlevel_ops *ops, size_t ops_size, void *data,
	const struct ddfs_session_params *params, struct ddfs_session **out)
{
	struct ddfs_session *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->params = *params;
	s->data = data;
	s->fd = -1;
	atomic_init(&s->init_unique, NO_UNIQUE);
	ret = session_fuse_new(s, ops, ops_size);
	if (ret) {
		free(s);
		return ret;
	}
	*out = s;
	return 0;
}

static int session_connect(struct ddfs_session *s)
{
	int ret;

	if (geteuid() == 0)
		return ddfs_mount(&s->params.mount, &s->fd);
	ret = fuse_session_mount(s->fuse, s->params.mount.target);
	if (!ret)
		s->fd = fuse_session_fd(s->fuse);
	return ret ? -EIO : 0;
}

int ddfs_session_mount(struct ddfs_session *s)
{
	int ret;

	s->mountpoint = ddfs_mount_path(s->params.mount.target);
	if (!s->mountpoint)
		return -errno;
	ret = session_connect(s);
	if (ret)
		return ret;
	s->mount_id = ddfs_mount_id(s->mountpoint);
	ddfs_channels_init(&s->channels, s->fd);
	return fuse_session_custom_io(s->fuse, &session_io, s->fd);
}

int ddfs_session_open_root(const struct ddfs_session *s)
{
	return ddfs_mount_open(s->mountpoint, s->mount_id);
}

void ddfs_session_detach(struct ddfs_session *s)
{
	if (s->fd >= 0 && geteuid() == 0 && !s->detached)
		ddfs_mount_detach(s->mountpoint, s->mount_id);
	s->detached = true;
}

void ddfs_session_delete(struct ddfs_session *s)
{
	if (s->fd >= 0)
		ddfs_channels_fini(&s->channels);
	if (geteuid()) /* through fusermount3; does nothing if it is not mounted any more */
		fuse_session_unmount(s->fuse);
	fuse_session_destroy(s->fuse);
	free(s->mountpoint);
	free(s);
}

void ddfs_session_park(struct ddfs_session *s, unsigned int channel)
{
	ddfs_channels_park(&s->channels, channel);
}

void ddfs_session_unpark(struct ddfs_session *s, unsigned int channel)
{
	ddfs_channels_unpark(&s->channels, channel);
}

void *ddfs_session_data(fuse_req_t req)
{
	return ((const struct ddfs_session *)fuse_req_userdata(req))->data;
}

struct fuse_session *ddfs_session_fuse(struct ddfs_session *s)
{
	return s->fuse;
}

const char *ddfs_session_mountpoint(const struct ddfs_session *s)
{
	return s->mountpoint;
}
