/* SPDX-License-Identifier: BSD-3-Clause */
/* Trees of names; a directory is one. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "image/walk.h"

#define KEY_END	  (UINT64_C(1) << 63)
#define MAX_SLOTS 508u /* 32 bytes of head and as many of 8 fill a leaf */

uint64_t ddfs_image_name_hash(const struct ddfs_image *img, const void *name, size_t len)
{
	uint64_t h = XXH3_64bits_withSeed(name, len, ddfs_le64(img->super.hash_seed));

	h = h >> 1 & ~UINT64_C(127);
	return h ? h : 128;
}

/* ---- leaves --------------------------------------------------------------------------------- */

struct leaf {
	const struct ddfs_node *n;
	uint64_t from, to;
	bool torn; /* that has been told: what else does not hold goes without saying */
	uint64_t covered[DDFS_BLOCK_BYTES / 8 / 64]; /* by records so far: a bit for 8 bytes */
};

static const struct ddfs_name_record *record_at(const struct ddfs_node *n, unsigned int off)
{
	return (const void *)((const uint8_t *)n + off);
}

/* Whether the bytes were nobody's; now they are. */
static bool cover(struct leaf *l, unsigned int off, unsigned int len)
{
	for (unsigned int i = off / 8; i < (off + len) / 8; i++) {
		if (l->covered[i / 64] >> (i % 64) & 1)
			return false;
		l->covered[i / 64] |= UINT64_C(1) << (i % 64);
	}
	return true;
}

static bool slot_holds(const struct ddfs_image *img, struct leaf *l, const struct ddfs_name_slot *s)
{
	unsigned int off = ddfs_le16(s->off), len = ddfs_le16(s->len);
	const struct ddfs_name_record *r;
	uint64_t key, hash;

	if (off < ddfs_le16(l->n->low) || off % 8 || len % 8 || len < sizeof(*r) ||
		off + len > DDFS_BLOCK_BYTES)
		return false;
	r = record_at(l->n, off);
	key = ddfs_le64(r->key);
	if (!r->name_len || sizeof(*r) + r->name_len + ddfs_le16(r->val_len) > len ||
		key < l->from || key >= l->to || ddfs_le32(s->tag) != (uint32_t)(key >> 7))
		return false;
	hash = ddfs_image_name_hash(img, r + 1, r->name_len);
	return (img->flags & DDFS_IMAGE_HASH_ANY || hash == (key & ~UINT64_C(127))) &&
	       cover(l, off, len);
}

struct place {
	uint64_t key;
	unsigned int off;
};

