/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_metadump_collect.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/ddfs_metadump.h"
#include "tools/ddfs_metadump_scramble.h"

#define MAX_CHAIN 65536u /* nodes of a value: each has a byte */

static bool has(const uint64_t *bits, uint64_t blk)
{
	return bits[blk / 64] >> (blk % 64) & 1;
}

static void set(uint64_t *bits, uint64_t blk)
{
	bits[blk / 64] |= UINT64_C(1) << (blk % 64);
}

void ddfs_collect_put(struct ddfs_collect *c, uint64_t blk, const uint8_t block[DDFS_BLOCK_BYTES])
{
	if (has(c->done, blk))
		return;
	set(c->done, blk);
	ddfs_metadump_writer_add(c->to, blk, block);
}

bool ddfs_collect_read(struct ddfs_collect *c, uint64_t blk, uint8_t block[DDFS_BLOCK_BYTES])
{
	if (has(c->done, blk))
		return false;
	if (!ddfs_image_read(c->from, blk * DDFS_BLOCK_BYTES, block, DDFS_BLOCK_BYTES))
		return true;
	c->nr_unreadable++;
	set(c->done, blk);
	return false;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* The inode whose trees are walked. */
struct walk {
	struct ddfs_collect *c;
	uint32_t ino;
	const struct ddfs_inode_disk *di;
	enum ddfs_scramble_kind kind;
};

/* What a damaged reference leads to may be anybody's data. */
static bool looks_like_node(const struct ddfs_node *n, uint64_t blk)
{
	uint16_t type = ddfs_le16(n->type);

	return ddfs_le64(n->self) == blk || type == DDFS_NODE_EXTENT ||
	       type == DDFS_NODE_NAME_INDEX || type == DDFS_NODE_NAME_LEAF ||
	       type == DDFS_NODE_VALUE;
}

/* Damaged ones too. False: it can't be read, or may not be. */
static bool put_node(struct ddfs_collect *c, uint64_t blk, struct ddfs_node *n)
{
	if (!ddfs_collect_read(c, blk, (uint8_t *)n))
		return false;
	if (!looks_like_node(n, blk)) {
		set(c->done, blk);
		c->nr_left_out++;
		return false;
	}
	ddfs_collect_put(c, blk, (const uint8_t *)n);
	return true;
}

/* One that was written before its lane was taken as replayed may lead elsewhere now. */
static int visit(void *arg, uint64_t blk)
{
	struct ddfs_collect *c = ((struct walk *)arg)->c;
	struct ddfs_node n;

	if (has(c->seen, blk))
		return 1;
	set(c->seen, blk);
	return !c->scramble && !has(c->done, blk) && !put_node(c, blk, &n);
}

/* The nodes of a value, which a walk leaves out if one of them does not hold. */
static void put_chain(struct ddfs_collect *c, uint64_t blk)
{
	struct ddfs_node n;

	for (unsigned int i = 0; i < MAX_CHAIN && ddfs_image_blocks_valid(c->img, blk, 1); i++) {
		if (!put_node(c, blk, &n))
			return;
		blk = ddfs_le64(((const struct ddfs_value_head *)n.payload)->next);
	}
}

static void put_chains(struct ddfs_collect *c, const struct ddfs_node *leaf)
{
	const struct ddfs_name_slot *s = (const void *)leaf->payload;

	for (unsigned int i = 0; i < ddfs_le16(leaf->nr); i++) {
		const struct ddfs_name_record *r;
		struct ddfs_xattr_ref ref;
		unsigned int off = ddfs_le16(s[i].off), at;

		if (!off || off + sizeof(*r) > sizeof(*leaf))
			continue;
		r = (const void *)((const uint8_t *)leaf + off);
		at = off + (unsigned int)sizeof(*r) + r->name_len;
		if (r->type != 1 || at + sizeof(ref) > sizeof(*leaf))
			continue;
		memcpy(&ref, (const uint8_t *)leaf + at, sizeof(ref));
		put_chain(c, ddfs_le64(ref.first));
	}
}

static void node(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct walk *w = arg;
	struct ddfs_node changed;

	if (w->c->scramble) {
		ddfs_scramble_node(w->c->scramble, w->kind, blk, n, &changed);
		ddfs_collect_put(w->c, blk, (const uint8_t *)&changed);
	} else if (w->kind == DDFS_SCRAMBLE_XATTRS && ddfs_le16(n->type) == DDFS_NODE_NAME_LEAF) {
		put_chains(w->c, n);
	}
}

/* As it is it may hold a name; without its checksum nobody knows where. */
static void fault(void *arg, enum ddfs_image_fault what, uint64_t blk, uint64_t from, uint64_t to)
{
	struct walk *w = arg;

	(void)blk;
	(void)from;
	(void)to;
	if (w->c->scramble && (what == DDFS_FAULT_NODE || what == DDFS_FAULT_ENTRIES))
		w->c->nr_left_out++;
	if (w->c->scramble && what == DDFS_FAULT_UNREADABLE)
		w->c->nr_unreadable++;
}

/* ---- symlinks ------------------------------------------------------------------------------- */

/* Only the target is theirs: what lies behind it may be older. */
static int put_target(void *arg, const struct ddfs_extent *e)
{
	uint64_t blk = ddfs_le64(e->start);
	uint8_t block[DDFS_BLOCK_BYTES];
	struct walk *w = arg;
	uint64_t len = ddfs_le64(w->di->size);

	if (blk & DDFS_EXTENT_UNWRITTEN || ddfs_le32(e->lblk) || len >= sizeof(block) ||
		!ddfs_collect_read(w->c, blk, block))
		return 0;
	memset(block + len, 0, sizeof(block) - len);
	if (w->c->scramble)
		ddfs_scramble_target(w->c->scramble, w->ino, block, len);
	ddfs_collect_put(w->c, blk, block);
	return 0;
}

/* ---- inodes --------------------------------------------------------------------------------- */

static void walk_inode(struct ddfs_collect *c, uint32_t ino, const struct ddfs_inode_disk *di)
{
	struct walk w = { c, ino, di, DDFS_SCRAMBLE_NOTHING };
	struct ddfs_image_walk walk = { .arg = &w, .visit = visit, .node = node, .fault = fault };
	unsigned int type = ddfs_le16(di->mode) & S_IFMT;

	if (type == S_IFREG) {
		ddfs_image_walk_extents(c->img, di, &walk);
	} else if (type == S_IFDIR) {
		/* Orphans are called by their numbers. */
		w.kind = ino == DDFS_INO_ORPHAN ? DDFS_SCRAMBLE_NOTHING : DDFS_SCRAMBLE_NAMES;
		if (c->scramble)
			ddfs_scramble_begin_tree(c->scramble);
		ddfs_image_walk_names(c->img, di, &walk);
	} else if (type == S_IFLNK && ddfs_le64(di->size) > DDFS_INLINE_SYMLINK) {
		walk.extent = put_target;
		ddfs_image_walk_extents(c->img, di, &walk);
		walk.extent = NULL;
	}
	w.kind = DDFS_SCRAMBLE_XATTRS;
	if (c->scramble)
		ddfs_scramble_begin_tree(c->scramble);
	ddfs_image_walk_xattrs(c->img, di, &walk);
}

/* A damaged table may lead to anybody's data. */
static bool looks_like_slots(
	const struct ddfs_collect *c, uint64_t blk, uint32_t first, const uint8_t *block)
{
	static const uint8_t zeroes[DDFS_BLOCK_BYTES];

	for (uint32_t i = 0; i < DDFS_INODES_PER_BLOCK; i++) {
		const struct ddfs_inode_disk *di = (const void *)(block + i * DDFS_INODE_BYTES);

		if (ddfs_scramble_is_slot(first + i, di) ||
			ddfs_image_sum_holds(
				c->from, blk * DDFS_BLOCK_BYTES + i * sizeof(*di), di, sizeof(*di)))
			return true;
	}
	return memcmp(block, zeroes, sizeof(zeroes)) == 0;
}

static void put_slots(struct ddfs_collect *c, uint64_t blk, uint32_t first)
{
	uint8_t block[DDFS_BLOCK_BYTES];

	if (!ddfs_collect_read(c, blk, block))
		return;
	if (!looks_like_slots(c, blk, first, block)) {
		set(c->done, blk);
		c->nr_left_out++;
		return;
	}
	for (unsigned int i = 0; c->scramble && i < DDFS_INODES_PER_BLOCK; i++) {
		uint64_t off = blk * DDFS_BLOCK_BYTES + i * DDFS_INODE_BYTES;

		c->nr_left_out += !ddfs_scramble_inode(c->scramble, off, first + i,
			(struct ddfs_inode_disk *)(block + i * DDFS_INODE_BYTES));
	}
	ddfs_collect_put(c, blk, block);
}

static void put_inode(struct ddfs_collect *c, uint32_t ino)
{
	struct ddfs_inode_disk di;
	int err = ddfs_image_inode(c->img, ino, &di);

	/* Scrambled, one that is damaged leads nowhere. */
	if ((err == -EUCLEAN && c->scramble) || (err && err != -EUCLEAN) ||
		ddfs_image_inode_is_free(&di))
		return;
	walk_inode(c, ino, &di);
}

void ddfs_collect_inodes(struct ddfs_collect *c)
{
	const struct ddfs_image *img = c->img;

	walk_inode(c, DDFS_INO_TABLE, &img->table);
	for (uint32_t ino = 0; ino < img->nr_slots; ino++) {
		uint64_t blk = img->table_blks[ino / DDFS_INODES_PER_BLOCK];

		if (blk && ino % DDFS_INODES_PER_BLOCK == 0)
			put_slots(c, blk, ino);
		if (blk && ino)
			put_inode(c, ino);
	}
}
