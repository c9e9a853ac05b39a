/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks that two lay claim to. A node that holds is its tree's, before any file's data, and of two
 * trees that of the inode it was written for; what has the checksum of a symlink's target is that
 * symlink's; data is the file's with the lower number. The others get a copy; a file for which no
 * block is free stays as it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fsck/repair_priv.h"
#include "fsck/room.h"

bool fsck_is_claimed_twice(const struct fsck_repair *r, uint64_t blk)
{
	return r->f->claimed_twice && r->f->claimed_twice[blk / 64] >> (blk % 64) & 1;
}

static bool is_claimed_twice(const struct fsck_repair *r, uint64_t blk)
{
	return r->data_kept && fsck_is_claimed_twice(r, blk);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* The first entry that is not below blk. */
static size_t owner_pos(const struct fsck_repair *r, uint64_t blk)
{
	size_t lo = 0, hi = r->nr_node_owners;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->node_owner[mid].blk < blk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const struct fsck_node_owner *find_owner(const struct fsck_repair *r, uint64_t blk)
{
	size_t i = owner_pos(r, blk);

	return i < r->nr_node_owners && r->node_owner[i].blk == blk ? &r->node_owner[i] : NULL;
}

static int add_owner(struct fsck_repair *r, const struct fsck_node_owner *o)
{
	struct fsck_node_owner *e =
		fsck_room(r->node_owner, r->nr_node_owners, &r->cap_node_owners, sizeof(*e));
	size_t at = owner_pos(r, o->blk);

	if (!e)
		return -ENOMEM;
	r->node_owner = e;
	for (size_t i = r->nr_node_owners++; i > at; i--)
		r->node_owner[i] = r->node_owner[i - 1];
	r->node_owner[at] = *o;
	return 0;
}

bool fsck_node_is_foreign(const struct fsck_repair *r, uint32_t ino, uint64_t blk)
{
	const struct fsck_node_owner *o = is_claimed_twice(r, blk) ? find_owner(r, blk) : NULL;

	return o && o->ino != ino;
}

bool fsck_data_keep(struct fsck_repair *r, uint32_t ino, uint64_t blk)
{
	uint64_t *word = &r->data_kept[blk / 64], bit = UINT64_C(1) << (blk % 64);
	const struct fsck_node_owner *o;

	if (!is_claimed_twice(r, blk))
		return true;
	o = find_owner(r, blk);
	if (*word & bit || (o && (!o->is_target || o->ino != ino)))
		return false;
	*word |= bit;
	return true;
}

/* A walk that notes whose the nodes are that were claimed twice. */
struct noting {
	struct fsck_repair *r;
	uint32_t ino;
	int err;
};

static void note_node(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct noting *t = arg;
	struct fsck_repair *r = t->r;
	struct fsck_node_owner o = { blk, t->ino, false };
	size_t at = owner_pos(r, blk);

	if (!is_claimed_twice(r, blk) || t->err)
		return;
	if (!find_owner(r, blk))
		t->err = add_owner(r, &o);
	else if (ddfs_le32(n->owner) == t->ino || r->node_owner[at].is_target)
		r->node_owner[at] = o;
}

static int note_target(struct fsck_repair *r, uint32_t ino, const struct ddfs_inode_disk *di)
{
	struct fsck_node_owner o = { 0, ino, true };

	if (!fsck_symlink_holds(r->img, di, &o.blk) || !is_claimed_twice(r, o.blk) ||
		find_owner(r, o.blk))
		return 0;
	return add_owner(r, &o);
}

static int note_nodes(struct fsck_repair *r, uint32_t ino)
{
	struct noting t = { .r = r, .ino = ino };
	struct ddfs_image_walk walk = { .arg = &t, .node = note_node };
	struct ddfs_inode_disk di;
	int err = ddfs_image_inode(r->img, ino, &di);

	if (err || ddfs_image_inode_is_free(&di))
		return 0;
	if (S_ISDIR(ddfs_le16(di.mode)))
		err = ddfs_image_walk_names(r->img, &di, &walk);
	else if (S_ISREG(ddfs_le16(di.mode)))
		err = ddfs_image_walk_extents(r->img, &di, &walk);
	else if (S_ISLNK(ddfs_le16(di.mode)))
		err = note_target(r, ino, &di);
	if (!err)
		err = ddfs_image_walk_xattrs(r->img, &di, &walk);
	return err ? err : t.err;
}

/* The table keeps its blocks, whoever else has them. */
static int keep_table(void *arg, const struct ddfs_extent *e)
{
	struct fsck_repair *r = arg;

	for (uint64_t i = 0; i < ddfs_le32(e->len); i++)
		fsck_data_keep(r, DDFS_INO_TABLE, ddfs_le64(e->start) + i);
	return 0;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool any_shares(const struct fsck_repair *r)
{
	for (uint32_t ino = 0; ino < r->img->nr_slots; ino++)
		if (fsck_inode_has(r->f, ino, FSCK_SHARES))
			return true;
	return false;
}

int fsck_shared_repair(struct fsck_repair *r)
{
	struct ddfs_image_walk table = { .arg = r, .extent = keep_table };
	struct fsck *f = r->f;
	int err = 0;

	if (!any_shares(r) || !fsck_may(f, FSCK_KIND_SHARED,
				      "Give blocks that two lay claim to to one of them, and a "
				      "copy to the other?"))
		return 0;
	r->data_kept = calloc(r->img->nr_blocks / 64 + 1, sizeof(*r->data_kept));
	if (!r->data_kept)
		return -ENOMEM;
	for (uint32_t ino = 0; ino < r->img->nr_slots && !err; ino++)
		err = note_nodes(r, ino);
	if (!err)
		err = ddfs_image_walk_extents(r->img, &r->img->table, &table);
	for (uint32_t ino = 1; ino < r->img->nr_slots && !err && !fsck_is_ending(f); ino++)
		err = fsck_inode_mend(r, ino);
	free(r->data_kept);
	r->data_kept = NULL;
	return err;
}
