/* SPDX-License-Identifier: BSD-3-Clause */
/* Leaves of name trees. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fsck/tree_build_priv.h"
#include "fsck/room.h"

#define HASH_MASK  (~UINT64_C(127))
#define LEAF_BYTES (DDFS_BLOCK_BYTES - 32u)

static int reserve_bytes(struct fsck_names *l, size_t len)
{
	size_t cap = l->cap_bytes ? l->cap_bytes : 4096;
	uint8_t *bytes;

	while (cap < l->nr_bytes + len)
		cap *= 2;
	if (cap == l->cap_bytes)
		return 0;
	bytes = realloc(l->bytes, cap);
	if (!bytes)
		return -ENOMEM;
	l->bytes = bytes;
	l->cap_bytes = cap;
	return 0;
}

static int reserve_name(struct fsck_names *l)
{
	struct fsck_name *e = fsck_room(l->e, l->nr, &l->cap, sizeof(*e));

	if (!e)
		return -ENOMEM;
	l->e = e;
	return 0;
}

int fsck_names_add(
	struct fsck_names *l, const struct fsck_name *n, const void *name, const void *value)
{
	if (reserve_name(l) || reserve_bytes(l, (size_t)n->name_len + n->val_len))
		return -ENOMEM;
	l->e[l->nr] = *n;
	l->e[l->nr++].at = l->nr_bytes;
	memcpy(l->bytes + l->nr_bytes, name, n->name_len);
	l->nr_bytes += n->name_len;
	if (n->val_len)
		memcpy(l->bytes + l->nr_bytes, value, n->val_len);
	l->nr_bytes += n->val_len;
	return 0;
}

void fsck_names_fini(struct fsck_names *l)
{
	free(l->e);
	free(l->bytes);
	memset(l, 0, sizeof(*l));
}

const uint8_t *fsck_names_bytes(const struct fsck_names *l, const struct fsck_name *n)
{
	return l->bytes + n->at;
}

/* Of equal keys the one that was added first goes first, and keeps its key. */
static int by_key(const void *a, const void *b)
{
	const struct fsck_name *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static unsigned int record_bytes(const struct fsck_name *n)
{
	return ((unsigned int)sizeof(struct ddfs_name_record) + n->name_len + n->val_len + 7) & ~7u;
}

static unsigned int room_of(const struct fsck_name *n)
{
	return record_bytes(n) + (unsigned int)sizeof(struct ddfs_name_slot);
}

/* ---- names of one hash ---------------------------------------------------------------------- */

/* They share a leaf, have different names, and numbers from 0 to 127 that differ. */
struct group {
	size_t first, nr; /* kept of it, from e[first] on */
	unsigned int bytes;
	uint64_t taken[2]; /* numbers */
};

static bool is_taken(const struct group *g, uint64_t key)
{
	return g->taken[key >> 6 & 1] >> (key & 63) & 1;
}

static void take(struct group *g, uint64_t key)
{
	g->taken[key >> 6 & 1] |= UINT64_C(1) << (key & 63);
}

static bool has_name(const struct fsck_names *l, const struct group *g, const struct fsck_name *n)
{
	for (size_t i = g->first; i < g->first + g->nr; i++)
		if (l->e[i].name_len == n->name_len &&
			memcmp(l->bytes + l->e[i].at, l->bytes + n->at, n->name_len) == 0)
			return true;
	return false;
}

/* The numbers that records have, but not those that two have, are not to be given to another. */
static void take_present(const struct fsck_names *l, struct group *g, size_t end)
{
	for (size_t i = g->first; i < end; i++)
		take(g, l->e[i].key);
}

static bool renumber(struct group *g, struct fsck_name *n)
{
	for (unsigned int i = 0; i < 128; i++) {
		uint64_t key = (n->key & HASH_MASK) | i;

		if (is_taken(g, key))
			continue;
		n->key = key;
		take(g, key);
		return true;
	}
	return false;
}

static bool group_add(struct fsck_names *l, struct group *g, const struct fsck_name *n)
{
	if (g->bytes + room_of(n) > LEAF_BYTES || has_name(l, g, n))
		return false;
	l->e[g->first + g->nr++] = *n;
	g->bytes += room_of(n);
	return true;
}

/* Moves the group at e[*next], as far as it can be kept, to e[to]. */
static struct group gather(struct fsck_names *l, size_t to, size_t *next)
{
	uint64_t hash = l->e[*next].key & HASH_MASK, last = UINT64_MAX;
	struct group g = { .first = *next };
	size_t end = *next;

	while (end < l->nr && (l->e[end].key & HASH_MASK) == hash)
		end++;
	take_present(l, &g, end);
	g.first = to;
	for (size_t i = *next; i < end; i++) {
		uint64_t key = l->e[i].key;
		struct fsck_name n = l->e[i];

		if ((key == last && !renumber(&g, &n)) || !group_add(l, &g, &n))
			l->nr_dropped++;
		last = key;
	}
	*next = end;
	return g;
}

/* ---- leaves --------------------------------------------------------------------------------- */

static void append(struct ddfs_node *node, const struct fsck_names *l, const struct fsck_name *n)
{
	unsigned int nr = ddfs_le16(node->nr), len = record_bytes(n);
	unsigned int off = ddfs_le16(node->low) - len;
	struct ddfs_name_slot *slot = (struct ddfs_name_slot *)node->payload + nr;
	struct ddfs_name_record *r = (void *)((uint8_t *)node + off);

	*slot = (struct ddfs_name_slot){ .tag = ddfs_to32((uint32_t)(n->key >> 7)),
		.off = ddfs_to16((uint16_t)off),
		.len = ddfs_to16((uint16_t)len) };
	*r = (struct ddfs_name_record){ .key = ddfs_to64(n->key),
		.type = n->type,
		.name_len = n->name_len,
		.val_len = ddfs_to16(n->val_len) };
	memcpy(r + 1, l->bytes + n->at, (size_t)n->name_len + n->val_len);
	node->nr = ddfs_to16((uint16_t)(nr + 1));
	node->low = ddfs_to16((uint16_t)off);
	node->live = ddfs_to16((uint16_t)(ddfs_le16(node->live) + len));
}

/* Leaves being filled, one after the other. */
struct filling {
	struct fsck_names *l;
	const struct fsck_builder *b;
	uint32_t owner;
	struct fsck_refs refs;
	struct ddfs_node leaf;
	unsigned int used; /* bytes of the leaf, behind its head */
	bool open;
};

static void end_leaf(struct filling *f)
{
	if (f->open)
		fsck_node_end(f->b, &f->leaf);
	f->open = false;
	f->used = 0;
}

static int put_group(struct filling *f, const struct group *g)
{
	const struct fsck_name *n = f->l->e + g->first;
	int err;

	if (f->used + g->bytes > LEAF_BYTES)
		end_leaf(f);
	if (!f->open) {
		err = fsck_node_begin(f->b, f->owner, DDFS_NODE_NAME_LEAF, 0, &f->leaf);
		if (!err)
			err = fsck_refs_add(&f->refs, n->key & HASH_MASK, ddfs_le64(f->leaf.self));
		if (err)
			return err;
		f->open = true;
	}
	for (size_t i = 0; i < g->nr; i++)
		append(&f->leaf, f->l, n + i);
	f->used += g->bytes;
	return 0;
}

static int build_leaves(struct filling *f)
{
	size_t next = 0, to = 0;

	while (next < f->l->nr) {
		struct group g = gather(f->l, to, &next);
		int err = put_group(f, &g);

		if (err)
			return err;
		to += g.nr;
	}
	f->l->nr = to;
	end_leaf(f);
	return 0;
}

int fsck_names_build(
	struct fsck_names *l, const struct fsck_builder *b, uint32_t owner, struct fsck_tree *out)
{
	struct filling f = { .l = l, .b = b, .owner = owner };
	struct fsck_tree tree = { 0 };
	int err;

	l->nr_dropped = 0;
	if (l->nr)
		qsort(l->e, l->nr, sizeof(*l->e), by_key);
	err = build_leaves(&f);
	tree.nr_nodes = f.refs.nr;
	if (!err)
		err = fsck_refs_build(&f.refs, b, owner, DDFS_NODE_NAME_INDEX, &tree);
	free(f.refs.e);
	if (!err)
		*out = tree;
	return err;
}
