/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_metadump_scramble.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "fs/csum.h"
#include "tools/ddfs_metadump_names.h"
#include "tools/ddfs_metadump_random.h"

#define SUPER_SEED 0x64646673u
#define KEY_END	   (UINT64_C(1) << 63)
#define HASH_MASK  (~UINT64_C(127))
#define MAX_LEVELS 10u
#define MAX_SLOTS  508u

/* The keys that a node's records may have. */
struct range {
	uint64_t blk, from, to;
};

struct ddfs_scramble {
	const struct ddfs_image *img;
	uint64_t secret;
	uint64_t nr_lost;
	struct ddfs_made_names *names;
	/* Of the children of the node of each level that was seen last. */
	struct range range[MAX_LEVELS][DDFS_NODE_ENTRIES];
	unsigned int nr_ranges[MAX_LEVELS];
};

int ddfs_scramble_new(const struct ddfs_image *img, struct ddfs_scramble **out)
{
	struct ddfs_scramble *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	if (getrandom(&s->secret, sizeof(s->secret), 0) != sizeof(s->secret))
		err = -EIO;
	else
		err = ddfs_made_names_new(img, s->secret, &s->names);
	if (err) {
		free(s);
		return err;
	}
	s->img = img;
	*out = s;
	return 0;
}

void ddfs_scramble_delete(struct ddfs_scramble *s)
{
	if (s)
		ddfs_made_names_delete(s->names);
	free(s);
}

uint64_t ddfs_scramble_nr_lost(const struct ddfs_scramble *s)
{
	return s->nr_lost;
}

uint64_t ddfs_scramble_nr_made(const struct ddfs_scramble *s)
{
	return ddfs_made_names_nr(s->names);
}

/* ---- superblock, inodes --------------------------------------------------------------------- */

void ddfs_scramble_super(uint64_t off, struct ddfs_super *super)
{
	memset(super->label, 'x', strnlen((const char *)super->label, sizeof(super->label)));
	ddfs_csum_seal(SUPER_SEED, off, super, sizeof(*super));
}

void ddfs_scramble_target(const struct ddfs_scramble *s, uint32_t ino, uint8_t *target, size_t len)
{
	uint64_t state = s->secret ^ ino;

	ddfs_random_letters(&state, target, len);
}

/* Values of POSIX ACLs mean something to the filesystem. */
static bool is_kept(uint8_t prefix)
{
	return prefix == DDFS_XATTR_SYSTEM;
}

/* One after the other they are a, b, c ...: those of trees have other letters. */
static void scramble_inline(struct ddfs_inode_disk *di)
{
	unsigned int end = ddfs_le16(di->xattr_bytes), pos = 0;
	char letter = 'a';

	while (pos < end && end <= DDFS_INLINE_XATTR) {
		struct ddfs_inline_xattr *x = (void *)(di->xattr + pos);
		uint8_t *name = (uint8_t *)(x + 1);

		if (end - pos < sizeof(*x) ||
			end - pos - sizeof(*x) < (size_t)x->name_len + x->val_len)
			break;
		if (!is_kept(x->prefix)) {
			memset(name, letter++, x->name_len);
			memset(name + x->name_len, 'x', x->val_len);
		}
		pos += (unsigned int)sizeof(*x) + x->name_len + x->val_len;
	}
	memset(di->xattr + pos, 0, sizeof(di->xattr) - pos);
}

static void scramble_symlink(struct ddfs_scramble *s, struct ddfs_inode_disk *di)
{
	uint64_t len = ddfs_le64(di->size);
	uint8_t target[DDFS_BLOCK_BYTES];

	if (len <= DDFS_INLINE_SYMLINK) {
		memset(&di->body, 0, sizeof(di->body));
		ddfs_scramble_target(s, ddfs_le32(di->ino), di->body.target, len);
	} else if (len <= sizeof(target)) {
		ddfs_scramble_target(s, ddfs_le32(di->ino), target, len);
		di->target_crc = ddfs_to32(ddfs_crc32c(s->img->seed, target, len));
	}
}

bool ddfs_scramble_is_slot(uint32_t ino, const struct ddfs_inode_disk *di)
{
	return ddfs_le16(di->magic) == DDFS_INODE_MAGIC && ddfs_le32(di->ino) == ino;
}

