/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing. Blocks that the file has are overwritten in place; data for others goes to blocks that
 * nothing refers to, and the transaction that makes them part of the file publishes it.
 */
#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/extent.h"
#include "fs/file.h"
#include "fs/mend.h"
#include "fs/node.h"
#include "fs/tx.h"
#include "fs/xattr.h"

/* Largest unit that is allocated within the transaction that writes to it: each chunk is a record
 * in its lane. */
#define HOLE_UNIT_MAX (32u * DDFS_CHUNK_BLOCKS)

/* One call of write(2). */
struct writer {
	struct ddfs_op *op;
	struct ddfs_inode *ip;
	const uint8_t *src;
	uint64_t off;		    /* where src goes */
	size_t len;		    /* still to write */
	bool stored;		    /* in place, and not drained yet */
	bool touched;		    /* a transaction has set the times */
	bool kill;		    /* clear set-id bits with the next transaction */
	struct ddfs_range promised; /* blocks that no transaction has yet */
};

/* Whether ddfs_kill_priv would change anything. */
static bool has_priv(struct ddfs_fs *fs, const struct ddfs_inode_disk *di)
{
	uint32_t mode = ddfs_le16(di->mode);

	return mode & S_ISUID || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ||
	       ddfs_xattr_read(fs, NULL, di, "security.capability", NULL, 0) >= 0;
}

int ddfs_kill_priv(struct ddfs_tx *tx, struct ddfs_inode_disk *di)
{
	uint32_t mode = ddfs_le16(di->mode);

	mode &= ~(uint32_t)S_ISUID;
	/* Without group execute set-gid means mandatory locking, and stays. */
	if (mode & S_IXGRP)
		mode &= ~(uint32_t)S_ISGID;
	di->mode = ddfs_to16((uint16_t)mode);
	if (!ddfs_le16(di->xattr_bytes) && !ddfs_le64(di->xattr_root))
		return 0;
	return ddfs_xattr_write(tx, di, "security.capability", NULL, 0);
}

static void store(struct ddfs_fs *fs, uint64_t off, const uint8_t *src, size_t len)
{
	fs->media->ops->copy(fs->media, off, src, len);
}

static void store_zeroes(struct ddfs_fs *fs, uint64_t off, size_t len)
{
	if (len)
		fs->media->ops->set(fs->media, off, 0, len);
}

/* Bad blocks are left as they are: until they are overwritten as a whole they give EIO, whatever
 * they hold, so nothing that should read as zeroes shows. */
static int zero_good(const struct ddfs_inode *ip, uint64_t off, uint64_t len)
{
	struct ddfs_fs *fs = ip->fs;
	uint64_t end = off + len, blk = off >> DDFS_BLOCK_SHIFT;
	int err = ddfs_node_check_data(
		fs, ip->ino, blk, ((end + DDFS_BLOCK_BYTES - 1) >> DDFS_BLOCK_SHIFT) - blk);

	if (err)
		return err;
	while (off < end) {
		uint64_t first = off >> DDFS_BLOCK_SHIFT;
		uint64_t last = (end + DDFS_BLOCK_BYTES - 1) >> DDFS_BLOCK_SHIFT;
		struct ddfs_range bad =
			ddfs_bad_find(fs, (struct ddfs_range){ first, last - first });
		uint64_t stop = bad.len ? ddfs_block_off(bad.start) : end;

		if (stop > off)
			store_zeroes(fs, off, stop - off);
		off = bad.len ? ddfs_block_off(bad.start + bad.len) : end;
	}
	return 0;
}

int ddfs_zero_mapped(struct ddfs_inode *ip, uint64_t from, uint64_t to)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	int err = from < to && ddfs_bad_any(&ip->fs->bad) ? ddfs_bad_save(ip->fs) : 0;

	if (err)
		return err;
	while (from < to) {
		uint64_t in_block = from % DDFS_BLOCK_BYTES, run;
		struct ddfs_map m;

		err = ddfs_extent_lookup(
			ip->fs, NULL, di, (uint32_t)(from >> DDFS_BLOCK_SHIFT), &m);

		if (err)
			return err;
		run = ((uint64_t)m.len << DDFS_BLOCK_SHIFT) - in_block;
		if (run > to - from)
			run = to - from;
		if (m.kind == DDFS_MAP_WRITTEN)
			err = zero_good(ip, ddfs_block_off(m.pblk) + in_block, run);
		if (err)
			return err;
		from += run;
	}
	return 0;
}

