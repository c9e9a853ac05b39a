/* SPDX-License-Identifier: BSD-3-Clause */
/* What the extent map means: runs looked up, mapped, unmapped, converted. */
#include "fs/extent.h"

#include <string.h>

#include "fs/core.h"
#include "fs/node.h"
#include "fs/tx.h"

static uint64_t entry_end(const struct ddfs_extent *e)
{
	return (uint64_t)ddfs_le32(e->lblk) + ddfs_le32(e->len);
}

static uint64_t entry_start(const struct ddfs_extent *e)
{
	return ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN;
}

static bool entry_unwritten(const struct ddfs_extent *e)
{
	return ddfs_le64(e->start) & DDFS_EXTENT_UNWRITTEN;
}

static struct ddfs_extent entry_make(uint32_t lblk, uint32_t len, uint64_t pblk, bool unwritten)
{
	return (struct ddfs_extent){ .lblk = ddfs_to32(lblk),
		.len = ddfs_to32(len),
		.start = ddfs_to64(pblk | (unwritten ? DDFS_EXTENT_UNWRITTEN : 0)) };
}

int ddfs_extent_lookup(struct ddfs_fs *fs, const struct ddfs_tx *tx,
	const struct ddfs_inode_disk *di, uint32_t lblk, struct ddfs_map *out)
{
	struct ddfs_extent_path p;
	const struct ddfs_extent *e;
	unsigned int at;
	uint64_t next;
	int err = ddfs_extent_find(fs, tx, di, lblk, &p);

	if (err)
		return err;
	at = p.idx[p.depth ? p.depth - 1 : 0];
	e = p.entry + at;
	if (at < p.nr && ddfs_le32(e->lblk) <= lblk && lblk < entry_end(e)) {
		out->lblk = lblk;
		out->len = (uint32_t)(entry_end(e) - lblk);
		out->pblk = entry_start(e) + (lblk - ddfs_le32(e->lblk));
		out->kind = entry_unwritten(e) ? DDFS_MAP_UNWRITTEN : DDFS_MAP_WRITTEN;
		return 0;
	}
	if (at < p.nr && ddfs_le32(e->lblk) <= lblk)
		at++;
	next = at < p.nr ? ddfs_le32(p.entry[at].lblk) : p.next;
	if (next > UINT32_MAX)
		next = UINT32_MAX;
	*out = (struct ddfs_map){
		.lblk = lblk, .len = (uint32_t)(next - lblk), .kind = DDFS_MAP_HOLE
	};
	if (!out->len)
		out->len = 1;
	return 0;
}

static void blocks_add(struct ddfs_inode_disk *di, int64_t n)
{
	di->nr_blocks = ddfs_to64(ddfs_le64(di->nr_blocks) + (uint64_t)n);
}

static bool joins(const struct ddfs_extent *a, const struct ddfs_extent *b)
{
	return entry_end(a) == ddfs_le32(b->lblk) && entry_unwritten(a) == entry_unwritten(b) &&
	       entry_start(a) + ddfs_le32(a->len) == entry_start(b);
}

/* Join the entry at with its neighbours in the leaf that p leads to. */
static bool join_right(
	struct ddfs_tx *tx, struct ddfs_inode_disk *di, struct ddfs_extent_path *p, unsigned int at)
{
	struct ddfs_extent *e;

	if (at + 1 >= p->nr || !joins(&p->entry[at], &p->entry[at + 1]))
		return false;
	e = ddfs_extent_edit(tx, di, p) + at;
	e->len = ddfs_to32(ddfs_le32(e[0].len) + ddfs_le32(e[1].len));
	ddfs_extent_del_entry(tx, di, p, at + 1);
	return true;
}

static int insert_entry(struct ddfs_tx *tx, struct ddfs_inode_disk *di, struct ddfs_extent e)
{
	struct ddfs_extent_path p;
	unsigned int at;
	int err = ddfs_extent_find(tx->fs, tx, di, ddfs_le32(e.lblk), &p);

	if (err)
		return err;
	at = p.idx[p.depth ? p.depth - 1 : 0];
	if (at < p.nr && ddfs_le32(p.entry[at].lblk) < ddfs_le32(e.lblk)) {
		if (joins(&p.entry[at], &e)) {
			struct ddfs_extent *left = ddfs_extent_edit(tx, di, &p) + at;

			left->len = ddfs_to32(ddfs_le32(left->len) + ddfs_le32(e.len));
			p.entry = left - at;
			join_right(tx, di, &p, at);
			return 0;
		}
		at++;
	}
	if (at < p.nr && joins(&e, &p.entry[at])) {
		struct ddfs_extent *right = ddfs_extent_edit(tx, di, &p) + at;

		e.len = ddfs_to32(ddfs_le32(e.len) + ddfs_le32(right->len));
		*right = e;
		return 0;
	}
	return ddfs_extent_add_entry(tx, di, &p, at, e);
}

