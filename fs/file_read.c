/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and reading files. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/file.h"
#include "fs/orphan.h"

#define IOV_MAX_READ (DDFS_IO_MAX / DDFS_BLOCK_BYTES + 1)

int ddfs_file_check(const struct ddfs_inode *ip)
{
	uint32_t mode;

	if (ip->dead)
		return -ESTALE;
	mode = ddfs_le16(ddfs_inode_view(ip, NULL)->mode);
	if (S_ISDIR(mode))
		return -EISDIR;
	return S_ISREG(mode) ? 0 : -EINVAL;
}

uint64_t ddfs_file_unit(const struct ddfs_inode *ip)
{
	return ip->dax ? ip->fs->dax_unit_bytes >> DDFS_BLOCK_SHIFT : 1;
}

uint32_t ddfs_file_first_freed(const struct ddfs_inode *ip, uint64_t size)
{
	uint64_t unit = ddfs_file_unit(ip);
	uint64_t end = (ddfs_file_end_block(size) + unit - 1) / unit * unit;

	return end > UINT32_MAX ? UINT32_MAX : (uint32_t)end;
}

static int may_open(const struct ddfs_inode *ip, int flags)
{
	uint32_t f = ddfs_le32(ddfs_inode_view(ip, NULL)->flags);
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;

	if (ip->dead)
		return -ESTALE;
	if (f & DDFS_FLAG_IMMUTABLE && writes)
		return -EPERM;
	if (f & DDFS_FLAG_APPEND && writes && (!(flags & O_APPEND) || flags & O_TRUNC))
		return -EPERM;
	return writes ? ddfs_fs_writable(ip->fs) : 0;
}

int ddfs_open(struct ddfs_inode *ip, int flags, bool kill_priv, struct ddfs_wait *wait)
{
	struct ddfs_attr size = { .size = 0 };
	struct ddfs_op op;
	int err;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	err = DDFS_GUARDED(op.fs, may_open(ip, flags));
	/* Counted under the lock: who removes the last name looks at it with the lock held. */
	if (!err)
		atomic_fetch_add(&ip->opens, 1);
	ddfs_op_end(&op, err);
	if (err || !(flags & O_TRUNC) || !S_ISREG(ip->type))
		return err;
	/* Who cancels the wait may put the caller's reference before this has closed it again. */
	ddfs_inode_hold(ip);
	err = ddfs_setattr(ip, &size,
		DDFS_SET_SIZE | DDFS_SET_MTIME_NOW | (kill_priv ? DDFS_SET_KILL_PRIV : 0), NULL,
		wait);
	if (err)
		ddfs_release(ip);
	ddfs_inode_put(ip);
	return err;
}

/* Whether it is an orphan that nobody uses, of so many blocks. */
static DDFS_GUARD_STEP int is_unused(struct ddfs_inode *ip, uint64_t *blocks)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	if (ip->dead || ddfs_inode_in_use(ip))
		return 0;
	*blocks = ddfs_le64(di->nr_blocks);
	/* A DAX attribute that changed meanwhile takes effect with the next open. */
	ip->dax = ddfs_inode_wants_dax(ip->fs, di);
	return !ddfs_le32(di->nlink);
}

uint64_t ddfs_file_unused(struct ddfs_inode *ip)
{
	uint64_t blocks = 0;
	struct ddfs_op op;
	int ret;

	/* Under the lock: who is removing the last name just now may have seen it in use, and
	 * leaves the rest to this. */
	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	ret = ddfs_op_end(&op, DDFS_GUARDED(op.fs, is_unused(ip, &blocks)));
	return ret == 1 && !ddfs_orphan_reap(ip) ? blocks : 0;
}

void ddfs_release(struct ddfs_inode *ip)
{
	if (atomic_fetch_sub(&ip->opens, 1) == 1)
		ddfs_file_unused(ip);
}

/* One call of read(2). */
struct reading {
	struct ddfs_inode *ip;
	uint64_t off;
	size_t len;
	unsigned int flags;
	struct iovec iov[IOV_MAX_READ];
	int nr;
};

/* The pieces of [off, off + len) in iov; the file's lock is held. */
static int map_read(struct ddfs_inode *ip, uint64_t off, size_t len, struct iovec *iov, int *nr)
{
	struct ddfs_fs *fs = ip->fs;
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	int n = 0;

	while (len) {
		uint64_t in_block = off % DDFS_BLOCK_BYTES, run;
		struct ddfs_map m;
		int err = ddfs_extent_lookup(fs, NULL, di, (uint32_t)(off >> DDFS_BLOCK_SHIFT), &m);

		if (err)
			return err;
		run = ((uint64_t)m.len << DDFS_BLOCK_SHIFT) - in_block;
		if (run > len)
			run = len;
		/* Only reads media; the type is iovec's. */
		iov[n].iov_base =
			(void *)(uintptr_t)(m.kind == DDFS_MAP_WRITTEN
						    ? fs->base + ddfs_block_off(m.pblk) + in_block
						    : fs->zeroes);
		iov[n++].iov_len = run;
		off += run;
		len -= run;
	}
	*nr = n;
	return 0;
}