int ddfs_zero_tail(struct ddfs_inode *ip, uint64_t size, uint64_t to)
{
	uint64_t end = size + ip->fs->dax_unit_bytes;

	return to > size ? ddfs_zero_mapped(ip, size, to < end ? to : end) : 0;
}

/* Begin a transaction on the inode, with what every one of a write changes. */
static int begin(struct writer *w, uint64_t end, struct ddfs_inode_disk **out)
{
	int err = ddfs_op_tx_reserve(w->op);

	if (err)
		return err;
	if (w->promised.len)
		ddfs_tx_adopt(w->op->tx, w->promised);
	w->promised.len = 0;
	*out = ddfs_inode_edit(w->op->tx, w->ip);
	ddfs_touch(*out, true);
	if (end > ddfs_le64((*out)->size))
		(*out)->size = ddfs_to64(end);
	return w->kill ? ddfs_kill_priv(w->op->tx, *out) : 0;
}

static int commit(struct writer *w)
{
	int err = ddfs_op_commit(w->op);

	if (err)
		return err;
	w->stored = false;
	w->touched = true;
	w->kill = false;
	return 0;
}

static void advance(struct writer *w, size_t n)
{
	w->src += n;
	w->off += n;
	w->len -= n;
}

/* Store n bytes of src into blocks that read as zeroes until now: what is left of the first and
 * last block is zeroed. pblk is the block of w->off. */
static int store_new(const struct writer *w, uint64_t pblk, size_t n)
{
	struct ddfs_fs *fs = w->ip->fs;
	uint64_t at = ddfs_block_off(pblk), head = w->off % DDFS_BLOCK_BYTES;
	uint64_t end = at + head + n;

	store_zeroes(fs, at, head);
	store(fs, at + head, w->src, n);
	store_zeroes(fs, end, -end % DDFS_BLOCK_BYTES);
	return 0;
}

/* The same over what was written. */
static int store_over(const struct writer *w, uint64_t pblk, size_t n)
{
	store(w->ip->fs, ddfs_block_off(pblk) + w->off % DDFS_BLOCK_BYTES, w->src, n);
	return 0;
}

/* Bytes of the request that fall into nr blocks from that of w->off on. */
static size_t bytes_in(const struct writer *w, uint64_t nr)
{
	uint64_t room = (nr << DDFS_BLOCK_SHIFT) - w->off % DDFS_BLOCK_BYTES;

	return w->len < room ? w->len : (size_t)room;
}

static uint32_t blocks_of(const struct writer *w, size_t n)
{
	return (uint32_t)((w->off % DDFS_BLOCK_BYTES + n + DDFS_BLOCK_BYTES - 1) >>
			  DDFS_BLOCK_SHIFT);
}

static int write_unwritten(struct writer *w, const struct ddfs_map *m)
{
	size_t n = bytes_in(w, m->len);
	struct ddfs_inode_disk *di;
	int err;

	err = DDFS_GUARDED_STORE(w->ip->fs, store_new(w, m->pblk, n));
	if (!err)
		err = begin(w, w->off + n, &di);
	if (!err)
		err = ddfs_extent_convert(
			w->op->tx, di, m->lblk, blocks_of(w, n), DDFS_MAP_WRITTEN);
	if (!err)
		err = commit(w);
	if (!err)
		advance(w, n);
	return err;
}

uint64_t ddfs_file_goal(const struct ddfs_inode *ip, uint32_t lblk)
{
	const struct ddfs_extent *e;
	struct ddfs_extent_path p;

	if (ddfs_extent_find(ip->fs, NULL, ddfs_inode_view(ip, NULL), lblk, &p) || !p.nr)
		return 0;
	e = p.entry + p.idx[p.depth ? p.depth - 1 : 0];
	if (ddfs_le32(e->lblk) > lblk)
		return 0;
	return (ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN) + ddfs_le32(e->len);
}

/* Of a DAX file: what to allocate, in whole units, so that want blocks of the hole at m->lblk are
 * covered. Moves m to where that starts; *want stays if the units around are not all hole. */