int ddfs_extent_insert(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const struct ddfs_map *m)
{
	blocks_add(di, m->len);
	return insert_entry(
		tx, di, entry_make(m->lblk, m->len, m->pblk, m->kind == DDFS_MAP_UNWRITTEN));
}

/* Cut [from, to) out of the first entry that has some of it. *cut is what was cut, of length 0
 * if there was none. */
static int cut_one(struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint64_t from, uint64_t to,
	struct ddfs_extent *cut)
{
	struct ddfs_extent_path p;
	struct ddfs_extent old, *e;
	uint64_t first, last, a, b;
	struct ddfs_map m;
	int err;

	cut->len = ddfs_to32(0);
	do {
		err = ddfs_extent_lookup(tx->fs, tx, di, (uint32_t)from, &m);
		if (err)
			return err;
		if (m.kind == DDFS_MAP_HOLE)
			from += m.len;
	} while (m.kind == DDFS_MAP_HOLE && from < to);
	if (from >= to)
		return 0;
	err = ddfs_extent_find(tx->fs, tx, di, (uint32_t)from, &p);
	if (err)
		return err;
	e = ddfs_extent_edit(tx, di, &p) + p.idx[p.depth ? p.depth - 1 : 0];
	old = *e;
	first = ddfs_le32(old.lblk);
	last = entry_end(&old);
	a = from > first ? from : first;
	b = to < last ? to : last;
	*cut = entry_make((uint32_t)a, (uint32_t)(b - a), entry_start(&old) + (a - first),
		entry_unwritten(&old));
	if (a > first) {
		e->len = ddfs_to32((uint32_t)(a - first));
	} else if (b < last) {
		*e = entry_make((uint32_t)b, (uint32_t)(last - b), entry_start(&old) + (b - first),
			entry_unwritten(&old));
		return 0;
	} else {
		ddfs_extent_del_entry(tx, di, &p, p.idx[p.depth ? p.depth - 1 : 0]);
		return 0;
	}
	if (b == last)
		return 0;
	return insert_entry(tx, di,
		entry_make((uint32_t)b, (uint32_t)(last - b), entry_start(&old) + (b - first),
			entry_unwritten(&old)));
}

int ddfs_extent_remove(
	struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint32_t lblk, uint32_t len, bool give_back)
{
	uint64_t from = lblk, to = (uint64_t)lblk + len;
	struct ddfs_extent cut;

	while (from < to) {
		int err = cut_one(tx, di, from, to, &cut);

		if (err)
			return err;
		if (!ddfs_le32(cut.len))
			break;
		blocks_add(di, -(int64_t)ddfs_le32(cut.len));
		if (give_back)
			ddfs_tx_free(tx, entry_start(&cut), ddfs_le32(cut.len));
		from = entry_end(&cut);
	}
	return 0;
}

int ddfs_extent_convert(struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint32_t lblk, uint32_t len,
	enum ddfs_map_kind kind)
{
	uint64_t from = lblk, to = (uint64_t)lblk + len;
	struct ddfs_extent cut;

	while (from < to) {
		int err = cut_one(tx, di, from, to, &cut);

		if (err)
			return err;
		if (!ddfs_le32(cut.len))
			break;
		err = insert_entry(tx, di,
			entry_make(ddfs_le32(cut.lblk), ddfs_le32(cut.len), entry_start(&cut),
				kind == DDFS_MAP_UNWRITTEN));
		if (err)
			return err;
		from = entry_end(&cut);
	}
	return 0;
}

bool ddfs_extent_inline_valid(const struct ddfs_fs *fs, const struct ddfs_inode_disk *di)
{
	uint64_t next = 0;

	if (di->depth > 8 || ddfs_le16(di->nr_extents) > DDFS_INLINE_EXTENTS)
		return false;
	if (di->depth)
		return ddfs_blocks_valid(fs, ddfs_le64(di->body.root), 1);
	for (unsigned int i = 0; i < ddfs_le16(di->nr_extents); i++) {
		const struct ddfs_extent *e = &di->body.extent[i];

		if (ddfs_le32(e->lblk) < next || !ddfs_le32(e->len) || entry_end(e) > UINT32_MAX ||
			!ddfs_blocks_valid(fs, entry_start(e), ddfs_le32(e->len)))
			return false;
		next = entry_end(e);
	}
	return true;
}
