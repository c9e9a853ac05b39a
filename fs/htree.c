/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree above the leaves: descending, splitting, emptying. htree_leaf.c knows what is in one. */
#include "fs/htree.h"

#include <stdlib.h>
#include <string.h>

#include "fs/core.h"
#include "fs/htree_leaf.h"
#include "fs/node.h"
#include "fs/tx.h"

#define MAX_DEPTH 8
#define KEY_NONE  UINT64_MAX

/* A way from the root to a leaf. */
struct path {
	uint64_t blk[MAX_DEPTH + 1]; /* [depth] is the leaf */
	unsigned int idx[MAX_DEPTH]; /* of the reference followed */
	uint64_t next; /* least key of the leaf to the right; KEY_NONE: no such leaf */
	const struct ddfs_node *leaf;
};

static unsigned int refs_last_below(const struct ddfs_node *n, uint64_t key)
{
	const struct ddfs_name_ref *r = (const void *)n->payload;
	unsigned int lo = 0, hi = ddfs_le16(n->nr);

	while (hi - lo > 1) {
		unsigned int mid = (lo + hi) / 2;

		if (ddfs_le64(r[mid].key) <= key)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static int descend(struct ddfs_fs *fs, const struct ddfs_tx *tx, const struct ddfs_htree *t,
	uint64_t key, struct path *p)
{
	uint64_t blk = t->root;

	p->next = KEY_NONE;
	for (unsigned int i = 0; i < t->depth; i++) {
		const struct ddfs_node *n;
		const struct ddfs_name_ref *r;
		int err = ddfs_node_get(
			fs, tx, blk, DDFS_NODE_NAME_INDEX, (uint8_t)(t->depth - i), &n);

		if (err)
			return err;
		r = (const void *)n->payload;
		p->blk[i] = blk;
		p->idx[i] = refs_last_below(n, key);
		if (p->idx[i] + 1u < ddfs_le16(n->nr))
			p->next = ddfs_le64(r[p->idx[i] + 1].key);
		blk = ddfs_le64(r[p->idx[i]].child);
	}
	p->blk[t->depth] = blk;
	return ddfs_node_get(fs, tx, blk, DDFS_NODE_NAME_LEAF, 0, &p->leaf);
}

static int find(struct ddfs_fs *fs, const struct ddfs_tx *tx, const struct ddfs_htree *t,
	const char *name, size_t len, struct path *p, int *slot)
{
	uint64_t hash = ddfs_name_hash(fs, name, len);
	int err;

	if (!t->root)
		return -ENOENT;
	/* Names of one hash share a leaf. */
	err = descend(fs, tx, t, hash, p);
	if (err)
		return err;
	*slot = ddfs_leaf_find(p->leaf, hash, name, len);
	return *slot < 0 ? -ENOENT : 0;
}

int ddfs_htree_find(struct ddfs_fs *fs, const struct ddfs_tx *tx, const struct ddfs_htree *t,
	const char *name, size_t len, struct ddfs_hrecord *out)
{
	struct path p;
	int slot, err = find(fs, tx, t, name, len, &p, &slot);

	if (!err)
		ddfs_leaf_record(p.leaf, (unsigned int)slot, out);
	return err;
}

static int node_add(struct ddfs_tx *tx, struct ddfs_htree *t, uint16_t type, uint8_t level,
	uint64_t goal, struct ddfs_node **out)
{
	int err = ddfs_node_new(tx, t->owner, type, level, goal, out);

	if (!err)
		t->nr_blocks++;
	return err;
}

static void ref_insert(struct ddfs_node *n, unsigned int at, uint64_t key, struct le64 child)
{
	struct ddfs_name_ref *r = (void *)n->payload;
	unsigned int nr = ddfs_le16(n->nr);

	memmove(r + at + 1, r + at, (nr - at) * sizeof(*r));
	r[at] = (struct ddfs_name_ref){ .key = ddfs_to64(key), .child = child };
	n->nr = ddfs_to16((uint16_t)(nr + 1));
}

static int grow_root(struct ddfs_tx *tx, struct ddfs_htree *t, uint64_t key, struct le64 right)
{
	struct ddfs_node *root;
	int err;

	if (t->depth == MAX_DEPTH)
		return -ENOSPC;
	err = node_add(tx, t, DDFS_NODE_NAME_INDEX, (uint8_t)(t->depth + 1), 0, &root);
	if (err)
		return err;
	ref_insert(root, 0, 0, ddfs_to64(t->root));
	ref_insert(root, 1, key, right);
	t->root = ddfs_le64(root->self);
	t->depth++;
	return 0;
}

/* Refer to a node split off to the right of the one at step i + 1 of the path. */
static int path_insert(struct ddfs_tx *tx, struct ddfs_htree *t, const struct path *p,
	unsigned int i, uint64_t key, struct le64 child)
{
	while (i--) {
		struct ddfs_node *n = ddfs_node_edit(tx, p->blk[i]), *right;
		unsigned int nr = ddfs_le16(n->nr), keep = nr / 2, at = p->idx[i] + 1;
		const struct ddfs_name_ref *r = (const void *)n->payload;
		int err;

		if (nr < DDFS_NODE_ENTRIES) {
			ref_insert(n, at, key, child);
			return 0;
		}
		err = node_add(tx, t, DDFS_NODE_NAME_INDEX, n->level, p->blk[i], &right);
		if (err)
			return err;
		memcpy(right->payload, r + keep, (nr - keep) * sizeof(*r));
		right->nr = ddfs_to16((uint16_t)(nr - keep));
		n->nr = ddfs_to16((uint16_t)keep);
		if (at > keep)
			ref_insert(right, at - keep, key, child);
		else
			ref_insert(n, at, key, child);
		key = ddfs_le64(((const struct ddfs_name_ref *)right->payload)->key);
		child = right->self;
	}
	return grow_root(tx, t, key, child);
}

/* Move the upper half of the leaf's keys to a new one. */
static int split_leaf(struct ddfs_tx *tx, struct ddfs_htree *t, const struct path *p)
{
	uint64_t blk = p->blk[t->depth], key;
	struct ddfs_node *right;
	int err = ddfs_leaf_split_key(p->leaf, &key);

	if (err)
		return err;
	err = node_add(tx, t, DDFS_NODE_NAME_LEAF, 0, blk, &right);
	if (err)
		return err;
	ddfs_leaf_split(ddfs_node_edit(tx, blk), right, key);
	return path_insert(tx, t, p, t->depth, key, right->self);
}

int ddfs_htree_insert(struct ddfs_tx *tx, struct ddfs_htree *t, const char *name, size_t len,
	uint8_t type, const void *value, size_t val_len)
{
	struct ddfs_hrecord r = {
		.key = ddfs_name_hash(tx->fs, name, len),
		.type = type,
		.name_len = (uint16_t)len,
		.val_len = (uint16_t)val_len,
		.name = name,
		.value = value,
	};
	struct ddfs_node *leaf;
	struct path p;
	int err;

	if (!t->root) {
		err = node_add(tx, t, DDFS_NODE_NAME_LEAF, 0, 0, &leaf);
		if (err)
			return err;
		t->root = ddfs_le64(leaf->self);
		t->depth = 0;
		return ddfs_leaf_insert(leaf, &r);
	}
	for (;;) {
		err = descend(tx->fs, tx, t, r.key, &p);
		if (err)
			return err;
		if (ddfs_leaf_fits(p.leaf, &r))
			break;
		/* Names of different length may ask for a second split. */
		err = split_leaf(tx, t, &p);
		if (err)
			return err;
		if (tx->error)
			return tx->error;
	}
	return ddfs_leaf_insert(ddfs_node_edit(tx, p.blk[t->depth]), &r);
}

/* The node at step i of the path is empty: it goes, and those above that it empties. */
static int drop_empty(struct ddfs_tx *tx, struct ddfs_htree *t, const struct path *p)
{
	unsigned int i = t->depth;

	for (;;) {
		struct ddfs_node *n;
		struct ddfs_name_ref *r;
		unsigned int nr;

		ddfs_tx_free(tx, p->blk[i], 1);
		t->nr_blocks--;
		if (!i) {
			t->root = 0;
			t->depth = 0;
			return 0;
		}
		i--;
		n = ddfs_node_edit(tx, p->blk[i]);
		r = (void *)n->payload;
		nr = ddfs_le16(n->nr) - 1u;
		memmove(r + p->idx[i], r + p->idx[i] + 1, (nr - p->idx[i]) * sizeof(*r));
		n->nr = ddfs_to16((uint16_t)nr);
		if (nr)
			break;
	}
	/* A root with one child gives way to it. */
	while (t->depth) {
		const struct ddfs_node *n;
		int err = ddfs_node_get(tx->fs, tx, t->root, DDFS_NODE_NAME_INDEX, t->depth, &n);

		if (err)
			return err;
		if (ddfs_le16(n->nr) > 1)
			break;
		ddfs_tx_free(tx, t->root, 1);
		t->nr_blocks--;
		t->root = ddfs_le64(((const struct ddfs_name_ref *)n->payload)->child);
		t->depth--;
	}
	return 0;
}

int ddfs_htree_remove(struct ddfs_tx *tx, struct ddfs_htree *t, const char *name, size_t len)
{
	struct ddfs_node *leaf;
	struct path p;
	int slot, err = find(tx->fs, tx, t, name, len, &p, &slot);

	if (err)
		return err;
	leaf = ddfs_node_edit(tx, p.blk[t->depth]);
	ddfs_leaf_remove(leaf, (unsigned int)slot);
	return ddfs_le16(leaf->live) ? 0 : drop_empty(tx, t, &p);
}

int ddfs_htree_replace(struct ddfs_tx *tx, struct ddfs_htree *t, const char *name, size_t len,
	uint8_t type, const void *value, size_t val_len)
{
	struct path p;
	int slot, err = find(tx->fs, tx, t, name, len, &p, &slot);

	if (err)
		return err;
	ddfs_leaf_replace(
		ddfs_node_edit(tx, p.blk[t->depth]), (unsigned int)slot, type, value, val_len);
	return 0;
}

int ddfs_htree_walk(struct ddfs_fs *fs, const struct ddfs_tx *tx, const struct ddfs_htree *t,
	uint64_t after, ddfs_htree_fn fn, void *arg)
{
	uint64_t from = after + 1;
	struct path p;

	if (!t->root)
		return 0;
	do {
		int err = descend(fs, tx, t, from, &p);

		if (err)
			return err;
		err = ddfs_leaf_walk(p.leaf, from, fn, arg);
		if (err)
			return err;
		from = p.next;
	} while (p.next != KEY_NONE);
	return 0;
}