static int round_to_units(
	const struct ddfs_inode *ip, struct ddfs_map *m, uint64_t *want, uint64_t *unit)
{
	uint32_t first = (uint32_t)(m->lblk / *unit * *unit);
	struct ddfs_map start;
	uint64_t need;
	int err = ddfs_extent_lookup(ip->fs, NULL, ddfs_inode_view(ip, NULL), first, &start);

	if (err)
		return err;
	need = (m->lblk - first + *want + *unit - 1) / *unit * *unit;
	if (need > start.len)
		need = start.len / *unit * *unit;
	if (start.kind != DDFS_MAP_HOLE || need <= m->lblk - first) {
		*unit = 1;
		return 0;
	}
	m->lblk = first;
	*want = need;
	return 0;
}

/* Promise the hole at m->lblk blocks. *m becomes what is mapped there. */
static int fill_hole(struct writer *w, struct ddfs_map *m)
{
	struct ddfs_range *r = &w->promised;
	struct ddfs_inode *ip = w->ip;
	uint64_t unit = ddfs_file_unit(ip), want = blocks_of(w, bytes_in(w, m->len));
	int err = unit > 1 ? round_to_units(ip, m, &want, &unit) : 0;

	if (!err)
		err = ddfs_alloc_get(ip->fs, ddfs_file_goal(ip, m->lblk), want, unit, 0, r);
	if (err)
		return err;
	m->len = (uint32_t)r->len;
	m->pblk = r->start;
	return 0;
}

/* m is newly allocated; the request's first n bytes go into it, the rest stays unwritten. */
static int insert_new(struct writer *w, struct ddfs_inode_disk *di, struct ddfs_map m, size_t n)
{
	uint32_t at = (uint32_t)(w->off >> DDFS_BLOCK_SHIFT), nr = blocks_of(w, n);
	struct ddfs_map part = m;
	int err = 0;

	part.kind = DDFS_MAP_UNWRITTEN;
	part.len = at - m.lblk;
	if (part.len)
		err = ddfs_extent_insert(w->op->tx, di, &part);
	part = (struct ddfs_map){ at, nr, m.pblk + (at - m.lblk), DDFS_MAP_WRITTEN };
	if (!err)
		err = ddfs_extent_insert(w->op->tx, di, &part);
	part = (struct ddfs_map){ at + nr, m.lblk + m.len - (at + nr), part.pblk + nr,
		DDFS_MAP_UNWRITTEN };
	if (!err && part.len)
		err = ddfs_extent_insert(w->op->tx, di, &part);
	return err;
}

static int write_hole(struct writer *w, struct ddfs_map m)
{
	uint32_t at = m.lblk;
	struct ddfs_inode_disk *di;
	size_t n;
	int err = fill_hole(w, &m);

	if (err)
		return err;
	n = bytes_in(w, m.lblk + m.len - at);
	err = DDFS_GUARDED_STORE(w->ip->fs, store_new(w, m.pblk + (at - m.lblk), n));
	if (!err)
		err = begin(w, w->off + n, &di);
	if (!err)
		err = insert_new(w, di, m, n);
	if (!err)
		err = commit(w);
	if (err)
		return err;
	advance(w, n);
	return 0;
}

/* The transaction of a mended run that is mapped anew. */
static int map_mended(struct writer *w, struct ddfs_mend *d, size_t n)
{
	struct ddfs_inode_disk *di;
	int err = begin(w, w->off + n, &di);

	if (!err)
		err = ddfs_mend_map(d, di);
	if (!err)
		err = commit(w);
	return err;
}

/* m begins with a bad block. */
static int write_bad(struct writer *w, const struct ddfs_map *m)
{
	struct ddfs_mend d = {
		.op = w->op, .ip = w->ip, .off = w->off, .len = w->len, .src = w->src
	};
	int err = ddfs_mend_prepare(&d, m);
	size_t n = bytes_in(w, d.bad.len);

	if (!err && ddfs_mend_changes_map(&d))
		err = DDFS_GUARDED(w->ip->fs, map_mended(w, &d, n));
	else
		w->stored |= !err;
	ddfs_op_abort(w->op);
	err = ddfs_mend_finish(&d, err);
	if (!err)
		advance(w, n);
	return err;
}

static int check_data(const struct writer *w, const struct ddfs_map *m)
{
	uint64_t nr = blocks_of(w, bytes_in(w, m->len));

	if (m->kind == DDFS_MAP_HOLE)
		return 0;
	return ddfs_node_check_data(w->ip->fs, w->ip->ino, m->pblk, nr);
}