bool ddfs_scramble_inode(
	struct ddfs_scramble *s, uint64_t off, uint32_t ino, struct ddfs_inode_disk *di)
{
	bool was_used = ddfs_le16(di->magic) || ddfs_le32(di->crc) || ddfs_le16(di->mode);
	bool holds = ddfs_image_sum_holds(s->img, off, di, sizeof(*di));
	unsigned int type = ddfs_le16(di->mode) & S_IFMT;

	/* If it is none, all of it may be a secret. */
	if (!was_used || (!holds && !ddfs_scramble_is_slot(ino, di))) {
		memset(di, 0, sizeof(*di));
		return !was_used;
	}
	if (holds && type == S_IFLNK)
		scramble_symlink(s, di);
	else if (!holds || (type != S_IFREG && type != S_IFDIR))
		memset(&di->body, 0, sizeof(di->body));
	if (holds && type)
		scramble_inline(di);
	else
		memset(di->xattr, 0, sizeof(di->xattr));
	if (holds)
		ddfs_csum_seal(s->img->seed, off, di, sizeof(*di));
	return holds;
}

/* ---- ranges --------------------------------------------------------------------------------- */

void ddfs_scramble_begin_tree(struct ddfs_scramble *s)
{
	memset(s->nr_ranges, 0, sizeof(s->nr_ranges));
	ddfs_made_names_begin(s->names);
}

static struct range range_of(const struct ddfs_scramble *s, uint64_t blk, const struct ddfs_node *n)
{
	unsigned int above = n->level + 1u;

	for (unsigned int i = 0; above < MAX_LEVELS && i < s->nr_ranges[above]; i++)
		if (s->range[above][i].blk == blk)
			return s->range[above][i];
	return (struct range){ blk, 0, KEY_END };
}

/* Keys of index nodes are hashes of names. Since all names change, they may be any: evenly spaced
 * ones, where nothing has to stay. */
static void scramble_index(struct ddfs_scramble *s, enum ddfs_scramble_kind kind,
	const struct range *own, struct ddfs_node *n)
{
	struct ddfs_name_ref *r = (void *)n->payload;
	unsigned int nr = ddfs_le16(n->nr), level = n->level;
	uint64_t step = (own->to - own->from) / nr;

	if (level >= MAX_LEVELS)
		return;
	for (unsigned int i = 0; i < nr && kind == DDFS_SCRAMBLE_NAMES; i++)
		r[i].key = ddfs_to64((own->from + i * step) & HASH_MASK);
	for (unsigned int i = 0; i < nr; i++)
		s->range[level][i] =
			(struct range){ ddfs_le64(r[i].child), i ? ddfs_le64(r[i].key) : own->from,
				i + 1 < nr ? ddfs_le64(r[i + 1].key) : own->to };
	s->nr_ranges[level] = nr;
	memset(r + nr, 0, sizeof(n->payload) - nr * sizeof(*r));
}

/* ---- leaves --------------------------------------------------------------------------------- */

struct leaf {
	struct range range;
	enum ddfs_scramble_kind kind;
	uint64_t hash[MAX_SLOTS]; /* taken */
	unsigned int nr;
};

static bool is_taken(const struct leaf *l, uint64_t hash)
{
	for (unsigned int i = 0; i < l->nr; i++)
		if (l->hash[i] == hash)
			return true;
	return false;
}

/* A name whose key lies in the leaf's range, and is no other one's. 0: there is none. Behind
 * `fixed` bytes that stay. */
static uint64_t make_name(
	struct ddfs_scramble *s, struct leaf *l, uint8_t *name, size_t len, size_t fixed)
{
	struct ddfs_made_name n = {
		.name = name, .len = len, .fixed = fixed, .from = l->range.from, .to = l->range.to
	};
	uint64_t hash;

	while ((hash = ddfs_made_names_next(s->names, &n)))
		if (!is_taken(l, hash))
			break;
	if (hash)
		l->hash[l->nr++] = hash;
	return hash;
}

/* As much name as the record has room for: lengths tell less then, and short names have others. */
static size_t name_room(const struct ddfs_name_record *r, unsigned int len)
{
	size_t room = len - sizeof(*r) - ddfs_le16(r->val_len);

	return room < UINT8_MAX ? room : UINT8_MAX;
}

