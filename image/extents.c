/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/walk.h"

#define LBLK_END UINT32_MAX

struct extents {
	struct ddfs_image_trip trip;
	uint64_t next; /* the first block that the next extent may map */
};

static bool extent_holds(
	const struct extents *x, const struct ddfs_extent *e, uint64_t from, uint64_t to)
{
	uint64_t lblk = ddfs_le32(e->lblk), len = ddfs_le32(e->len);

	/* One that reached past `to` would be looked for in the next leaf. */
	return len && lblk >= x->next && lblk >= from && lblk + len <= to &&
	       ddfs_image_blocks_valid(
		       x->trip.img, ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN, len);
}

static int walk_entries(struct extents *x, uint64_t blk, const struct ddfs_extent *e,
	unsigned int nr, uint64_t from, uint64_t to)
{
	const struct ddfs_image_walk *w = x->trip.walk;

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t lblk = ddfs_le32(e[i].lblk), end = lblk + ddfs_le32(e[i].len);
		int err;

		if (!extent_holds(x, &e[i], from, to)) {
			ddfs_image_trip_fault(&x->trip, DDFS_FAULT_EXTENT, blk, lblk, end);
			continue;
		}
		x->next = end;
		err = w->extent ? w->extent(w->arg, &e[i]) : 0;
		if (err < 0)
			return err;
	}
	return 0;
}

static int walk_node(
	struct extents *x, uint64_t blk, unsigned int level, uint64_t from, uint64_t to);

static int walk_refs(struct extents *x, uint64_t blk, const struct ddfs_node *n, uint64_t from,
	uint64_t to, bool torn)
{
	const struct ddfs_extent_ref *r = (const void *)n->payload;
	unsigned int nr = ddfs_le16(n->nr);
	int err = 0;

	for (unsigned int i = 0; i < nr && err >= 0; i++) {
		/* The first reference takes all that lies before the second. */
		uint64_t lo = i ? ddfs_le32(r[i].lblk) : from;
		uint64_t hi = i + 1 < nr ? ddfs_le32(r[i + 1].lblk) : to;

		if (lo < from || hi > to || lo >= hi) {
			if (torn)
				continue;
			ddfs_image_trip_fault(&x->trip, DDFS_FAULT_ORDER, blk, lo, hi);
			/* One of the two is wrong; what the child has says more than either. */
			lo = from;
			hi = to;
		}
		ddfs_image_trip_enter(&x->trip, torn);
		err = walk_node(x, ddfs_le64(r[i].child), n->level - 1u, lo, hi);
		ddfs_image_trip_leave(&x->trip, torn);
	}
	return err;
}

static int walk_node(
	struct extents *x, uint64_t blk, unsigned int level, uint64_t from, uint64_t to)
{
	struct ddfs_node n;
	unsigned int nr;
	int ret = ddfs_image_trip_node(&x->trip, blk, DDFS_NODE_EXTENT, level, from, to, &n);
	bool torn = ret == DDFS_IMAGE_NODE_TORN;

	/* Of an extent nothing but the checksum says that it is right. */
	if (ret < 0 || ret == DDFS_IMAGE_NODE_NONE || (torn && !level))
		return ret < 0 ? ret : 0;
	nr = ddfs_le16(n.nr);
	if (!nr || nr > DDFS_NODE_ENTRIES) {
		ddfs_image_trip_fault(&x->trip, DDFS_FAULT_ENTRIES, blk, from, to);
		return 0;
	}
	if (!torn)
		ddfs_image_trip_holds(&x->trip, blk, &n);
	if (level)
		return walk_refs(x, blk, &n, from, to, torn);
	return walk_entries(x, blk, (const void *)n.payload, nr, from, to);
}

int ddfs_image_walk_extents(const struct ddfs_image *img, const struct ddfs_inode_disk *di,
	const struct ddfs_image_walk *walk)
{
	struct extents x = { .trip = ddfs_image_trip_init(img, walk, ddfs_le32(di->ino)) };
	unsigned int nr = ddfs_le16(di->nr_extents);

	if (di->depth > DDFS_IMAGE_MAX_DEPTH) {
		ddfs_image_trip_fault(&x.trip, DDFS_FAULT_DEPTH, 0, 0, LBLK_END);
		return 0;
	}
	if (di->depth)
		return walk_node(&x, ddfs_le64(di->body.root), di->depth - 1u, 0, LBLK_END);
	if (nr > DDFS_INLINE_EXTENTS) {
		ddfs_image_trip_fault(&x.trip, DDFS_FAULT_ENTRIES, 0, 0, LBLK_END);
		nr = DDFS_INLINE_EXTENTS;
	}
	return walk_entries(&x, 0, di->body.extent, nr, 0, LBLK_END);
}
