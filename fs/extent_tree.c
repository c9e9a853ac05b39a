/* SPDX-License-Identifier: BSD-3-Clause */
/* The shape of the extent map: finding a leaf, adding and deleting entries. */
#include <string.h>

#include "fs/core.h"
#include "fs/extent.h"
#include "fs/node.h"
#include "fs/tx.h"

#define MAX_DEPTH 8

static uint64_t refs_last_below(const struct ddfs_node *n, uint32_t lblk, uint16_t *idx)
{
	const struct ddfs_extent_ref *r = (const void *)n->payload;
	unsigned int lo = 0, hi = ddfs_le16(n->nr);

	while (hi - lo > 1) {
		unsigned int mid = (lo + hi) / 2;

		if (ddfs_le32(r[mid].lblk) <= lblk)
			lo = mid;
		else
			hi = mid;
	}
	*idx = (uint16_t)lo;
	return hi < ddfs_le16(n->nr) ? ddfs_le32(r[hi].lblk) : UINT64_MAX;
}

static uint16_t entries_last_below(const struct ddfs_extent *e, unsigned int nr, uint32_t lblk)
{
	unsigned int lo = 0, hi = nr;

	while (hi - lo > 1) {
		unsigned int mid = (lo + hi) / 2;

		if (ddfs_le32(e[mid].lblk) <= lblk)
			lo = mid;
		else
			hi = mid;
	}
	return (uint16_t)lo;
}

/* Entries that another reference leads to would be found there, or not at all. */
static int check_range(struct ddfs_fs *fs, const struct ddfs_inode_disk *di,
	const struct ddfs_extent_path *p, uint32_t first)
{
	const struct ddfs_extent *last = &p->entry[p->nr ? p->nr - 1 : 0];

	if (!p->nr || (ddfs_le32(p->entry->lblk) >= first &&
			      (uint64_t)ddfs_le32(last->lblk) + ddfs_le32(last->len) <= p->next))
		return 0;
	return ddfs_corrupt(fs,
		"inode %u: a leaf of its map (block %llu) holds what is not its own",
		ddfs_le32(di->ino), (unsigned long long)p->blk[p->depth - 1]);
}

int ddfs_extent_find(struct ddfs_fs *fs, const struct ddfs_tx *tx, const struct ddfs_inode_disk *di,
	uint32_t lblk, struct ddfs_extent_path *p)
{
	const struct ddfs_extent_ref *ref;
	const struct ddfs_node *n;
	uint32_t first = 0;
	uint64_t blk;

	if (tx && tx->error)
		return tx->error;
	p->next = UINT64_C(1) << 32;
	p->depth = di->depth;
	if (!p->depth) {
		p->entry = di->body.extent;
		p->nr = ddfs_le16(di->nr_extents);
		p->idx[0] = entries_last_below(p->entry, p->nr, lblk);
		return 0;
	}
	blk = ddfs_le64(di->body.root);
	for (unsigned int i = 0;; i++) {
		uint8_t level = (uint8_t)(p->depth - 1 - i);
		uint64_t next;
		int err = ddfs_node_get(fs, tx, blk, DDFS_NODE_EXTENT, level, &n);

		if (err)
			return err;
		p->blk[i] = blk;
		if (!level)
			break;
		next = refs_last_below(n, lblk, &p->idx[i]);
		if (next < p->next)
			p->next = next;
		ref = (const struct ddfs_extent_ref *)n->payload + p->idx[i];
		if (p->idx[i] && ddfs_le32(ref->lblk) > first)
			first = ddfs_le32(ref->lblk);
		blk = ddfs_le64(ref->child);
	}
	p->entry = (const void *)n->payload;
	p->nr = ddfs_le16(n->nr);
	p->idx[p->depth - 1] = entries_last_below(p->entry, p->nr, lblk);
	return check_range(fs, di, p, first);
}

struct ddfs_extent *ddfs_extent_edit(
	struct ddfs_tx *tx, struct ddfs_inode_disk *di, const struct ddfs_extent_path *p)
{
	if (!p->depth)
		return di->body.extent;
	return (struct ddfs_extent *)ddfs_node_edit(tx, p->blk[p->depth - 1])->payload;
}

static void blocks_add(struct ddfs_inode_disk *di, int64_t n)
{
	di->nr_blocks = ddfs_to64(ddfs_le64(di->nr_blocks) + (uint64_t)n);
}

/* Entries and references are both 16 bytes. */
static void slot_insert(struct ddfs_node *n, unsigned int at, const void *entry)
{
	unsigned int nr = ddfs_le16(n->nr);

	memmove(n->payload + (at + 1) * 16, n->payload + at * 16, (nr - at) * 16);
	memcpy(n->payload + at * 16, entry, 16);
	n->nr = ddfs_to16((uint16_t)(nr + 1));
}

static void slot_delete(struct ddfs_node *n, unsigned int at)
{
	unsigned int nr = ddfs_le16(n->nr) - 1u;

	memmove(n->payload + at * 16, n->payload + (at + 1) * 16, (nr - at) * 16);
	n->nr = ddfs_to16((uint16_t)nr);
}

static int node_add(
	struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint8_t level, struct ddfs_node **out)
{
	int err = ddfs_node_new(tx, ddfs_le32(di->ino), DDFS_NODE_EXTENT, level, 0, out);

	if (!err)
		blocks_add(di, 1);
	return err;
}

