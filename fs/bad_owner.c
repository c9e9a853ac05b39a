/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose bad blocks are: every inode is looked at, with what leads from it to its blocks. What can't
 * be read is not gone into; who holds the reference to it is its owner.
 */
#include <string.h>
#include <sys/stat.h>

#include "fs/bad.h"
#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/htree_leaf.h"
#include "fs/htree.h"
#include "fs/node.h"
#include "fs/op.h"

/* Levels of a tree; media is not trusted to have fewer. */
#define DEPTH_MAX 8u

/* The walk over one inode. */
struct walk {
	struct ddfs_fs *fs;
	struct ddfs_bad_told *told;
	ddfs_id id;
	enum ddfs_bad_kind data; /* what its data is */
};

static void claim_data(const struct walk *w, const struct ddfs_extent *e)
{
	struct ddfs_bad_range owner = {
		.kind = w->data, .id = w->id, .off = ddfs_block_off(ddfs_le32(e->lblk))
	};

	ddfs_bad_claim(w->told,
		(struct ddfs_range){
			ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN, ddfs_le32(e->len) },
		&owner);
}

/* Whether the node at blk can be gone into. */
static bool claim_node(const struct walk *w, uint64_t blk)
{
	struct ddfs_bad_range owner = { .kind = DDFS_BAD_META, .id = w->id };
	struct ddfs_range r = { blk, 1 };

	ddfs_bad_claim(w->told, r, &owner);
	return !ddfs_bad_find(w->fs, r).len;
}

static const struct ddfs_node *node_at(
	const struct walk *w, uint64_t blk, uint16_t type, unsigned int level)
{
	const struct ddfs_node *n;

	if (!claim_node(w, blk) || ddfs_node_get(w->fs, NULL, blk, type, (uint8_t)level, &n))
		return NULL;
	return n;
}

static void walk_extents(const struct walk *w, uint64_t blk, unsigned int level)
{
	const struct ddfs_node *n = node_at(w, blk, DDFS_NODE_EXTENT, level);
	const struct ddfs_extent *e;
	const struct ddfs_extent_ref *r;

	if (!n)
		return;
	e = (const void *)n->payload;
	r = (const void *)n->payload;
	for (unsigned int i = 0; i < ddfs_le16(n->nr); i++)
		if (level)
			walk_extents(w, ddfs_le64(r[i].child), level - 1);
		else
			claim_data(w, &e[i]);
}

/* The blocks of a long value. */
static void walk_value(const struct walk *w, const struct ddfs_hrecord *r)
{
	struct ddfs_xattr_ref ref;
	uint64_t left, blk;

	memcpy(&ref, r->value, sizeof(ref));
	blk = ddfs_le64(ref.first);
	left = ddfs_le32(ref.len) / DDFS_VALUE_BYTES + 1;
	while (blk && left--) {
		const struct ddfs_node *n = node_at(w, blk, DDFS_NODE_VALUE, 0);

		blk = n ? ddfs_le64(((const struct ddfs_value_head *)n->payload)->next) : 0;
	}
}

static void walk_leaf(const struct walk *w, const struct ddfs_node *n)
{
	const struct ddfs_name_slot *s = (const void *)n->payload;

	for (unsigned int i = 0; i < ddfs_le16(n->nr); i++) {
		struct ddfs_hrecord r;

		if (!ddfs_le16(s[i].off))
			continue;
		ddfs_leaf_record(n, i, &r);
		if (r.type == 1 && r.val_len == sizeof(struct ddfs_xattr_ref))
			walk_value(w, &r);
	}
}

/* Of names; values: its records may be attributes with a value in blocks. */
static void walk_names(const struct walk *w, uint64_t blk, unsigned int level, bool values)
{
	uint16_t type = level ? DDFS_NODE_NAME_INDEX : DDFS_NODE_NAME_LEAF;
	const struct ddfs_node *n = node_at(w, blk, type, level);
	const struct ddfs_name_ref *r;

	if (!n)
		return;
	r = (const void *)n->payload;
	for (unsigned int i = 0; level && i < ddfs_le16(n->nr); i++)
		walk_names(w, ddfs_le64(r[i].child), level - 1, values);
	if (!level && values)
		walk_leaf(w, n);
}

static void walk_map(const struct walk *w, const struct ddfs_inode_disk *di)
{
	if (di->depth && di->depth <= DEPTH_MAX)
		walk_extents(w, ddfs_le64(di->body.root), di->depth - 1u);
	for (unsigned int i = 0; !di->depth && i < ddfs_le16(di->nr_extents); i++)
		claim_data(w, &di->body.extent[i]);
}

static int walk_inode(const struct walk *w, const struct ddfs_inode_disk *di)
{
	uint32_t type = ddfs_le16(di->mode) & S_IFMT;

	if (type == S_IFREG || (type == S_IFLNK && ddfs_le64(di->size) > DDFS_INLINE_SYMLINK))
		walk_map(w, di);
	if (type == S_IFDIR && ddfs_le64(di->body.root) && di->depth <= DEPTH_MAX)
		walk_names(w, ddfs_le64(di->body.root), di->depth, false);
	if (ddfs_le64(di->xattr_root) && di->xattr_depth <= DEPTH_MAX)
		walk_names(w, ddfs_le64(di->xattr_root), di->xattr_depth, true);
	return 0;
}

/* Whether its slot can be read; and if it was told to be bad, nobody has to hit it. */
static bool can_read(struct ddfs_fs *fs, uint32_t ino)
{
	uint64_t off;

	return !ddfs_itable_find(fs, ino, &off) &&
	       !ddfs_bad_find(fs, (struct ddfs_range){ off >> DDFS_BLOCK_SHIFT, 1 }).len;
}

static void find_owned(struct ddfs_fs *fs, struct ddfs_bad_told *t, uint32_t ino)
{
	struct walk w = { .fs = fs, .told = t, .data = DDFS_BAD_DATA };
	struct ddfs_inode *ip;
	struct ddfs_op op;

	if (!can_read(fs, ino) || ddfs_inode_get_ino(fs, ino, &ip))
		return;
	w.id = ddfs_inode_id(ip);
	ddfs_op_begin(&op, fs);
	ddfs_op_hold(&op, ip);
	ddfs_op_lock(&op, ip, false);
	if (!ip->dead)
		DDFS_GUARDED(fs, walk_inode(&w, ddfs_inode_view(ip, NULL)));
	ddfs_op_end(&op, 0);
}

static void find_table(struct ddfs_fs *fs, struct ddfs_bad_told *t)
{
	const struct ddfs_inode_disk *di = ddfs_itable_inode(fs);
	struct walk w = { .fs = fs, .told = t, .data = DDFS_BAD_INODES };

	pthread_rwlock_rdlock(&fs->itable.map_lock);
	DDFS_GUARDED(fs, walk_inode(&w, di));
	pthread_rwlock_unlock(&fs->itable.map_lock);
}

static bool all_found(const struct ddfs_bad_told *t)
{
	for (size_t i = 0; i < t->nr; i++)
		if (t->piece[i].kind == DDFS_BAD_UNKNOWN)
			return false;
	return true;
}

void ddfs_bad_find_owners(struct ddfs_fs *fs, struct ddfs_bad_told *t)
{
	find_table(fs, t);
	for (uint32_t ino = DDFS_INO_ROOT; ino < fs->itable.nr_slots && !all_found(t); ino++)
		find_owned(fs, t, ino);
}
