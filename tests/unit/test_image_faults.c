/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What does not hold is told as what it is, and everything else is still there. Each case damages
 * one structure of a populated image, and says which faults the walk of its inode tells, and how
 * much it then finds.
 */
#include <string.h>

#include "tests/unit/image_patient.h"
#include "tests/unit/suite.h"

static struct ddfs_extent_ref *extent_ref(struct patient *p, unsigned int i)
{
	return (struct ddfs_extent_ref *)p->root->payload + i;
}
static struct ddfs_name_ref *name_ref(struct patient *p, unsigned int i)
{
	return (struct ddfs_name_ref *)p->root->payload + i;
}
static struct ddfs_extent *leaf_extent(struct patient *p, unsigned int i)
{
	return (struct ddfs_extent *)p->leaf->payload + i;
}
/* The first slot from i on that is not dead. */
static struct ddfs_name_slot *live_slot(struct patient *p, unsigned int i)
{
	struct ddfs_name_slot *s = (struct ddfs_name_slot *)p->leaf->payload + i;

	while (!ddfs_le16(s->off))
		s++;
	return s;
}
static struct ddfs_name_record *record_of(struct patient *p, unsigned int i)
{
	return (void *)((uint8_t *)p->leaf + ddfs_le16(live_slot(p, i)->off));
}

static void too_deep(struct patient *p)
{
	p->di->depth = 9;
}
static void root_outside(struct patient *p)
{
	p->di->body.root = ddfs_to64(p->img.end_block);
}
static void root_in_fixed(struct patient *p)
{
	p->di->body.root = ddfs_to64(p->img.data_block - 1);
}
static void xattr_root_outside(struct patient *p)
{
	p->di->xattr_root = ddfs_to64(UINT64_MAX);
}
static void xattr_too_deep(struct patient *p)
{
	p->di->xattr_depth = 200;
}
static void inline_too_many(struct patient *p)
{
	p->di->depth = 0;
	p->di->nr_extents = ddfs_to16(5);
	for (uint32_t i = 0; i < 4; i++)
		p->di->body.extent[i] = (struct ddfs_extent){ ddfs_to32(i * 8), ddfs_to32(1),
			ddfs_to64(p->img.data_block + i) };
}
static void inline_bad(struct patient *p)
{
	inline_too_many(p);
	p->di->nr_extents = ddfs_to16(4);
	p->di->body.extent[1].len = ddfs_to32(9);     /* reaches into the next */
	p->di->body.extent[3].start = ddfs_to64(511); /* fixed */
}
static void inline_past_end(struct patient *p)
{
	inline_too_many(p);
	p->di->nr_extents = ddfs_to16(4);
	p->di->body.extent[3].lblk = ddfs_to32(UINT32_MAX);
	p->di->body.extent[3].len = ddfs_to32(2);
}

static void child_in_fixed(struct patient *p)
{
	extent_ref(p, 0)->child = ddfs_to64(1);
}
static void refs_equal(struct patient *p)
{
	extent_ref(p, 1)->lblk = ddfs_to32(0);
}
static void root_loops(struct patient *p)
{
	extent_ref(p, 0)->child = p->root->self;
}
static void no_refs(struct patient *p)
{
	p->root->nr = ddfs_to16(0);
}
static void leaf_many(struct patient *p)
{
	p->leaf->nr = ddfs_to16(255);
}
static void extent_empty(struct patient *p)
{
	leaf_extent(p, 5)->len = ddfs_to32(0);
}
static void extent_outside(struct patient *p)
{
	leaf_extent(p, 5)->start = ddfs_to64(UINT64_C(1) << 62);
}
static void extent_behind(struct patient *p)
{
	leaf_extent(p, 5)->lblk = ddfs_to32(0);
}
static void extent_into_next_leaf(struct patient *p)
{
	leaf_extent(p, ddfs_le16(p->leaf->nr) - 1u)->len = ddfs_to32(3);
}
static void wrong_self(struct patient *p)
{
	p->leaf->self = ddfs_to64(ddfs_le64(p->leaf->self) + 1);
}
static void wrong_type(struct patient *p)
{
	p->leaf->type = ddfs_to16(DDFS_NODE_VALUE);
}
static void wrong_level(struct patient *p)
{
	p->leaf->level = 1;
}

