/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/mend.h"

#include "fs/core.h"
#include "fs/file.h"
#include "fs/layout_break.h"
#include "fs/op.h"
#include "fs/tx.h"

/* Largest unit that moves within one transaction: each chunk is a record in its lane, twice. */
#define MOVE_MAX (16u * DDFS_CHUNK_BLOCKS)

bool ddfs_mend_is_wanted(struct ddfs_fs *fs, struct ddfs_map *m)
{
	struct ddfs_range bad = ddfs_bad_find(fs, (struct ddfs_range){ m->pblk, m->len });

	if (!bad.len)
		return false;
	m->len = (uint32_t)(bad.start == m->pblk ? bad.len : bad.start - m->pblk);
	return bad.start == m->pblk;
}

/* ---- contents ------------------------------------------------------------------------------- */

/* Whether all of the file's block is overwritten. */
static bool covers(const struct ddfs_mend *d, uint64_t lblk)
{
	uint64_t at = ddfs_block_off(lblk);

	return at >= d->off && at + DDFS_BLOCK_BYTES <= d->off + d->len;
}

/* Store at pblk what the file's block becomes; what is not overwritten of it are zeroes. */
static void fill(const struct ddfs_mend *d, uint64_t lblk, uint64_t pblk)
{
	struct ddfs_media *m = d->ip->fs->media;
	uint64_t at = ddfs_block_off(lblk), end = at + DDFS_BLOCK_BYTES, to = ddfs_block_off(pblk);
	uint64_t from = d->off > at ? d->off : at;
	uint64_t last = d->off + d->len < end ? d->off + d->len : end;

	if (!d->src || from >= last) {
		m->ops->set(m, to, 0, DDFS_BLOCK_BYTES);
		return;
	}
	if (from > at)
		m->ops->set(m, to, 0, from - at);
	m->ops->copy(m, to + (from - at), d->src + (from - d->off), last - from);
	if (last < end)
		m->ops->set(m, to + (last - at), 0, end - last);
}

static void fill_bad(const struct ddfs_mend *d, uint64_t pblk)
{
	for (uint32_t i = 0; i < d->bad.len; i++)
		fill(d, d->bad.lblk + i, pblk + i);
}

/* The contents of one block move, or what they become if they can't be read. */
static int move_block(const struct ddfs_mend *d, uint64_t lblk, uint64_t from, uint64_t to)
{
	struct ddfs_fs *fs = d->ip->fs;
	struct ddfs_media *m = fs->media;
	uint8_t buf[DDFS_BLOCK_BYTES];

	if (ddfs_bad_readable(fs, ddfs_block_off(from), sizeof(buf)) == sizeof(buf) &&
		!m->ops->copy_out(m, buf, ddfs_block_off(from), sizeof(buf))) {
		m->ops->copy(m, ddfs_block_off(to), buf, sizeof(buf));
		return 0;
	}
	if (!covers(d, lblk))
		return -EIO;
	fill(d, lblk, to);
	return 0;
}

static int move_contents(const struct ddfs_mend *d)
{
	int err = 0;

	for (size_t i = 0; i < d->old.nr && !err; i++) {
		const struct ddfs_extent *e = &d->old.e[i];
		uint64_t lblk = ddfs_le32(e->lblk), start = ddfs_le64(e->start);

		if (start & DDFS_EXTENT_UNWRITTEN)
			continue;
		for (uint32_t n = 0; n < ddfs_le32(e->len) && !err; n++)
			err = move_block(
				d, lblk + n, start + n, d->to.start + (lblk + n - d->first));
	}
	return err;
}

/* ---- where to ------------------------------------------------------------------------------- */

/* Whether what moves is a unit of a DAX file as it should be: in one piece, and congruent. One that
 * was laid out before the file was one has nothing to lose. */
static bool is_whole_unit(const struct ddfs_mend *d, uint64_t unit)
{
	uint64_t lblk = d->first, pblk = 0;

	for (size_t i = 0; i < d->old.nr; i++) {
		const struct ddfs_extent *e = &d->old.e[i];
		uint64_t start = ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN;

		if (ddfs_le32(e->lblk) != lblk || (i ? start != pblk : start % unit != 0))
			return false;
		lblk += ddfs_le32(e->len);
		pblk = start + ddfs_le32(e->len);
	}
	return lblk == d->first + unit;
}

static int load_old(struct ddfs_mend *d, uint64_t first, uint64_t nr)
{
	struct ddfs_fs *fs = d->ip->fs;

	ddfs_extents_fini(&d->old);
	d->first = (uint32_t)first;
	return DDFS_GUARDED(fs, ddfs_extents_load(fs, ddfs_inode_view(d->ip, NULL), d->first,
					(uint32_t)nr, &d->old));
}

/* What has to move, and in which multiples. */
static int choose_old(struct ddfs_mend *d, uint64_t *unit)
{
	uint64_t page;
	int err;

	*unit = ddfs_file_unit(d->ip);
	err = load_old(d, d->bad.lblk / *unit * *unit, *unit);
	if (!err && *unit > 1 && is_whole_unit(d, *unit))
		err = *unit > MOVE_MAX ? -EIO : 0;
	else if (!err)
		*unit = 1;
	if (!err && *unit == 1)
		err = load_old(d, d->bad.lblk, d->bad.len);
	if (!err && ddfs_layout_busy_page(
			    d->ip, d->first, d->first + (*unit > 1 ? *unit : d->bad.len), &page))
		err = -EIO;
	return err;
}

