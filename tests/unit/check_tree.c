/* SPDX-License-Identifier: BSD-3-Clause */
/* The trees of one inode: extents, names, xattrs. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/unit/check_priv.h"

/* ---- extents -------------------------------------------------------------------------------- */

struct extents {
	struct check *c;
	uint32_t ino;
	check_extent_fn fn;
	uint64_t nr_blocks;
	uint64_t next; /* the first block that the next extent may map */
};

static void check_entries(
	struct extents *x, const struct ddfs_extent *e, unsigned int nr, uint64_t from, uint64_t to)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t lblk = ddfs_le32(e[i].lblk), len = ddfs_le32(e[i].len);

		/* One that reached past `to` would be looked for in the next leaf. */
		if (!len || lblk < x->next || lblk < from || lblk + len > to)
			check_say(x->c, "inode %u: extent %llu+%llu out of order or place", x->ino,
				(unsigned long long)lblk, (unsigned long long)len);
		x->next = lblk + len;
		x->nr_blocks += len;
		if (check_claim(
			    x->c, x->ino, ddfs_le64(e[i].start) & ~DDFS_EXTENT_UNWRITTEN, len) &&
			x->fn)
			x->fn(x->c, x->ino, &e[i]);
	}
}

static void check_extent_node(
	struct extents *x, uint64_t blk, unsigned int level, uint64_t from, uint64_t to)
{
	const struct ddfs_node *n = check_node(x->c, x->ino, blk, DDFS_NODE_EXTENT, level);
	const struct ddfs_extent_ref *r;
	unsigned int nr;

	x->nr_blocks++;
	if (!n)
		return;
	r = (const void *)n->payload;
	nr = ddfs_le16(n->nr);
	if (!nr || nr > DDFS_NODE_ENTRIES) {
		check_say(x->c, "inode %u: extent node %llu has %u entries", x->ino,
			(unsigned long long)blk, nr);
	} else if (!level) {
		check_entries(x, (const void *)r, nr, from, to);
	} else {
		for (unsigned int i = 0; i < nr; i++) {
			/* The first reference takes all that lies before the second. */
			uint64_t lo = i ? ddfs_le32(r[i].lblk) : from;
			uint64_t hi = i + 1 < nr ? ddfs_le32(r[i + 1].lblk) : to;

			if (lo < from || hi > to || lo >= hi)
				check_say(x->c, "inode %u: extent node %llu: references disorder",
					x->ino, (unsigned long long)blk);
			check_extent_node(x, ddfs_le64(r[i].child), level - 1, lo, hi);
		}
	}
}

uint64_t check_extents(
	struct check *c, const struct ddfs_inode_disk *di, uint32_t ino, check_extent_fn fn)
{
	struct extents x = { .c = c, .ino = ino, .fn = fn };

	if (di->depth > 8 || ddfs_le16(di->nr_extents) > DDFS_INLINE_EXTENTS) {
		check_say(c, "inode %u: depth %u, %u extents", ino, di->depth,
			ddfs_le16(di->nr_extents));
		return 0;
	}
	if (di->depth)
		check_extent_node(
			&x, ddfs_le64(di->body.root), di->depth - 1u, 0, UINT64_C(1) << 32);
	else
		check_entries(&x, di->body.extent, ddfs_le16(di->nr_extents), 0, UINT64_C(1) << 32);
	return x.nr_blocks;
}

/* ---- names ---------------------------------------------------------------------------------- */

struct names {
	struct check *c;
	uint32_t ino;
	uint64_t nr_blocks;
	void (*record)(struct names *t, const struct ddfs_name_record *r);
};

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool hash_holds(const struct check *c, const struct ddfs_name_record *r)
{
	uint64_t h = XXH3_64bits_withSeed(r + 1, r->name_len, ddfs_le64(c->super.hash_seed));

	h = h >> 1 & ~UINT64_C(127);
	return c->flags & IMAGE_HASH_FAKED || (h ? h : 128) == (ddfs_le64(r->key) & ~UINT64_C(127));
}