/* How many bytes of the pieces can be read, from the first on; they are cut there. */
static size_t cut_bad(struct ddfs_fs *fs, struct iovec *iov, int *nr)
{
	size_t len = 0;

	for (int i = 0; i < *nr; i++) {
		size_t want = iov[i].iov_len, n = want;

		if (iov[i].iov_base != fs->zeroes)
			n = ddfs_bad_readable(
				fs, (uint64_t)((uint8_t *)iov[i].iov_base - fs->base), want);
		iov[i].iov_len = n;
		len += n;
		if (n < want)
			*nr = i + (n > 0);
	}
	return len;
}

/* The pieces of a read that can be given, and how many bytes they are. */
static int map_good(struct reading *r)
{
	size_t good;
	int err = map_read(r->ip, r->off, r->len, r->iov, &r->nr);

	if (err)
		return err;
	good = cut_bad(r->ip->fs, r->iov, &r->nr);
	if (good < r->len && (!good || r->flags & DDFS_READ_WHOLE))
		return -EIO;
	r->len = good;
	return 0;
}

static DDFS_GUARD_STEP int prepare(struct reading *r)
{
	int err = ddfs_file_check(r->ip);
	uint64_t size;

	if (err)
		return err;
	size = ddfs_le64(ddfs_inode_view(r->ip, NULL)->size);
	if (r->off >= size)
		r->len = 0;
	else if (r->len > size - r->off)
		r->len = size - r->off;
	err = map_good(r);
	if (!err)
		ddfs_inode_accessed(r->ip);
	return err;
}

ssize_t ddfs_read(struct ddfs_inode *ip, uint64_t off, size_t len, unsigned int flags,
	ddfs_read_fn fn, void *arg)
{
	struct reading r;
	struct ddfs_op op;
	ssize_t ret;

	/* Not as a whole: the pieces are many. */
	r.ip = ip;
	r.off = off;
	r.len = len < DDFS_IO_MAX ? len : DDFS_IO_MAX;
	r.flags = flags;
	r.nr = 0;
	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	ret = DDFS_GUARDED(op.fs, prepare(&r));
	if (!ret)
		ret = fn(arg, r.iov, r.nr, r.len);
	ddfs_op_end(&op, 0);
	return ret;
}

struct copying {
	struct ddfs_fs *fs;
	uint8_t *dst;
};

static ssize_t copy_iov(void *arg, const struct iovec *iov, int iovcnt, size_t len)
{
	const struct copying *c = arg;
	struct ddfs_media *m = c->fs->media;
	size_t done = 0;

	for (int i = 0; i < iovcnt; i++) {
		size_t n = iov[i].iov_len, left = 0;

		if (iov[i].iov_base == c->fs->zeroes)
			memset(c->dst + done, 0, n);
		else
			left = m->ops->copy_out(m, c->dst + done,
				(uint64_t)((uint8_t *)iov[i].iov_base - c->fs->base), n);
		done += n - left;
		if (left)
			return done ? (ssize_t)done : -EIO;
	}
	return (ssize_t)len;
}

ssize_t ddfs_pread(struct ddfs_inode *ip, void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		struct copying c = { ip->fs, (uint8_t *)buf + done };
		ssize_t n = ddfs_read(ip, off + done, len - done, 0, copy_iov, &c);

		if (n < 0)
			return done ? (ssize_t)done : n;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int seek_next(struct ddfs_inode *ip, uint64_t size, bool data, uint64_t *off)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	while (*off < size) {
		struct ddfs_map m;
		int err = ddfs_extent_lookup(
			ip->fs, NULL, di, (uint32_t)(*off >> DDFS_BLOCK_SHIFT), &m);

		if (err)
			return err;
		if ((m.kind == DDFS_MAP_WRITTEN) == data)
			return 0;
		*off = ((uint64_t)m.lblk + m.len) << DDFS_BLOCK_SHIFT;
	}
	if (data)
		return -ENXIO;
	/* The end of file is a hole. */
	*off = size;
	return 0;
}

static DDFS_GUARD_STEP int seek(struct ddfs_inode *ip, bool data, uint64_t *off)
{
	uint64_t size;
	int err = ddfs_file_check(ip);

	if (err)
		return err;
	size = ddfs_le64(ddfs_inode_view(ip, NULL)->size);
	/* A damaged file that has blocks of the inode table may have changed it since it was
	 * checked: behind this blocks would be counted from the start again, without an end. */
	if (size > DDFS_FILE_SIZE_MAX)
		return ddfs_corrupt(ip->fs, "inode %u: no file has its size", ip->ino);
	return *off >= size ? -ENXIO : seek_next(ip, size, data, off);
}

int64_t ddfs_seek(struct ddfs_inode *ip, uint64_t off, int whence)
{
	struct ddfs_op op;
	int err;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	err = ddfs_op_end(&op, DDFS_GUARDED(op.fs, seek(ip, whence == SEEK_DATA, &off)));
	return err ? err : (int64_t)off;
}
