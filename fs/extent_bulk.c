/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/extent_bulk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/node.h"
#include "fs/op.h"
#include "fs/orphan.h"
#include "fs/tx.h"

/* What one transaction removes at most: ranges and chunks, well below its limits. */
#define SMALL_EXTENTS 24u
#define SMALL_CHUNKS  64u

static uint64_t nr_chunks(uint64_t start, uint64_t len)
{
	return (start + len - 1) / DDFS_CHUNK_BLOCKS - start / DDFS_CHUNK_BLOCKS + 1;
}

bool ddfs_extent_range_is_small(struct ddfs_fs *fs, const struct ddfs_tx *tx,
	const struct ddfs_inode_disk *di, uint32_t lblk, uint32_t len)
{
	uint64_t end = (uint64_t)lblk + len, chunks = 0;
	unsigned int extents = 0;

	for (uint64_t at = lblk; at < end;) {
		struct ddfs_map m;

		/* Whoever removes it meets the same error and reports it. */
		if (ddfs_extent_lookup(fs, tx, di, (uint32_t)at, &m))
			return true;
		if (m.kind != DDFS_MAP_HOLE) {
			chunks += nr_chunks(m.pblk, m.len);
			if (++extents > SMALL_EXTENTS || chunks > SMALL_CHUNKS)
				return false;
		}
		at += m.len;
	}
	return true;
}

/* The last entry of the map, or one of no blocks. */
static int find_last(struct ddfs_tx *tx, const struct ddfs_inode_disk *di, struct ddfs_extent *out)
{
	struct ddfs_extent_path p;
	int err = ddfs_extent_find(tx->fs, tx, di, UINT32_MAX, &p);

	if (err)
		return err;
	*out = p.nr ? p.entry[p.nr - 1] : (struct ddfs_extent){ 0 };
	return 0;
}

static int out_of_order(struct ddfs_tx *tx, const struct ddfs_inode_disk *di)
{
	return ddfs_corrupt(tx->fs, "inode %u: its extents are out of order", ddfs_le32(di->ino));
}

int ddfs_extent_trim_some(struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint32_t lblk)
{
	uint64_t budget = SMALL_CHUNKS;

	for (unsigned int i = 0; i < SMALL_EXTENTS && budget; i++) {
		uint64_t start, len, end, from, blocks = ddfs_le64(di->nr_blocks);
		struct ddfs_extent e;
		int err = find_last(tx, di, &e);

		if (err)
			return err;
		start = ddfs_le64(e.start) & ~DDFS_EXTENT_UNWRITTEN;
		len = ddfs_le32(e.len);
		end = ddfs_le32(e.lblk) + len;
		/* The caller has seen something, and would ask for ever. */
		if (end <= lblk)
			return i ? 0 : out_of_order(tx, di);
		from = ddfs_le32(e.lblk) > lblk ? ddfs_le32(e.lblk) : lblk;
		start += len - (end - from);
		if (nr_chunks(start, end - from) > budget) {
			uint64_t keep = start + (end - from) - budget * DDFS_CHUNK_BLOCKS;

			/* Whole chunks from the end. */
			keep = (keep + DDFS_CHUNK_BLOCKS - 1) / DDFS_CHUNK_BLOCKS *
			       DDFS_CHUNK_BLOCKS;
			if (keep >= start + (end - from))
				return 0;
			from += keep - start;
			start = keep;
		}
		budget -= nr_chunks(start, end - from);
		err = ddfs_extent_remove(tx, di, (uint32_t)from, (uint32_t)(end - from), true);
		if (err)
			return err;
		/* In a tree out of order the way to a number may not lead to its entry: nothing
		 * would ever be done. */
		if (ddfs_le64(di->nr_blocks) >= blocks)
			return out_of_order(tx, di);
	}
	return 0;
}

int ddfs_extents_add(struct ddfs_extents *x, const struct ddfs_map *m)
{
	if (x->nr == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 64;
		struct ddfs_extent *e = realloc(x->e, cap * sizeof(*e));

		if (!e)
			return -ENOMEM;
		x->e = e;
		x->cap = cap;
	}
	x->e[x->nr++] = (struct ddfs_extent){ .lblk = ddfs_to32(m->lblk),
		.len = ddfs_to32(m->len),
		.start = ddfs_to64(
			m->pblk | (m->kind == DDFS_MAP_UNWRITTEN ? DDFS_EXTENT_UNWRITTEN : 0)) };
	return 0;
}

void ddfs_extents_fini(struct ddfs_extents *x)
{
	free(x->e);
	*x = (struct ddfs_extents){ 0 };
}

int ddfs_extents_load(struct ddfs_fs *fs, const struct ddfs_inode_disk *di, uint32_t lblk,
	uint32_t len, struct ddfs_extents *x)
{
	uint64_t end = (uint64_t)lblk + len;

	for (uint64_t at = lblk; at < end;) {
		struct ddfs_map m;
		int err = ddfs_extent_lookup(fs, NULL, di, (uint32_t)at, &m);

		if (err)
			return err;
		at += m.len;
		if (at > end)
			m.len -= (uint32_t)(at - end);
		if (m.kind != DDFS_MAP_HOLE)
			err = ddfs_extents_add(x, &m);
		if (err)
			return err;
	}
	return 0;
}