static int write_piece(struct writer *w)
{
	struct ddfs_map m;
	size_t n;
	int err = ddfs_extent_lookup(w->ip->fs, NULL, ddfs_inode_view(w->ip, NULL),
		(uint32_t)(w->off >> DDFS_BLOCK_SHIFT), &m);

	if (!err)
		err = check_data(w, &m);
	if (err)
		return err;
	if (m.kind != DDFS_MAP_HOLE && ddfs_bad_any(&w->ip->fs->bad) &&
		ddfs_mend_is_wanted(w->ip->fs, &m))
		return write_bad(w, &m);
	if (m.kind == DDFS_MAP_UNWRITTEN)
		return write_unwritten(w, &m);
	/* What is too much for the transaction of a write comes first, in steps. */
	if (m.kind == DDFS_MAP_HOLE && ddfs_file_unit(w->ip) > HOLE_UNIT_MAX)
		return ddfs_file_allocate(w->op, w->ip, m.lblk, (uint64_t)m.lblk + 1);
	if (m.kind == DDFS_MAP_HOLE)
		return write_hole(w, m);
	n = bytes_in(w, m.len);
	err = DDFS_GUARDED_STORE(w->ip->fs, store_over(w, m.pblk, n));
	if (!err) {
		w->stored = true;
		advance(w, n);
	}
	return err;
}

/* What was written in place: its size and times. */
static int finish(struct writer *w)
{
	struct ddfs_inode_disk *di;
	int err;

	if (w->off > ddfs_le64(ddfs_inode_view(w->ip, NULL)->size) ||
		(w->kill && has_priv(w->ip->fs, ddfs_inode_view(w->ip, NULL)))) {
		err = begin(w, w->off, &di);
		return err ? err : commit(w);
	}
	if (!w->stored)
		return 0;
	err = w->ip->fs->media->ops->drain(w->ip->fs->media);
	if (!w->touched)
		ddfs_inode_modified(w->ip);
	return err;
}

static DDFS_GUARD_STEP int write_pieces(struct writer *w, uint64_t size)
{
	int err = w->off > size ? ddfs_zero_tail(w->ip, size, w->off) : 0;

	while (w->len && !err)
		err = write_piece(w);
	return err;
}

ssize_t ddfs_write_locked(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t off,
	const uint8_t *src, size_t len, unsigned int flags)
{
	uint64_t size = ddfs_le64(ddfs_inode_view(ip, NULL)->size);
	struct writer w = { .op = op,
		.ip = ip,
		.src = src,
		.off = off,
		.len = len,
		.kill = flags & DDFS_WRITE_KILL_PRIV };
	int err, end;

	ddfs_guard_keep(&w);
	err = DDFS_GUARDED(op->fs, write_pieces(&w, size));
	/* A transaction that failed has changed nothing, and what follows needs none of it. */
	ddfs_op_abort(op);
	if (w.promised.len)
		ddfs_alloc_put(op->fs, w.promised);
	if (w.off > off) {
		end = finish(&w);
		if (end)
			return end;
	}
	return w.off > off ? (ssize_t)(w.off - off) : err;
}

static DDFS_GUARD_STEP int write_call(struct ddfs_op *op, struct ddfs_inode *ip, uint64_t off,
	const void *buf, size_t len, unsigned int flags, ssize_t *done)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	int err = ddfs_file_check(ip);

	if (!err)
		err = ddfs_fs_writable(ip->fs);
	if (!err && ddfs_le32(di->flags) & DDFS_FLAG_IMMUTABLE)
		err = -EPERM;
	if (flags & DDFS_WRITE_APPEND)
		off = ddfs_le64(di->size);
	if (!err && len && off >= DDFS_FILE_SIZE_MAX)
		err = -EFBIG;
	if (err || !len)
		return err;
	if (len > DDFS_FILE_SIZE_MAX - off)
		len = DDFS_FILE_SIZE_MAX - off;
	*done = ddfs_write_locked(op, ip, off, buf, len, flags);
	return 0;
}

ssize_t ddfs_write(
	struct ddfs_inode *ip, uint64_t off, const void *buf, size_t len, unsigned int flags)
{
	struct ddfs_op op;
	ssize_t done = 0;
	int err;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	err = DDFS_GUARDED(op.fs, write_call(&op, ip, off, buf, len, flags, &done));
	ddfs_op_end(&op, err);
	return err ? err : done;
}
