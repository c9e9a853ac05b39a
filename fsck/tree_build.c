/* SPDX-License-Identifier: BSD-3-Clause */
/* Extents, values, and the index levels that all trees have; names_build.c makes name leaves. */
#include "fsck/tree_build.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fsck/tree_build_priv.h"
#include "fsck/room.h"

/* ---- nodes ---------------------------------------------------------------------------------- */

int fsck_node_begin(const struct fsck_builder *b, uint32_t owner, uint16_t type, uint8_t level,
	struct ddfs_node *n)
{
	uint64_t blk;
	int err = b->get(b->arg, &blk);

	if (err)
		return err;
	memset(n, 0, sizeof(*n));
	n->type = ddfs_to16(type);
	n->level = level;
	n->self = ddfs_to64(blk);
	n->owner = ddfs_to32(owner);
	n->low = ddfs_to16(DDFS_BLOCK_BYTES);
	return 0;
}

void fsck_node_end(const struct fsck_builder *b, struct ddfs_node *n)
{
	b->put(b->arg, ddfs_le64(n->self), n);
}

int fsck_refs_add(struct fsck_refs *l, uint64_t key, uint64_t child)
{
	struct ddfs_name_ref *e = fsck_room(l->e, l->nr, &l->cap, sizeof(*e));

	if (!e)
		return -ENOMEM;
	l->e = e;
	l->e[l->nr++] = (struct ddfs_name_ref){ ddfs_to64(key), ddfs_to64(child) };
	return 0;
}

/* The level above the one that refs lead to: as many nodes as it takes, and references to them. */
static int build_level(struct fsck_refs *refs, const struct fsck_builder *b, uint32_t owner,
	uint16_t type, struct fsck_tree *tree)
{
	size_t nr_above = 0, take;
	struct ddfs_node n;

	for (size_t i = 0; i < refs->nr; i += take) {
		int err = fsck_node_begin(b, owner, type, (uint8_t)(tree->depth + 1), &n);

		if (err)
			return err;
		take = refs->nr - i < DDFS_NODE_ENTRIES ? refs->nr - i : DDFS_NODE_ENTRIES;
		memcpy(n.payload, refs->e + i, take * sizeof(*refs->e));
		n.nr = ddfs_to16((uint16_t)take);
		fsck_node_end(b, &n);
		refs->e[nr_above++] = (struct ddfs_name_ref){ refs->e[i].key, n.self };
		tree->nr_nodes++;
	}
	refs->nr = nr_above;
	tree->depth++;
	return 0;
}

int fsck_refs_build(struct fsck_refs *refs, const struct fsck_builder *b, uint32_t owner,
	uint16_t type, struct fsck_tree *tree)
{
	while (refs->nr > 1) {
		int err = build_level(refs, b, owner, type, tree);

		if (err)
			return err;
	}
	tree->root = refs->nr ? ddfs_le64(refs->e[0].child) : 0;
	return 0;
}

/* ---- extents -------------------------------------------------------------------------------- */

static bool joins(const struct ddfs_extent *last, uint32_t lblk, uint32_t len, uint64_t start)
{
	return (uint64_t)ddfs_le32(last->lblk) + ddfs_le32(last->len) == lblk &&
	       ddfs_le64(last->start) + ddfs_le32(last->len) == start &&
	       ddfs_le32(last->len) <= UINT32_MAX - len;
}

int fsck_extents_add(struct fsck_extents *x, uint32_t lblk, uint32_t len, uint64_t start)
{
	struct ddfs_extent *last = x->nr ? &x->e[x->nr - 1] : NULL, *e;

	if (last && joins(last, lblk, len, start)) {
		last->len = ddfs_to32(ddfs_le32(last->len) + len);
		return 0;
	}
	e = fsck_room(x->e, x->nr, &x->cap, sizeof(*e));
	if (!e)
		return -ENOMEM;
	x->e = e;
	x->e[x->nr++] = (struct ddfs_extent){ ddfs_to32(lblk), ddfs_to32(len), ddfs_to64(start) };
	return 0;
}

void fsck_extents_fini(struct fsck_extents *x)
{
	free(x->e);
	memset(x, 0, sizeof(*x));
}

static int build_extent_leaves(const struct fsck_extents *x, const struct fsck_builder *b,
	uint32_t owner, struct fsck_refs *refs)
{
	struct ddfs_node n;
	size_t take;

	for (size_t i = 0; i < x->nr; i += take) {
		int err = fsck_node_begin(b, owner, DDFS_NODE_EXTENT, 0, &n);

		if (err)
			return err;
		take = x->nr - i < DDFS_NODE_ENTRIES ? x->nr - i : DDFS_NODE_ENTRIES;
		memcpy(n.payload, x->e + i, take * sizeof(*x->e));
		n.nr = ddfs_to16((uint16_t)take);
		fsck_node_end(b, &n);
		err = fsck_refs_add(refs, ddfs_le32(x->e[i].lblk), ddfs_le64(n.self));
		if (err)
			return err;
	}
	return 0;
}

int fsck_extents_build(const struct fsck_extents *x, const struct fsck_builder *b, uint32_t owner,
	struct ddfs_inode_disk *di, uint64_t *nr_nodes)
{
	struct fsck_tree tree = { 0 };
	struct fsck_refs refs = { 0 };
	bool is_inline = x->nr <= DDFS_INLINE_EXTENTS;
	int err = 0;

	if (!is_inline) {
		err = build_extent_leaves(x, b, owner, &refs);
		tree.nr_nodes = refs.nr;
		if (!err)
			err = fsck_refs_build(&refs, b, owner, DDFS_NODE_EXTENT, &tree);
		free(refs.e);
	}
	if (err)
		return err;
	memset(&di->body, 0, sizeof(di->body));
	di->nr_extents = ddfs_to16(is_inline ? (uint16_t)x->nr : 0);
	/* `depth` counts the leaves as well. */
	di->depth = is_inline ? 0 : (uint8_t)(tree.depth + 1);
	if (!is_inline)
		di->body.root = ddfs_to64(tree.root);
	else if (x->nr)
		memcpy(di->body.extent, x->e, x->nr * sizeof(*x->e));
	*nr_nodes = tree.nr_nodes;
	return 0;
}

/* ---- values --------------------------------------------------------------------------------- */

static void fill_value(struct ddfs_node *n, const uint8_t *value, uint32_t len, uint64_t next)
{
	struct ddfs_value_head *head = (void *)n->payload;

	head->next = ddfs_to64(next);
	memcpy(head + 1, value, len);
	n->nr = ddfs_to16((uint16_t)len);
}

/* From its end, since each block names the one behind it. */
int fsck_value_build(const void *value, uint32_t len, const struct fsck_builder *b, uint32_t owner,
	struct ddfs_xattr_ref *out, uint64_t *nr_nodes)
{
	uint32_t at = (len - 1) / DDFS_VALUE_BYTES * DDFS_VALUE_BYTES, end = len;
	struct ddfs_node n;
	uint64_t next = 0;

	for (;; end = at, at -= DDFS_VALUE_BYTES) {
		int err = fsck_node_begin(b, owner, DDFS_NODE_VALUE, 0, &n);

		if (err)
			return err;
		fill_value(&n, (const uint8_t *)value + at, end - at, next);
		fsck_node_end(b, &n);
		next = ddfs_le64(n.self);
		++*nr_nodes;
		if (!at)
			break;
	}
	*out = (struct ddfs_xattr_ref){ .first = ddfs_to64(next), .len = ddfs_to32(len) };
	return 0;
}