/* Append the nodes of the subtree at blk to x, as if they were data. */
static int load_nodes(struct ddfs_fs *fs, uint64_t blk, uint8_t level, struct ddfs_extents *x)
{
	struct ddfs_map m = { .len = 1, .pblk = blk, .kind = DDFS_MAP_WRITTEN };
	const struct ddfs_node *n;
	const struct ddfs_extent_ref *r;
	int err = ddfs_node_get(fs, NULL, blk, DDFS_NODE_EXTENT, level, &n);

	if (err)
		return err;
	/* References that share a child multiply at each level. */
	if (x->nr > fs->nr_blocks)
		return ddfs_corrupt(fs, "block %llu: an extent tree has more nodes than blocks",
			(unsigned long long)blk);
	r = (const void *)n->payload;
	for (unsigned int i = 0; !err && level && i < ddfs_le16(n->nr); i++)
		err = load_nodes(fs, ddfs_le64(r[i].child), (uint8_t)(level - 1), x);
	return err ? err : ddfs_extents_add(x, &m);
}

static void blocks_set(struct ddfs_inode_disk *di, uint64_t n)
{
	di->nr_blocks = ddfs_to64(n);
}

static uint64_t total_blocks(const struct ddfs_extents *x)
{
	uint64_t n = 0;

	for (size_t i = 0; i < x->nr; i++)
		n += ddfs_le32(x->e[i].len);
	return n;
}

/* Blocks for nodes, taken in runs. */
struct node_source {
	struct ddfs_tx *tx;
	struct ddfs_range r;
	uint64_t want; /* more to come */
	uint64_t used;
};

static int next_node(struct node_source *s, uint64_t *blk)
{
	if (!s->r.len) {
		int err = ddfs_tx_alloc(s->tx, 0, s->want, DDFS_ALLOC_RESERVE, &s->r);

		if (err)
			return err;
	}
	*blk = s->r.start++;
	s->r.len--;
	s->want--;
	s->used++;
	return 0;
}

/* Write one level of nodes over nr 16-byte entries; refs gets a reference to each node. The
 * nodes are stored outright: nothing refers to them before the transaction commits. */
static int build_level(struct node_source *s, uint32_t owner, uint8_t level, const void *entries,
	size_t nr, struct ddfs_extent_ref *refs)
{
	struct ddfs_fs *fs = s->tx->fs;

	for (size_t i = 0; i < nr; i += DDFS_NODE_ENTRIES) {
		size_t n = nr - i < DDFS_NODE_ENTRIES ? nr - i : DDFS_NODE_ENTRIES;
		struct ddfs_node node = { 0 };
		uint64_t blk;
		int err = next_node(s, &blk);

		if (err)
			return err;
		ddfs_node_init(&node, blk, owner, DDFS_NODE_EXTENT, level);
		node.nr = ddfs_to16((uint16_t)n);
		memcpy(node.payload, (const uint8_t *)entries + i * 16, n * 16);
		ddfs_csum_seal(fs->csum_seed, ddfs_block_off(blk), &node, sizeof(node));
		fs->media->ops->copy(fs->media, ddfs_block_off(blk), &node, sizeof(node));
		*refs = (struct ddfs_extent_ref){ .child = ddfs_to64(blk) };
		memcpy(&refs->lblk, node.payload, sizeof(refs->lblk));
		refs++;
	}
	return 0;
}

static size_t nr_nodes(size_t entries)
{
	return (entries + DDFS_NODE_ENTRIES - 1) / DDFS_NODE_ENTRIES;
}