static int move(struct ddfs_mend *d)
{
	struct ddfs_fs *fs = d->ip->fs;
	uint64_t unit;
	int err = choose_old(d, &unit);

	d->moves = true;
	if (!err)
		err = ddfs_alloc_get(fs, 0, unit > 1 ? unit : d->bad.len, unit, 0, &d->to);
	if (err)
		return err;
	/* There may be no run as long. */
	if (unit == 1 && d->to.len < d->bad.len) {
		d->bad.len = (uint32_t)d->to.len;
		err = load_old(d, d->bad.lblk, d->bad.len);
	}
	if (!err)
		err = move_contents(d);
	if (err)
		return err;
	fill_bad(d, d->to.start + (d->bad.lblk - d->first));
	ddfs_log(fs, LOG_NOTICE, "inode %u: %llu blocks from %llu on of it move from a bad place",
		d->ip->ino, (unsigned long long)d->to.len, (unsigned long long)d->first);
	return 0;
}

/* ---- the call ------------------------------------------------------------------------------- */

/* How many of the run's blocks are overwritten. Of an unwritten one nothing is lost. */
static uint64_t nr_covered(const struct ddfs_mend *d, const struct ddfs_map *m)
{
	uint64_t end = d->off + d->len, from = ddfs_block_off(m->lblk);

	if (m->kind == DDFS_MAP_UNWRITTEN)
		end += DDFS_BLOCK_BYTES - 1;
	else if (d->off > from)
		return 0;
	return end > from ? (end - from) >> DDFS_BLOCK_SHIFT : 0;
}

/* It stays where it is, and is good once that is durable; before the map says that it is written,
 * so that what was never written never gives EIO. */
static int fill_in_place(const struct ddfs_mend *d)
{
	struct ddfs_fs *fs = d->ip->fs;
	int err;

	fill_bad(d, d->bad.pblk);
	err = fs->media->ops->drain(fs->media);
	if (err)
		return err;
	ddfs_bad_drop(fs, (struct ddfs_range){ d->bad.pblk, d->bad.len });
	return ddfs_bad_save(fs);
}

int ddfs_mend_prepare(struct ddfs_mend *d, const struct ddfs_map *m)
{
	struct ddfs_fs *fs = d->ip->fs;
	uint64_t nr = nr_covered(d, m);
	int err;

	d->bad = *m;
	d->moves = false;
	d->to = (struct ddfs_range){ 0 };
	d->old = (struct ddfs_extents){ 0 };
	if (nr > MOVE_MAX)
		nr = MOVE_MAX;
	if (nr < m->len)
		d->bad.len = (uint32_t)nr;
	if (!nr)
		return -EIO;
	/* What it holds from here on until it is overwritten is not what the file held: a mount
	 * after a crash in between has to know. */
	err = ddfs_bad_save(fs);
	if (err)
		return err;
	if (ddfs_bad_clear(fs, (struct ddfs_range){ d->bad.pblk, d->bad.len }))
		return move(d);
	return fill_in_place(d);
}

/* What has moved, mapped as it was. */
static int remap(struct ddfs_mend *d, struct ddfs_inode_disk *di)
{
	struct ddfs_range to = d->to;
	struct ddfs_tx *tx = d->op->tx;
	int err;

	ddfs_tx_adopt(tx, to);
	d->to.len = 0;
	err = ddfs_extent_remove(tx, di, d->first, (uint32_t)to.len, true);
	for (size_t i = 0; i < d->old.nr && !err; i++) {
		const struct ddfs_extent *e = &d->old.e[i];
		uint32_t lblk = ddfs_le32(e->lblk);
		struct ddfs_map m = { lblk, ddfs_le32(e->len), to.start + (lblk - d->first),
			ddfs_le64(e->start) & DDFS_EXTENT_UNWRITTEN ? DDFS_MAP_UNWRITTEN
								    : DDFS_MAP_WRITTEN };

		err = ddfs_extent_insert(tx, di, &m);
	}
	return err;
}

bool ddfs_mend_changes_map(const struct ddfs_mend *d)
{
	return d->moves || d->bad.kind == DDFS_MAP_UNWRITTEN;
}

int ddfs_mend_map(struct ddfs_mend *d, struct ddfs_inode_disk *di)
{
	int err = d->moves ? remap(d, di) : 0;

	if (!err && d->bad.kind == DDFS_MAP_UNWRITTEN)
		err = ddfs_extent_convert(d->op->tx, di, d->bad.lblk, d->bad.len, DDFS_MAP_WRITTEN);
	return err;
}

int ddfs_mend_finish(struct ddfs_mend *d, int err)
{
	if (d->to.len)
		ddfs_alloc_put(d->ip->fs, d->to);
	ddfs_extents_fini(&d->old);
	return err;
}