static bool slot_holds(struct names *t, const struct ddfs_node *n, const struct ddfs_name_slot *s,
	uint64_t from, uint64_t to)
{
	unsigned int off = ddfs_le16(s->off), len = ddfs_le16(s->len);
	const struct ddfs_name_record *r = (const void *)((const uint8_t *)n + off);
	uint64_t key;

	if (off < ddfs_le16(n->low) || off % 8 || len % 8 || len < sizeof(*r) ||
		off + len > DDFS_BLOCK_BYTES)
		return false;
	key = ddfs_le64(r->key);
	return r->name_len && sizeof(*r) + r->name_len + ddfs_le16(r->val_len) <= len &&
	       key >= from && key < to && ddfs_le32(s->tag) == (uint32_t)(key >> 7) &&
	       hash_holds(t->c, r);
}

static void check_leaf(struct names *t, const struct ddfs_node *n, uint64_t from, uint64_t to)
{
	const struct ddfs_name_slot *s = (const void *)n->payload;
	unsigned int nr = ddfs_le16(n->nr), keys = 0, live = 0;
	uint64_t key[512];

	if (nr > 508 || 32 + nr * sizeof(*s) > ddfs_le16(n->low)) {
		check_say(t->c, "inode %u: leaf of %u slots", t->ino, nr);
		return;
	}
	for (unsigned int i = 0; i < nr; i++) {
		const struct ddfs_name_record *r =
			(const void *)((const uint8_t *)n + ddfs_le16(s[i].off));

		if (!ddfs_le16(s[i].off))
			continue;
		if (!slot_holds(t, n, &s[i], from, to)) {
			check_say(t->c, "inode %u: leaf slot %u does not hold", t->ino, i);
			continue;
		}
		live += ddfs_le16(s[i].len);
		key[keys++] = ddfs_le64(r->key);
		t->record(t, r);
	}
	if (!keys || live != ddfs_le16(n->live))
		check_say(t->c, "inode %u: leaf has %u records of %u bytes, claims %u", t->ino,
			keys, live, ddfs_le16(n->live));
	qsort(key, keys, sizeof(*key), by_key);
	for (unsigned int i = 1; i < keys; i++)
		if (key[i] == key[i - 1])
			check_say(t->c, "inode %u: two names of one key", t->ino);
}

static void check_name_node(
	struct names *t, uint64_t blk, unsigned int level, uint64_t from, uint64_t to)
{
	uint16_t type = level ? DDFS_NODE_NAME_INDEX : DDFS_NODE_NAME_LEAF;
	const struct ddfs_node *n = check_node(t->c, t->ino, blk, type, level);
	const struct ddfs_name_ref *r;
	unsigned int nr;

	t->nr_blocks++;
	if (!n)
		return;
	if (!level) {
		check_leaf(t, n, from, to);
		return;
	}
	r = (const void *)n->payload;
	nr = ddfs_le16(n->nr);
	if (!nr || nr > DDFS_NODE_ENTRIES) {
		check_say(t->c, "inode %u: index node of %u entries", t->ino, nr);
		return;
	}
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t lo = i ? ddfs_le64(r[i].key) : from;
		uint64_t hi = i + 1 < nr ? ddfs_le64(r[i + 1].key) : to;

		if (lo < from || hi > to || lo >= hi || lo % 128)
			check_say(t->c, "inode %u: index keys disorder", t->ino);
		check_name_node(t, ddfs_le64(r[i].child), level - 1, lo, hi);
	}
}

/* ---- directories ---------------------------------------------------------------------------- */

static void dir_record(struct names *t, const struct ddfs_name_record *r)
{
	const char *name = (const char *)(r + 1);
	struct check *c = t->c;
	struct ddfs_dirent_value v;
	struct seen *s;
	uint32_t ino;

	if (ddfs_le16(r->val_len) != sizeof(v) || memchr(name, '/', r->name_len) ||
		memchr(name, 0, r->name_len)) {
		check_say(c, "directory %u: an entry does not hold", t->ino);
		return;
	}
	memcpy(&v, name + r->name_len, sizeof(v));
	ino = ddfs_le32(v.ino);
	if (ino >= c->nr_slots || ino < DDFS_INO_FIRST || !c->seen[ino].type) {
		check_say(c, "directory %u: %.*s leads to inode %u, which is free", t->ino,
			r->name_len, name, ino);
		return;
	}
	s = &c->seen[ino];
	if (t->ino == DDFS_INO_ORPHAN) {
		s->orphan = true;
		c->out->nr_orphans++;
		return;
	}
	if (s->names++ && s->named_as != r->type)
		check_say(c, "inode %u: names of different types", ino);
	s->named_as = r->type;
	s->parent = t->ino;
	if (r->type == S_IFDIR >> 12)
		c->seen[t->ino].subdirs++;
}

