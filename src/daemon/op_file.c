/* SPDX-License-Identifier: BSD-3-Clause */
/* Open files and their data. */
#include "src/daemon/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>

#include "src/daemon/job.h"
#include "src/daemon/kcache.h"
#include "src/daemon/request.h"

/* ---- set-id bits ---------------------------------------------------------------------------- */

static bool op_has_setid(struct ddfs_inode *ip)
{
	struct ddfs_attr attr;

	return !ddfs_getattr(ip, &attr) && attr.mode & (S_ISUID | S_ISGID);
}

/*
 * The kernel takes only times and size as changed by a WRITE, or by an OPEN with O_TRUNC: without
 * being told it would go on executing the file with set-id bits that we have cleared.
 */
static void op_attr_changed(fuse_req_t req, struct ddfs_inode *ip)
{
	ddfs_kcache_drop_attr(ddfs_op_daemon(req)->session, ddfs_inode_id(ip));
}

/* ---- open and release ----------------------------------------------------------------------- */

/*
 * NOFLUSH for all: what write(2) returned from is on media, so close(2) has nothing to do, and must
 * not wait for the inode's lock in the kernel, which a truncate that waits for a lease may hold.
 * DAX inodes bypass the page cache, and their writes need no order that fs/ does not give. The
 * others keep their pages from one open to the next, for nobody else writes; unless a read would
 * change atime: it has to come here for that, and does if it finds no pages.
 */
static uint32_t op_open_flags(struct ddfs_inode *ip, int flags)
{
	if (ddfs_inode_is_dax(ip))
		return FOPEN_NOFLUSH | FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
	if ((flags & O_ACCMODE) != O_WRONLY && ddfs_wants_atime(ip))
		return FOPEN_NOFLUSH;
	return FOPEN_NOFLUSH | FOPEN_KEEP_CACHE;
}

/* The entry in the protocol's own form: libfuse's replies lack a flag of open that we want, so
 * that these two answers are put together here. */
static void op_fill_entry(const struct ddfs_attr *a, struct fuse_entry_out *out)
{
	*out = (struct fuse_entry_out){
		.nodeid = a->id,
		.generation = a->gen,
		.entry_valid = (uint64_t)DDFS_OPS_TIMEOUT,
		.attr_valid = (uint64_t)DDFS_OPS_TIMEOUT,
		.attr = {
			.ino = a->ino,
			.size = a->size,
			.blocks = a->sectors,
			.atime = (uint64_t)a->atime.tv_sec,
			.mtime = (uint64_t)a->mtime.tv_sec,
			.ctime = (uint64_t)a->ctime.tv_sec,
			.atimensec = (uint32_t)a->atime.tv_nsec,
			.mtimensec = (uint32_t)a->mtime.tv_nsec,
			.ctimensec = (uint32_t)a->ctime.tv_nsec,
			.mode = a->mode,
			.nlink = a->nlink,
			.uid = a->uid,
			.gid = a->gid,
			.rdev = a->rdev,
			.blksize = 4096,
		},
	};
}

void ddfs_op_reply_open(fuse_req_t req, struct ddfs_handle *h, const struct ddfs_attr *entry)
{
	struct fuse_open_out open = {
		.fh = (uintptr_t)h,
		.open_flags = op_open_flags(h->ip, h->flags),
	};
	struct fuse_entry_out name;
	struct iovec iov[2] = { { &name, sizeof(name) }, { &open, sizeof(open) } };
	int ret;

	if (entry)
		op_fill_entry(entry, &name);
	ret = entry ? fuse_reply_iov(req, iov, 2) : fuse_reply_iov(req, iov + 1, 1);
	if (ret == -ENOENT) /* interrupted: nobody will release it */
		ddfs_handle_close(h);
}

/* With O_TRUNC it may have to wait for pins. */
struct op_open {
	struct ddfs_job job;
	struct ddfs_handle *handle;
	struct ddfs_inode *ip;
	bool kill, had_setid;
};

static int open_run(struct ddfs_job *job)
{
	struct op_open *o = (struct op_open *)job;
	int ret = ddfs_open(o->ip, o->handle->flags, o->kill, &job->wait);

	if (!ret && o->had_setid)
		op_attr_changed(job->req, o->ip);
	return ret;
}

static void open_answer(struct ddfs_job *job, int ret)
{
	struct op_open *o = (struct op_open *)job;

	if (!ret) {
		ddfs_handle_open(&ddfs_op_daemon(job->req)->handles, o->handle, o->ip);
		ddfs_op_reply_open(job->req, o->handle, NULL);
		return;
	}
	ddfs_handle_delete(o->handle);
	ddfs_inode_put(o->ip);
	ddfs_op_reply(job->req, ret);
}

static const struct ddfs_job_kind open_kind = { .run = open_run, .answer = open_answer };

