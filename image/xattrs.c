/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "image/walk.h"

#define MAX_VALUE 65536u
#define IN_BLOCKS 1 /* a record's type */

/* ---- inline --------------------------------------------------------------------------------- */

static int tell_inline(const struct ddfs_image_trip *t, const struct ddfs_inline_xattr *x)
{
	const uint8_t *bytes = (const uint8_t *)(x + 1);
	uint8_t name[1 + DDFS_INLINE_XATTR];
	struct ddfs_image_record r = {
		.name_len = x->name_len + 1,
		.val_len = x->val_len,
		.name = name,
		.value = bytes + x->name_len,
	};

	if (!ddfs_xattr_name_is_possible(x->prefix, bytes, x->name_len)) {
		ddfs_image_trip_fault(t, DDFS_FAULT_XATTR, 0, 0, 0);
		return 0;
	}
	name[0] = x->prefix;
	memcpy(name + 1, bytes, x->name_len);
	return t->walk->record ? t->walk->record(t->walk->arg, &r) : 0;
}

static int walk_inline(const struct ddfs_image_trip *t, const struct ddfs_inode_disk *di)
{
	unsigned int end = ddfs_le16(di->xattr_bytes), pos = 0;
	int err = 0;

	while (pos < end && end <= DDFS_INLINE_XATTR && err >= 0) {
		const struct ddfs_inline_xattr *x = (const void *)(di->xattr + pos);

		if (end - pos < sizeof(*x) || !x->name_len ||
			end - pos - sizeof(*x) < (size_t)x->name_len + x->val_len)
			break;
		err = tell_inline(t, x);
		pos += (unsigned int)sizeof(*x) + x->name_len + x->val_len;
	}
	if (pos != end && err >= 0)
		ddfs_image_trip_fault(t, DDFS_FAULT_INLINE, 0, 0, 0);
	return err;
}

/* ---- values in blocks ----------------------------------------------------------------------- */

static struct ddfs_xattr_ref ref_of(const struct ddfs_image_record *r)
{
	struct ddfs_xattr_ref ref;

	memcpy(&ref, r->value, sizeof(ref));
	return ref;
}

/* A chain of value nodes being followed. */
struct chain {
	uint64_t blk;  /* the next node, 0: none */
	uint32_t left; /* bytes */
};

/* The next node. 1: it is left out; -EUCLEAN: not as long as it must be. All but the last are full,
 * which also bounds how many there are: any number of references may lead to one chain. */
static int chain_next(struct ddfs_image_trip *t, struct chain *c, struct ddfs_node *n)
{
	int ret = ddfs_image_trip_node(t, c->blk, DDFS_NODE_VALUE, 0, 0, 0, n);
	unsigned int nr;

	if (ret)
		return ret;
	nr = ddfs_le16(n->nr);
	if (nr != (c->left < DDFS_VALUE_BYTES ? c->left : DDFS_VALUE_BYTES))
		return -EUCLEAN;
	c->left -= nr;
	c->blk = ddfs_le64(((const struct ddfs_value_head *)n->payload)->next);
	return 0;
}

/* Looks at a whole chain; tells of nodes, if they are to be told of; copies up to len bytes. 1: a
 * node was left out; -EUCLEAN. */
static int chain_follow(
	struct ddfs_image_trip *t, const struct ddfs_xattr_ref *ref, uint8_t *buf, size_t len)
{
	struct chain c = { ddfs_le64(ref->first), ddfs_le32(ref->len) };
	struct ddfs_node n;

	while (c.left && c.blk) {
		uint64_t blk = c.blk;
		int ret = chain_next(t, &c, &n);
		size_t part;

		if (ret)
			return ret;
		ddfs_image_trip_holds(t, blk, &n);
		part = ddfs_le16(n.nr) < len ? ddfs_le16(n.nr) : len;
		if (part)
			memcpy(buf, n.payload + sizeof(struct ddfs_value_head), part);
		buf = part ? buf + part : buf;
		len -= part;
	}
	return c.left || c.blk ? -EUCLEAN : 0;
}

struct judge {
	struct ddfs_image_trip *trip;
	bool told;
};

static void judge_fault(
	void *arg, enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to)
{
	struct judge *j = arg;

	ddfs_image_trip_fault(j->trip, fault, blk, from, to);
	j->told = true;
}

/* The chain is looked at before a node of it is told of: it is kept as a whole, or not at all. */
static bool chain_holds(struct ddfs_image_trip *t, const struct ddfs_xattr_ref *ref)
{
	struct judge j = { .trip = t };
	struct ddfs_image_walk walk = { .arg = &j, .fault = judge_fault };
	struct ddfs_image_trip own = ddfs_image_trip_init(t->img, &walk, t->owner);

	if (ddfs_le32(ref->len) && ddfs_le32(ref->len) <= MAX_VALUE &&
		!chain_follow(&own, ref, NULL, 0))
		return true;
	if (!j.told)
		ddfs_image_trip_fault(t, DDFS_FAULT_VALUE, ddfs_le64(ref->first), 0, 0);
	return false;
}

int ddfs_image_xattr_value(
	const struct ddfs_image *img, const struct ddfs_image_record *r, void *buf, size_t len)
{
	struct ddfs_image_walk walk = { 0 };
	struct ddfs_image_trip t = ddfs_image_trip_init(img, &walk, 0);
	struct ddfs_xattr_ref ref;
	int ret;

	if (r->type != IN_BLOCKS || r->val_len != sizeof(ref))
		return -EUCLEAN;
	ref = ref_of(r);
	if (ddfs_le32(ref.len) > MAX_VALUE || len > ddfs_le32(ref.len))
		return -EUCLEAN;
	ret = chain_follow(&t, &ref, buf, len);
	return ret > 0 ? -EIO : ret;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static bool xattr_holds(const struct ddfs_image_record *r)
{
	return r->name_len >= 2 &&
	       ddfs_xattr_name_is_possible(r->name[0], r->name + 1, r->name_len - 1u) &&
	       (!r->type || (r->type == IN_BLOCKS && r->val_len == sizeof(struct ddfs_xattr_ref)));
}

static int tell_xattr(struct ddfs_image_trip *t, const struct ddfs_image_record *r)
{
	if (r->type == IN_BLOCKS) {
		struct ddfs_xattr_ref ref = ref_of(r);
		int ret;

		if (!chain_holds(t, &ref))
			return 0;
		ret = chain_follow(t, &ref, NULL, 0);
		if (ret)
			return ret < 0 ? ret : 0;
	}
	return t->walk->record ? t->walk->record(t->walk->arg, r) : 0;
}

int ddfs_image_walk_xattrs(const struct ddfs_image *img, const struct ddfs_inode_disk *di,
	const struct ddfs_image_walk *walk)
{
	struct ddfs_image_trip trip = ddfs_image_trip_init(img, walk, ddfs_le32(di->ino));
	/* The hash says nothing of a value. */
	struct ddfs_image_names names = { &trip, xattr_holds, DDFS_FAULT_XATTR, tell_xattr, false };
	int err = walk_inline(&trip, di);

	if (err < 0)
		return err;
	return ddfs_image_names_walk(&names, ddfs_le64(di->xattr_root), di->xattr_depth);
}