static bool scramble_record(struct ddfs_scramble *s, struct leaf *l,
	const struct ddfs_name_record *r, unsigned int len, struct ddfs_name_record *out)
{
	bool xattr = l->kind == DDFS_SCRAMBLE_XATTRS;
	size_t room = name_room(r, len), val_len = ddfs_le16(r->val_len);
	uint8_t *name = (uint8_t *)(out + 1);
	const uint8_t *value = (const uint8_t *)(r + 1) + r->name_len;
	uint64_t hash;

	*out = *r;
	if (xattr && is_kept(*(const uint8_t *)(r + 1))) {
		memcpy(name, r + 1, r->name_len + val_len);
		l->hash[l->nr++] = ddfs_le64(r->key) & HASH_MASK;
		return true;
	}
	name[0] = *(const uint8_t *)(r + 1);
	hash = make_name(s, l, name, room, xattr);
	if (!hash) {
		memset(out, 0, len);
		return false;
	}
	out->key = ddfs_to64(hash);
	out->name_len = (uint8_t)room;
	if (xattr && !r->type)
		memset(name + room, 'x', val_len);
	else
		memcpy(name + room, value, val_len);
	return true;
}

static bool slot_holds(const struct ddfs_node *n, const struct ddfs_name_slot *slot)
{
	unsigned int off = ddfs_le16(slot->off), len = ddfs_le16(slot->len);
	const struct ddfs_name_record *r = (const void *)((const uint8_t *)n + off);

	return off >= ddfs_le16(n->low) && off % 8 == 0 && len % 8 == 0 && len >= sizeof(*r) &&
	       off + len <= sizeof(*n) && r->name_len &&
	       sizeof(*r) + r->name_len + ddfs_le16(r->val_len) <= len;
}

/* Only records are taken over: dead ones still have their names. */
static void scramble_leaf(
	struct ddfs_scramble *s, struct leaf *l, const struct ddfs_node *n, struct ddfs_node *out)
{
	const struct ddfs_name_slot *from = (const void *)n->payload;
	struct ddfs_name_slot *to = (void *)out->payload;

	memset(out->payload, 0, sizeof(out->payload));
	for (unsigned int i = 0; i < ddfs_le16(n->nr); i++) {
		unsigned int off = ddfs_le16(from[i].off), len = ddfs_le16(from[i].len);
		struct ddfs_name_record *r = (void *)((uint8_t *)out + off);

		if (!off || !slot_holds(n, &from[i]))
			continue;
		if (!scramble_record(s, l, (const void *)((const uint8_t *)n + off), len, r)) {
			s->nr_lost++;
			continue;
		}
		to[i] = from[i];
		to[i].tag = ddfs_to32((uint32_t)(ddfs_le64(r->key) >> 7));
	}
}

/* ---- other nodes ---------------------------------------------------------------------------- */

static void scramble_value(struct ddfs_node *n)
{
	size_t len = ddfs_le16(n->nr);
	uint8_t *value = n->payload + sizeof(struct ddfs_value_head);

	if (len > DDFS_VALUE_BYTES)
		len = DDFS_VALUE_BYTES;
	memset(value, 'x', len);
	memset(value + len, 0, DDFS_VALUE_BYTES - len);
}

static void scramble_extents(struct ddfs_node *n)
{
	size_t used = ddfs_le16(n->nr) * sizeof(struct ddfs_extent);

	memset(n->payload + used, 0, sizeof(n->payload) - used);
}

void ddfs_scramble_node(struct ddfs_scramble *s, enum ddfs_scramble_kind kind, uint64_t blk,
	const struct ddfs_node *n, struct ddfs_node *out)
{
	struct leaf l = { .range = range_of(s, blk, n), .kind = kind };

	*out = *n;
	switch (ddfs_le16(n->type)) {
	case DDFS_NODE_EXTENT:
		scramble_extents(out);
		break;
	case DDFS_NODE_VALUE:
		scramble_value(out);
		break;
	case DDFS_NODE_NAME_INDEX:
		if (kind != DDFS_SCRAMBLE_NOTHING)
			scramble_index(s, kind, &l.range, out);
		break;
	case DDFS_NODE_NAME_LEAF:
		if (kind != DDFS_SCRAMBLE_NOTHING)
			scramble_leaf(s, &l, n, out);
		break;
	}
	ddfs_csum_seal(s->img->seed, blk * DDFS_BLOCK_BYTES, out, sizeof(*out));
}