static int by_key(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static void leaf_fault(const struct ddfs_image_trip *t, const struct leaf *l,
	enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to)
{
	if (!l->torn)
		ddfs_image_trip_fault(t, fault, blk, from, to);
}

/* Finds the records that hold, in the order of keys; returns how many. */
static unsigned int find_records(
	const struct ddfs_image_trip *t, uint64_t blk, struct leaf *l, struct place *out)
{
	const struct ddfs_name_slot *s = (const void *)l->n->payload;
	unsigned int nr = ddfs_le16(l->n->nr), found = 0, live = 0;
	bool dead = false; /* the last one */

	for (unsigned int i = 0; i < nr; i++) {
		unsigned int off = ddfs_le16(s[i].off);

		dead = !off;
		if (dead)
			continue;
		live += ddfs_le16(s[i].len);
		if (slot_holds(t->img, l, &s[i]))
			out[found++] = (struct place){ ddfs_le64(record_at(l->n, off)->key), off };
		else
			leaf_fault(t, l, DDFS_FAULT_RECORD, blk, l->from, l->to);
	}
	if (live != ddfs_le16(l->n->live) || dead)
		leaf_fault(t, l, DDFS_FAULT_LIVE, blk, l->from, l->to);
	qsort(out, found, sizeof(*out), by_key);
	return found;
}

static int tell_record(const struct ddfs_image_names *names, const struct leaf *l, uint64_t blk,
	const struct ddfs_name_record *r)
{
	struct ddfs_image_record out = {
		.key = ddfs_le64(r->key),
		.type = r->type,
		.name_len = r->name_len,
		.val_len = ddfs_le16(r->val_len),
		.name = (const uint8_t *)(r + 1),
		.value = (const uint8_t *)(r + 1) + r->name_len,
	};

	if (names->check(&out))
		return names->tell(names->trip, &out);
	leaf_fault(names->trip, l, names->refused, blk, out.key, out.key + 1);
	return 0;
}

static int walk_leaf(const struct ddfs_image_names *names, uint64_t blk, const struct ddfs_node *n,
	uint64_t from, uint64_t to, bool torn)
{
	struct leaf l = { .n = n, .from = from, .to = to, .torn = torn };
	struct place at[MAX_SLOTS];
	unsigned int found = find_records(names->trip, blk, &l, at);
	int err = 0;

	for (unsigned int i = 0; i < found && err >= 0; i++) {
		if (i && at[i].key == at[i - 1].key)
			leaf_fault(
				names->trip, &l, DDFS_FAULT_TWICE, blk, at[i].key, at[i].key + 1);
		else
			err = tell_record(names, &l, blk, record_at(n, at[i].off));
	}
	return err;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static bool entries_hold(const struct ddfs_node *n)
{
	unsigned int nr = ddfs_le16(n->nr), low = ddfs_le16(n->low);

	if (n->level)
		return nr && nr <= DDFS_NODE_ENTRIES;
	return nr && nr <= MAX_SLOTS && low <= DDFS_BLOCK_BYTES &&
	       offsetof(struct ddfs_node, payload) + nr * sizeof(struct ddfs_name_slot) <= low;
}

static int walk_node(const struct ddfs_image_names *names, uint64_t blk, unsigned int level,
	uint64_t from, uint64_t to);

static int walk_refs(const struct ddfs_image_names *names, uint64_t blk, const struct ddfs_node *n,
	uint64_t from, uint64_t to, bool torn)
{
	const struct ddfs_name_ref *r = (const void *)n->payload;
	unsigned int nr = ddfs_le16(n->nr);
	int err = 0;

	for (unsigned int i = 0; i < nr && err >= 0; i++) {
		/* As of extents. */
		uint64_t lo = i ? ddfs_le64(r[i].key) : from;
		uint64_t hi = i + 1 < nr ? ddfs_le64(r[i + 1].key) : to;

		if (lo < from || hi > to || lo >= hi || lo % 128) {
			if (torn)
				continue;
			ddfs_image_trip_fault(names->trip, DDFS_FAULT_ORDER, blk, lo, hi);
			lo = from;
			hi = to;
		}
		ddfs_image_trip_enter(names->trip, torn);
		err = walk_node(names, ddfs_le64(r[i].child), n->level - 1u, lo, hi);
		ddfs_image_trip_leave(names->trip, torn);
	}
	return err;
}

static int walk_node(const struct ddfs_image_names *names, uint64_t blk, unsigned int level,
	uint64_t from, uint64_t to)
{
	uint16_t type = level ? DDFS_NODE_NAME_INDEX : DDFS_NODE_NAME_LEAF;
	struct ddfs_node n;
	int ret = ddfs_image_trip_node(names->trip, blk, type, level, from, to, &n);
	bool torn = ret == DDFS_IMAGE_NODE_TORN;

	if (ret < 0 || ret == DDFS_IMAGE_NODE_NONE || (torn && !level && !names->keeps_torn))
		return ret < 0 ? ret : 0;
	if (!entries_hold(&n)) {
		ddfs_image_trip_fault(names->trip, DDFS_FAULT_ENTRIES, blk, from, to);
		return 0;
	}
	if (!torn)
		ddfs_image_trip_holds(names->trip, blk, &n);
	return level ? walk_refs(names, blk, &n, from, to, torn)
		     : walk_leaf(names, blk, &n, from, to, torn);
}

int ddfs_image_names_walk(const struct ddfs_image_names *names, uint64_t root, unsigned int depth)
{
	/* Even of an empty one: a mount refuses it. */
	if (depth > DDFS_IMAGE_MAX_DEPTH) {
		ddfs_image_trip_fault(names->trip, DDFS_FAULT_DEPTH, 0, 0, KEY_END);
		return 0;
	}
	if (!root)
		return 0;
	return walk_node(names, root, depth, 0, KEY_END);
}

/* ---- directories ---------------------------------------------------------------------------- */

static bool has_ino(const struct ddfs_image_record *r)
{
	return r->val_len == sizeof(struct ddfs_dirent_value);
}

static int tell_entry(struct ddfs_image_trip *t, const struct ddfs_image_record *r)
{
	return t->walk->record ? t->walk->record(t->walk->arg, r) : 0;
}

int ddfs_image_walk_names(const struct ddfs_image *img, const struct ddfs_inode_disk *di,
	const struct ddfs_image_walk *walk)
{
	struct ddfs_image_trip trip = ddfs_image_trip_init(img, walk, ddfs_le32(di->ino));
	struct ddfs_image_names names = { &trip, has_ino, DDFS_FAULT_RECORD, tell_entry, true };

	return ddfs_image_names_walk(&names, ddfs_le64(di->body.root), di->depth);
}