static void key_low_bits(struct patient *p)
{
	name_ref(p, 1)->key = ddfs_to64(ddfs_le64(name_ref(p, 1)->key) + 1);
}
static void keys_swapped(struct patient *p)
{
	uint64_t a = ddfs_le64(name_ref(p, 1)->key), b = ddfs_le64(name_ref(p, 2)->key);

	name_ref(p, 1)->key = ddfs_to64(b);
	name_ref(p, 2)->key = ddfs_to64(a);
}
/* What of the first leaf has keys behind it would be looked for in the next one. */
static void key_lowered(struct patient *p)
{
	name_ref(p, 1)->key = ddfs_to64(ddfs_le64(name_ref(p, 1)->key) / 512 * 128);
}
static void name_changed(struct patient *p)
{
	((uint8_t *)(record_of(p, 3) + 1))[2] ^= 1;
}
static void tag_changed(struct patient *p)
{
	live_slot(p, 3)->tag = ddfs_to32(ddfs_le32(live_slot(p, 3)->tag) ^ 1);
}
static void value_short(struct patient *p)
{
	record_of(p, 3)->val_len = ddfs_to16(3);
}
static void record_long(struct patient *p)
{
	record_of(p, 3)->val_len = ddfs_to16(5000);
}
static void nameless(struct patient *p)
{
	record_of(p, 3)->name_len = 0;
}
static void record_below_low(struct patient *p)
{
	p->leaf->low = ddfs_to16(ddfs_le16(p->leaf->low) + 8);
}
static void slot_unaligned(struct patient *p)
{
	live_slot(p, 3)->off = ddfs_to16(ddfs_le16(live_slot(p, 3)->off) + 4);
}
static struct ddfs_name_slot *next_live(struct ddfs_name_slot *s)
{
	do
		s++;
	while (!ddfs_le16(s->off));
	return s;
}
static void record_in_another(struct patient *p)
{
	*next_live(live_slot(p, 3)) = *live_slot(p, 3);
}
static void live_wrong(struct patient *p)
{
	p->leaf->live = ddfs_to16(ddfs_le16(p->leaf->live) + 8);
}
static void last_dead(struct patient *p)
{
	struct ddfs_name_slot *s = (struct ddfs_name_slot *)p->leaf->payload;

	s += ddfs_le16(p->leaf->nr) - 1;
	p->leaf->live = ddfs_to16(ddfs_le16(p->leaf->live) - ddfs_le16(s->len));
	s->off = ddfs_to16(0);
}
static void slots_over_records(struct patient *p)
{
	p->leaf->nr = ddfs_to16(500);
}
static void low_outside(struct patient *p)
{
	p->leaf->low = ddfs_to16(4104);
}
/* The same name once more, in place of another one of its length. */
static void name_twice(struct patient *p)
{
	struct ddfs_name_slot *a = live_slot(p, 3), *b = next_live(a);

	ck_assert_uint_eq(ddfs_le16(a->len), ddfs_le16(b->len));
	memcpy((uint8_t *)p->leaf + ddfs_le16(b->off), record_of(p, 3), ddfs_le16(a->len));
	b->tag = a->tag;
}

static void inline_long(struct patient *p)
{
	p->di->xattr_bytes = ddfs_to16(65);
}
static void inline_cut(struct patient *p)
{
	p->di->xattr_bytes = ddfs_to16(ddfs_le16(p->di->xattr_bytes) - 1);
}
static void inline_prefix(struct patient *p)
{
	p->di->xattr[0] = 5;
}
static void chain_cut(struct patient *p)
{
	((struct ddfs_value_head *)p->value->payload)->next = ddfs_to64(0);
}
static void chain_loops(struct patient *p)
{
	((struct ddfs_value_head *)p->value->payload)->next = p->value->self;
}
static void chain_leaves(struct patient *p)
{
	((struct ddfs_value_head *)p->value->payload)->next = ddfs_to64(3);
}
static void chain_empty(struct patient *p)
{
	p->value->nr = ddfs_to16(0);
}
/* All bytes are there, in nodes that could be as many as there are bytes. */
static void chain_not_full(struct patient *p)
{
	struct ddfs_node *last = p->value;
	uint64_t next;

	while ((next = ddfs_le64(((struct ddfs_value_head *)last->payload)->next)))
		last = patient_node(p, next);
	ck_assert_ptr_ne(last, p->value);
	p->value->nr = ddfs_to16((uint16_t)(ddfs_le16(p->value->nr) - 1));
	last->nr = ddfs_to16((uint16_t)(ddfs_le16(last->nr) + 1));
}
static void kind_unknown(struct patient *p)
{
	record_of(p, 0)->type = 2;
}

#define ALL_NAMES ((int)STAGE_NAMES)
#define ALL_MAP	  ((int)STAGE_EXTENTS)
#define SOME	  (-1) /* more than none, less than all */