/* A root above the two nodes that the old one was split into. */
static int grow_root(struct ddfs_tx *tx, struct ddfs_inode_disk *di, uint64_t left,
	const struct ddfs_extent_ref *right)
{
	struct ddfs_extent_ref first = { .child = ddfs_to64(left) };
	struct ddfs_node *root;
	int err;

	if (di->depth == MAX_DEPTH)
		return -EFBIG;
	err = node_add(tx, di, di->depth, &root);
	if (err)
		return err;
	slot_insert(root, 0, &first);
	slot_insert(root, 1, right);
	di->body.root = root->self;
	di->depth++;
	return 0;
}

/* Put a 16-byte entry into the node at step i of the path, splitting it and, if need be, those
 * above it. */
static int path_insert(struct ddfs_tx *tx, struct ddfs_inode_disk *di,
	const struct ddfs_extent_path *p, unsigned int i, unsigned int at, const void *entry)
{
	struct ddfs_extent_ref ref;

	for (;; i--) {
		struct ddfs_node *n = ddfs_node_edit(tx, p->blk[i]), *right;
		unsigned int nr = ddfs_le16(n->nr), keep;
		int err;

		if (nr < DDFS_NODE_ENTRIES) {
			slot_insert(n, at, entry);
			return 0;
		}
		err = node_add(tx, di, n->level, &right);
		if (err)
			return err;
		/* A file that grows at its end leaves full nodes behind. */
		keep = at == nr ? nr : nr / 2;
		memcpy(right->payload, n->payload + keep * 16, (nr - keep) * 16);
		right->nr = ddfs_to16((uint16_t)(nr - keep));
		n->nr = ddfs_to16((uint16_t)keep);
		if (at >= keep && (at > keep || keep == nr))
			slot_insert(right, at - keep, entry);
		else
			slot_insert(n, at, entry);
		ref = (struct ddfs_extent_ref){ .child = right->self };
		memcpy(&ref.lblk, right->payload, sizeof(ref.lblk));
		if (!i)
			return grow_root(tx, di, p->blk[0], &ref);
		entry = &ref;
		at = p->idx[i - 1] + 1u;
	}
}

/* Move the inode's own entries to a first node. */
static int leave_inode(struct ddfs_tx *tx, struct ddfs_inode_disk *di)
{
	unsigned int nr = ddfs_le16(di->nr_extents);
	struct ddfs_node *n;
	int err = node_add(tx, di, 0, &n);

	if (err)
		return err;
	memcpy(n->payload, di->body.extent, nr * 16);
	n->nr = ddfs_to16((uint16_t)nr);
	memset(&di->body, 0, sizeof(di->body));
	di->body.root = n->self;
	di->nr_extents = ddfs_to16(0);
	di->depth = 1;
	return 0;
}

int ddfs_extent_add_entry(struct ddfs_tx *tx, struct ddfs_inode_disk *di,
	struct ddfs_extent_path *p, unsigned int at, struct ddfs_extent e)
{
	if (!p->depth && p->nr < DDFS_INLINE_EXTENTS) {
		memmove(&di->body.extent[at + 1], &di->body.extent[at], (p->nr - at) * 16u);
		di->body.extent[at] = e;
		di->nr_extents = ddfs_to16((uint16_t)(p->nr + 1));
		return 0;
	}
	if (!p->depth) {
		int err = leave_inode(tx, di);

		if (err)
			return err;
		p->depth = 1;
		p->blk[0] = ddfs_le64(di->body.root);
	}
	return path_insert(tx, di, p, p->depth - 1u, at, &e);
}

/* Few entries go back into the inode; a root with one child gives way to it. */
static void shrink_root(struct ddfs_tx *tx, struct ddfs_inode_disk *di)
{
	while (di->depth) {
		uint64_t blk = ddfs_le64(di->body.root);
		const struct ddfs_node *n = ddfs_tx_view(tx->fs, tx, ddfs_block_off(blk));
		unsigned int nr = ddfs_le16(n->nr);

		if (!n->level && nr <= DDFS_INLINE_EXTENTS) {
			memset(&di->body, 0, sizeof(di->body));
			memcpy(di->body.extent, n->payload, nr * 16);
			di->nr_extents = ddfs_to16((uint16_t)nr);
			di->depth = 0;
		} else if (n->level && nr == 1) {
			di->body.root = ((const struct ddfs_extent_ref *)n->payload)[0].child;
			di->depth--;
		} else {
			return;
		}
		ddfs_tx_free(tx, blk, 1);
		blocks_add(di, -1);
		if (di->depth) {
			const struct ddfs_node *child;

			/* Only a checked node may be looked into above. */
			if (ddfs_node_get(tx->fs, tx, ddfs_le64(di->body.root), DDFS_NODE_EXTENT,
				    (uint8_t)(di->depth - 1), &child)) {
				tx->error = -EUCLEAN;
				return;
			}
		}
	}
}

void ddfs_extent_del_entry(
	struct ddfs_tx *tx, struct ddfs_inode_disk *di, struct ddfs_extent_path *p, unsigned int at)
{
	unsigned int i = p->depth;

	if (!i) {
		memmove(&di->body.extent[at], &di->body.extent[at + 1], (p->nr - 1u - at) * 16u);
		memset(&di->body.extent[p->nr - 1], 0, 16);
		di->nr_extents = ddfs_to16((uint16_t)(p->nr - 1));
		return;
	}
	while (i--) {
		struct ddfs_node *n = ddfs_node_edit(tx, p->blk[i]);

		slot_delete(n, at);
		if (ddfs_le16(n->nr) || !i)
			break;
		ddfs_tx_free(tx, p->blk[i], 1);
		blocks_add(di, -1);
		at = p->idx[i - 1];
	}
	shrink_root(tx, di);
}