uint64_t check_dir(struct check *c, const struct ddfs_inode_disk *di)
{
	struct names t = { .c = c, .ino = ddfs_le32(di->ino), .record = dir_record };

	if (ddfs_le64(di->body.root) && di->depth <= 8)
		check_name_node(&t, ddfs_le64(di->body.root), di->depth, 0, UINT64_MAX);
	if (ddfs_le64(di->size) != t.nr_blocks * DDFS_BLOCK_BYTES)
		check_say(c, "directory %u: size %llu, has %llu blocks", t.ino,
			(unsigned long long)ddfs_le64(di->size), (unsigned long long)t.nr_blocks);
	return t.nr_blocks;
}

/* ---- xattrs --------------------------------------------------------------------------------- */

static void check_chain(struct names *t, const struct ddfs_xattr_ref *ref)
{
	uint64_t blk = ddfs_le64(ref->first), left = ddfs_le32(ref->len);

	while (left && blk) {
		const struct ddfs_node *n = check_node(t->c, t->ino, blk, DDFS_NODE_VALUE, 0);

		t->nr_blocks++;
		if (!n)
			return;
		if (!ddfs_le16(n->nr) || ddfs_le16(n->nr) > left ||
			ddfs_le16(n->nr) > DDFS_VALUE_BYTES) {
			check_say(t->c, "inode %u: value block of %u bytes", t->ino,
				ddfs_le16(n->nr));
			return;
		}
		left -= ddfs_le16(n->nr);
		blk = ddfs_le64(((const struct ddfs_value_head *)n->payload)->next);
	}
	if (left || blk)
		check_say(t->c, "inode %u: value chain of the wrong length", t->ino);
}

static void xattr_record(struct names *t, const struct ddfs_name_record *r)
{
	const uint8_t *name = (const void *)(r + 1);
	struct ddfs_xattr_ref ref;

	if (r->name_len < 2 || name[0] < DDFS_XATTR_USER || name[0] > DDFS_XATTR_SYSTEM ||
		r->type > 1)
		check_say(t->c, "inode %u: xattr name or kind", t->ino);
	if (r->type != 1)
		return;
	if (ddfs_le16(r->val_len) != sizeof(ref)) {
		check_say(t->c, "inode %u: xattr reference", t->ino);
		return;
	}
	memcpy(&ref, name + r->name_len, sizeof(ref));
	check_chain(t, &ref);
}

static void check_inline(struct check *c, const struct ddfs_inode_disk *di)
{
	unsigned int end = ddfs_le16(di->xattr_bytes), pos = 0;

	while (pos < end && end <= DDFS_INLINE_XATTR) {
		const struct ddfs_inline_xattr *x = (const void *)(di->xattr + pos);

		if (end - pos < sizeof(*x) || x->prefix < DDFS_XATTR_USER ||
			x->prefix > DDFS_XATTR_SYSTEM || !x->name_len)
			break;
		pos += (unsigned int)sizeof(*x) + x->name_len + x->val_len;
	}
	if (pos != end)
		check_say(c, "inode %u: inline xattrs", ddfs_le32(di->ino));
}

uint64_t check_xattrs(struct check *c, const struct ddfs_inode_disk *di)
{
	struct names t = { .c = c, .ino = ddfs_le32(di->ino), .record = xattr_record };

	check_inline(c, di);
	if (ddfs_le64(di->xattr_root) && di->xattr_depth <= 8)
		check_name_node(&t, ddfs_le64(di->xattr_root), di->xattr_depth, 0, UINT64_MAX);
	return t.nr_blocks;
}