static const struct hurt {
	const char *name; /* of the inode */
	enum tree tree;
	void (*damage)(struct patient *p);
	unsigned int faults;
	int left; /* extents or records */
} hurts[] = {
	{ "extents", EXTENTS, too_deep, BIT(DEPTH), 0 },
	{ "extents", EXTENTS, root_outside, BIT(BLOCK), 0 },
	{ "extents", EXTENTS, root_in_fixed, BIT(BLOCK), 0 },
	{ "extents", EXTENTS, inline_too_many, BIT(ENTRIES), 4 },
	{ "extents", EXTENTS, inline_bad, BIT(EXTENT), 2 },
	{ "extents", EXTENTS, inline_past_end, BIT(EXTENT), 3 },
	{ "extents", EXTENTS, child_in_fixed, BIT(BLOCK), SOME },
	{ "extents", EXTENTS, refs_equal, BIT(ORDER), ALL_MAP },
	{ "extents", EXTENTS, root_loops, BIT(NODE), SOME },
	{ "extents", EXTENTS, no_refs, BIT(ENTRIES), 0 },
	{ "extents", EXTENTS, leaf_many, BIT(ENTRIES), SOME },
	{ "extents", EXTENTS, extent_empty, BIT(EXTENT), ALL_MAP - 1 },
	{ "extents", EXTENTS, extent_outside, BIT(EXTENT), ALL_MAP - 1 },
	{ "extents", EXTENTS, extent_behind, BIT(EXTENT), ALL_MAP - 1 },
	{ "extents", EXTENTS, extent_into_next_leaf, BIT(EXTENT), ALL_MAP - 1 },
	{ "extents", EXTENTS, wrong_self, BIT(NODE), SOME },
	{ "extents", EXTENTS, wrong_type, BIT(NODE), SOME },
	{ "extents", EXTENTS, wrong_level, BIT(NODE), SOME },
	{ "dir", NAMES, too_deep, BIT(DEPTH), 0 },
	{ "dir", NAMES, root_outside, BIT(BLOCK), 0 },
	{ "dir", NAMES, key_low_bits, BIT(ORDER), ALL_NAMES },
	{ "dir", NAMES, keys_swapped, BIT(ORDER), ALL_NAMES },
	{ "dir", NAMES, key_lowered, BIT(RECORD), SOME },
	{ "dir", NAMES, name_changed, BIT(RECORD), ALL_NAMES - 1 },
	{ "dir", NAMES, tag_changed, BIT(RECORD), ALL_NAMES - 1 },
	{ "dir", NAMES, value_short, BIT(RECORD), ALL_NAMES - 1 },
	{ "dir", NAMES, record_long, BIT(RECORD), ALL_NAMES - 1 },
	{ "dir", NAMES, nameless, BIT(RECORD), ALL_NAMES - 1 },
	{ "dir", NAMES, record_below_low, BIT(RECORD), ALL_NAMES - 1 },
	{ "dir", NAMES, slot_unaligned, BIT(RECORD), ALL_NAMES - 1 },
	{ "dir", NAMES, record_in_another, BIT(RECORD), ALL_NAMES - 1 },
	{ "dir", NAMES, live_wrong, BIT(LIVE), ALL_NAMES },
	{ "dir", NAMES, last_dead, BIT(LIVE), ALL_NAMES - 1 },
	{ "dir", NAMES, slots_over_records, BIT(ENTRIES), SOME },
	{ "dir", NAMES, low_outside, BIT(ENTRIES), SOME },
	{ "dir", NAMES, name_twice, BIT(TWICE), ALL_NAMES - 1 },
	{ "dir", NAMES, no_refs, BIT(ENTRIES), 0 },
	{ "dir", NAMES, wrong_self, BIT(NODE), SOME },
	{ "dir", NAMES, wrong_type, BIT(NODE), SOME },
	{ "inline", XATTRS, inline_long, BIT(INLINE), 0 },
	{ "inline", XATTRS, inline_cut, BIT(INLINE), 1 },
	{ "inline", XATTRS, inline_prefix, BIT(XATTR), 1 },
	{ "file", XATTRS, xattr_root_outside, BIT(BLOCK), SOME },
	{ "file", XATTRS, xattr_too_deep, BIT(DEPTH), SOME },
	{ "file", XATTRS, chain_cut, BIT(VALUE), 2 },
	{ "file", XATTRS, chain_loops, BIT(VALUE), 2 },
	{ "file", XATTRS, chain_leaves, BIT(BLOCK), 2 },
	{ "file", XATTRS, chain_empty, BIT(VALUE), 2 },
	{ "file", XATTRS, chain_not_full, BIT(VALUE), 2 },
	{ "file", XATTRS, kind_unknown, BIT(XATTR), 2 },
};

static void seal_all(struct patient *p)
{
	for (unsigned int i = 0; i < p->healthy.nr_nodes; i++)
		stage_seal_node(&p->r, p->healthy.node[i]);
	stage_seal_inode(&p->r, &p->img, p->ino);
}

START_TEST(sealed)
{
	const struct hurt *h = &hurts[_i];
	struct ddfs_inode_disk di;
	struct found f = { 0 };
	struct patient p;

	patient_begin(&p, h->name, h->tree);
	h->damage(&p);
	seal_all(&p);
	ck_assert_int_eq(ddfs_image_inode(&p.img, p.ino, &di), 0);
	ck_assert_int_eq(patient_walk(&p.img, &di, h->tree, &f), 0);
	ck_assert_msg(
		f.faults == h->faults, "case %d: faults %#x, wanted %#x", _i, f.faults, h->faults);
	if (h->left == SOME)
		ck_assert(f.nr < p.healthy.nr);
	else
		ck_assert_msg(f.nr == (unsigned int)h->left, "case %d: %u left", _i, f.nr);
	ck_assert(h->tree != EXTENTS || !f.disorder);
	patient_end(&p);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "sealed", sealed, sizeof(hurts) / sizeof(*hurts) },
	};

	return suite_run("image_faults", cases, sizeof(cases) / sizeof(*cases));
}