void ddfs_op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct ddfs_handle *h = ddfs_op_new_handle(req, fi);
	struct ddfs_inode *ip;
	struct op_open *o;

	if (!h)
		return;
	ip = ddfs_op_inode(req, node);
	if (!ip) {
		ddfs_handle_delete(h);
		return;
	}
	o = ddfs_job_new(ddfs_op_daemon(req)->jobs, req, sizeof(*o), &open_kind);
	if (!o) {
		ddfs_inode_put(ip);
		ddfs_handle_delete(h);
		return;
	}
	o->handle = h;
	o->ip = ip;
	o->kill = ddfs_request_kills_priv();
	o->had_setid = o->kill && op_has_setid(ip);
	ddfs_job_start(&o->job);
}

void ddfs_op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	ddfs_handle_close(ddfs_op_handle(fi));
	ddfs_op_reply(req, 0);
}

/* ---- data ----------------------------------------------------------------------------------- */

struct op_read {
	fuse_req_t req;
	bool answered;
};

/* The kernel copies straight from media into the reader's memory, while the inode's lock keeps
 * the blocks where they are. */
static ssize_t op_read_reply(void *arg, const struct iovec *iov, int count, size_t len)
{
	struct op_read *r = arg;

	r->answered = true;
	if (count == 1)
		fuse_reply_buf(r->req, iov[0].iov_base, len);
	else
		fuse_reply_iov(r->req, iov, count);
	return (ssize_t)len;
}

void ddfs_op_read(
	fuse_req_t req, fuse_ino_t node, size_t size, off_t off, struct fuse_file_info *fi)
{
	/* What is read into the page cache has no owner, and a short answer means the end of file
	 * there. */
	unsigned int flags = fi->lock_owner ? 0 : DDFS_READ_WHOLE;
	struct op_read r = { .req = req };
	ssize_t ret =
		ddfs_read(ddfs_op_handle(fi)->ip, (uint64_t)off, size, flags, op_read_reply, &r);

	(void)node;
	if (r.answered)
		return;
	if (ret < 0)
		ddfs_op_reply(req, (int)ret);
	else
		fuse_reply_buf(req, NULL, 0); /* end of file */
}

/* Whether O_SYNC or O_DSYNC is left to us: for direct writes the kernel does nothing, behind those
 * into its page cache it sends an FSYNC by itself. */
static int op_write_sync(struct ddfs_inode *ip, int flags)
{
	if (!(flags & (O_SYNC | O_DSYNC)) || !ddfs_inode_is_dax(ip))
		return 0;
	return ddfs_write_sync(ip, (flags & O_SYNC) != O_SYNC);
}

/* Of an ordinary file's O_DIRECT write that is answered as short the kernel makes EIO, and takes
 * back by how much the file has grown: it is told why instead, which the rest says. */
static ssize_t op_write_whole(
	struct ddfs_inode *ip, uint64_t off, const char *buf, size_t size, unsigned int flags)
{
	size_t done = 0;
	ssize_t ret;

	do {
		ret = ddfs_write(ip, off + done, buf + done, size - done, flags);
		if (ret < 0)
			return ret;
		done += (size_t)ret;
	} while (done < size);
	return (ssize_t)done;
}

static bool op_must_be_whole(struct ddfs_inode *ip, int flags)
{
	return flags & O_DIRECT && !ddfs_inode_is_dax(ip);
}

/*
 * O_APPEND is not looked at: the kernel has turned it into an offset under its inode lock, and one
 * long append may arrive as several requests in any order.
 */
void ddfs_op_write(fuse_req_t req, fuse_ino_t node, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	unsigned int flags = ddfs_request_kills_priv() ? DDFS_WRITE_KILL_PRIV : 0;
	struct ddfs_inode *ip = ddfs_op_handle(fi)->ip;
	bool had_setid = flags && op_has_setid(ip);
	ssize_t ret = op_must_be_whole(ip, fi->flags)
			      ? op_write_whole(ip, (uint64_t)off, buf, size, flags)
			      : ddfs_write(ip, (uint64_t)off, buf, size, flags);
	int err;

	(void)node;
	if (had_setid) /* also if it failed: behind a part of it */
		op_attr_changed(req, ip);
	err = ret < 0 ? (int)ret : op_write_sync(ip, fi->flags);
	if (err)
		ddfs_op_reply(req, err);
	else
		fuse_reply_write(req, (size_t)ret);
}

void ddfs_op_fsync(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi)
{
	const struct ddfs_handle *h = ddfs_op_handle(fi);
	/* Behind each write of such a file the kernel sends one by itself, and nothing tells it
	 * from an fsync(2), which hardly anybody makes there. */
	bool is_write = h->flags & (O_SYNC | O_DSYNC);

	(void)node;
	ddfs_op_reply(
		req, is_write ? ddfs_write_sync(h->ip, datasync) : ddfs_fsync(h->ip, datasync));
}

void ddfs_op_lseek(
	fuse_req_t req, fuse_ino_t node, off_t off, int whence, struct fuse_file_info *fi)
{
	int64_t ret = ddfs_seek(ddfs_op_handle(fi)->ip, (uint64_t)off, whence);

	(void)node;
	if (ret < 0)
		ddfs_op_reply(req, (int)ret);
	else
		fuse_reply_lseek(req, ret);
}