/* Make x the map of the inode, whose old map is somebody else's business. */
static int build(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const struct ddfs_extents *x)
{
	struct node_source s = { .tx = tx };
	struct ddfs_extent_ref *refs;
	const void *entries = x->e;
	size_t nr = x->nr;
	uint8_t level = 0;
	int err = 0;

	memset(&di->body, 0, sizeof(di->body));
	di->depth = 0;
	di->nr_extents = ddfs_to16(0);
	if (nr <= DDFS_INLINE_EXTENTS) {
		if (nr)
			memcpy(di->body.extent, x->e, nr * sizeof(*x->e));
		di->nr_extents = ddfs_to16((uint16_t)nr);
		blocks_set(di, total_blocks(x));
		return 0;
	}
	for (size_t n = nr; n > 1 || s.want == 0; n = nr_nodes(n))
		s.want += nr_nodes(n);
	refs = malloc(2 * nr_nodes(nr) * sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	/* Each level's references lie behind those of the one below. */
	for (struct ddfs_extent_ref *at = refs; !err; at += nr) {
		err = build_level(&s, ddfs_le32(di->ino), level++, entries, nr, at);
		nr = nr_nodes(nr);
		entries = at;
		if (nr == 1)
			break;
	}
	if (!err) {
		di->body.root = ((const struct ddfs_extent_ref *)entries)->child;
		di->depth = level;
		blocks_set(di, total_blocks(x) + s.used);
	}
	free(refs);
	return err;
}

static bool drop_is_small(const struct ddfs_extents *x)
{
	uint64_t chunks = 0;

	for (size_t i = 0; i < x->nr; i++)
		chunks += nr_chunks(
			ddfs_le64(x->e[i].start) & ~DDFS_EXTENT_UNWRITTEN, ddfs_le32(x->e[i].len));
	return x->nr <= SMALL_EXTENTS && chunks <= SMALL_CHUNKS;
}

/* An inode without a name to own what is dropped. */
static int zombie_make(struct ddfs_op *op, struct ddfs_inode *z, const struct ddfs_extents *drop)
{
	struct ddfs_inode_disk *di = ddfs_tx_edit(op->tx, z->off, sizeof(*di));
	int err;

	memset(di, 0, sizeof(*di));
	di->magic = ddfs_to16(DDFS_INODE_MAGIC);
	di->mode = ddfs_to16(S_IFREG);
	di->ino = ddfs_to32(z->ino);
	di->gen = ddfs_to32(z->gen);
	di->flags = ddfs_to32(DDFS_IFLAG_ZOMBIE);
	err = build(op->tx, di, drop);
	return err ? err : ddfs_orphan_add(op->tx, z->ino);
}

static int zombie_new(struct ddfs_op *op, struct ddfs_ino_grant *g, struct ddfs_inode **z)
{
	int err = ddfs_itable_get(op->fs, g);

	return err ? err : ddfs_inode_new(op->fs, g, S_IFREG, false, z);
}

static DDFS_GUARD_STEP int replace(struct ddfs_op *op, struct ddfs_inode *ip, struct ddfs_inode *z,
	struct ddfs_ino_grant *g, const struct ddfs_extents *keep, const struct ddfs_extents *drop,
	ddfs_change_fn change, void *arg)
{
	const struct ddfs_inode_disk *old = ddfs_inode_view(ip, NULL);
	uint64_t xattr_blocks = ddfs_le64(old->nr_blocks);
	struct ddfs_inode_disk *di;
	int err = ddfs_op_tx(op);

	if (err)
		return err;
	di = ddfs_inode_edit(op->tx, ip);
	/* What the inode owns beside its map stays its own. */
	for (size_t i = 0; i < drop->nr; i++)
		xattr_blocks -= ddfs_le32(drop->e[i].len);
	xattr_blocks -= total_blocks(keep);
	err = build(op->tx, di, keep);
	blocks_set(di, ddfs_le64(di->nr_blocks) + xattr_blocks);
	for (size_t i = 0; !z && i < drop->nr; i++)
		ddfs_tx_free(op->tx, ddfs_le64(drop->e[i].start) & ~DDFS_EXTENT_UNWRITTEN,
			ddfs_le32(drop->e[i].len));
	if (!err && z)
		err = ddfs_itable_join(op->tx, g);
	if (!err && z)
		err = zombie_make(op, z, drop);
	if (err)
		return err;
	change(di, arg);
	return ddfs_op_commit(op);
}

/* One behind the other, as a map wants them. */
static void renumber(struct ddfs_extents *x)
{
	uint32_t lblk = 0;

	for (size_t i = 0; i < x->nr; i++) {
		x->e[i].lblk = ddfs_to32(lblk);
		lblk += ddfs_le32(x->e[i].len);
	}
}

int ddfs_extents_replace(struct ddfs_op *op, struct ddfs_inode *ip, const struct ddfs_extents *keep,
	struct ddfs_extents *drop, ddfs_change_fn change, void *arg)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	struct ddfs_inode *z = NULL;
	struct ddfs_ino_grant g;
	int err = 0;

	if (di->depth)
		err = load_nodes(op->fs, ddfs_le64(di->body.root), (uint8_t)(di->depth - 1), drop);
	if (!err && !drop_is_small(drop)) {
		renumber(drop);
		err = zombie_new(op, &g, &z);
		if (!err)
			ddfs_op_lock(op, op->fs->orphans, true);
	}
	if (err)
		return err;
	/* Of the grant and the zombie's lock the op knows nothing. */
	err = DDFS_GUARDED(op->fs, replace(op, ip, z, &g, keep, drop, change, arg));
	if (!z)
		return err;
	if (err) {
		ddfs_op_abort(op);
		ddfs_inode_cancel(z, &g);
		return err;
	}
	ddfs_itable_settle(op->fs, &g, true);
	/* Freed here or, after a crash, by the next mount. */
	pthread_rwlock_unlock(&z->lock);
	pthread_rwlock_unlock(&op->locked[--op->nr_locked]->lock);
	ddfs_orphan_reap(z);
	ddfs_inode_put(z);
	return 0;
}
