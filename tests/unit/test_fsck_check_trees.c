/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of nodes, extents, names and attributes: FORMAT.md 13.5 to 13.7 and 13.9. */
#include <check.h>
#include <string.h>

#include "tests/unit/fsck_rules.h"
#include "tests/unit/suite.h"

/* ---- extents -------------------------------------------------------------------------------- */

static struct ddfs_node *map_root(struct rule_stage *s)
{
	return rule_node(s, ddfs_le64(rule_find(s, "extents")->body.root));
}

static struct ddfs_node *map_leaf(struct rule_stage *s)
{
	struct ddfs_node *n = map_root(s);

	while (n->level)
		n = rule_node(s, ddfs_le64(((struct ddfs_extent_ref *)n->payload)->child));
	return n;
}

static struct ddfs_extent *extents(struct rule_stage *s)
{
	return (struct ddfs_extent *)map_leaf(s)->payload;
}

static void node_sum(struct rule_stage *s)
{
	map_leaf(s)->owner.raw ^= 1;
}

static void node_self(struct rule_stage *s)
{
	map_leaf(s)->self.raw ^= 1;
	RULE_SEAL(s, map_leaf(s));
}

static void node_type(struct rule_stage *s)
{
	map_leaf(s)->type = ddfs_to16(DDFS_NODE_VALUE);
	RULE_SEAL(s, map_leaf(s));
}

static void node_level(struct rule_stage *s)
{
	struct ddfs_node *n = map_leaf(s);

	n->level = 3;
	RULE_SEAL(s, n);
}

static void node_empty(struct rule_stage *s)
{
	map_leaf(s)->nr = ddfs_to16(0);
	RULE_SEAL(s, map_leaf(s));
}

static void node_full(struct rule_stage *s)
{
	map_leaf(s)->nr = ddfs_to16(255);
	RULE_SEAL(s, map_leaf(s));
}

static void ref_outside(struct rule_stage *s)
{
	struct ddfs_extent_ref *r = (void *)map_root(s)->payload;

	r[1].child = ddfs_to64(s->img.data_block - 1);
	RULE_SEAL(s, map_root(s));
}

static void ref_order(struct rule_stage *s)
{
	struct ddfs_extent_ref *r = (void *)map_root(s)->payload;

	r[1].lblk = ddfs_to32(0);
	RULE_SEAL(s, map_root(s));
}

static void extent_empty(struct rule_stage *s)
{
	extents(s)[5].len = ddfs_to32(0);
	RULE_SEAL(s, map_leaf(s));
}

static void extent_order(struct rule_stage *s)
{
	struct ddfs_extent *e = extents(s), old = e[5];

	e[5] = e[6];
	e[6] = old;
	RULE_SEAL(s, map_leaf(s));
}

static void extent_overlap(struct rule_stage *s)
{
	extents(s)[6].lblk = extents(s)[5].lblk;
	RULE_SEAL(s, map_leaf(s));
}

static void extent_past_leaf(struct rule_stage *s)
{
	struct ddfs_node *leaf = map_leaf(s);
	struct ddfs_extent *e = extents(s);

	e[ddfs_le16(leaf->nr) - 1].lblk = ddfs_to32(100000);
	RULE_SEAL(s, leaf);
}

static void extent_nowhere(struct rule_stage *s)
{
	extents(s)[5].start = ddfs_to64(s->img.end_block);
	RULE_SEAL(s, map_leaf(s));
}

static void inline_many(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "file");

	di->nr_extents = ddfs_to16(5);
	RULE_SEAL(s, di);
}

static void map_depth(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "extents");

	di->depth = 9;
	RULE_SEAL(s, di);
}

/* ---- names ---------------------------------------------------------------------------------- */

static struct ddfs_node *names_root(struct rule_stage *s)
{
	return rule_node(s, ddfs_le64(rule_find(s, "dir")->body.root));
}

static struct rule_record one_name(struct rule_stage *s)
{
	return rule_record_find(
		s, ddfs_le64(rule_find(s, "dir")->body.root), "a name of some length 17");
}

static void name_hash(struct rule_stage *s)
{
	struct rule_record r = one_name(s);

	*((uint8_t *)(r.record + 1) + 2) ^= 1;
	RULE_SEAL(s, r.leaf);
}

static void name_key(struct rule_stage *s)
{
	struct rule_record r = one_name(s);

	r.record->key = ddfs_to64(ddfs_le64(r.record->key) ^ 128);
	RULE_SEAL(s, r.leaf);
}

static void name_tag(struct rule_stage *s)
{
	struct rule_record r = one_name(s);

	r.slot->tag.raw ^= 1;
	RULE_SEAL(s, r.leaf);
}

static void name_empty(struct rule_stage *s)
{
	struct rule_record r = one_name(s);

	r.record->name_len = 0;
	RULE_SEAL(s, r.leaf);
}

static void name_outside(struct rule_stage *s)
{
	struct rule_record r = one_name(s);

	r.slot->off = ddfs_to16((uint16_t)(ddfs_le16(r.leaf->low) - 8));
	RULE_SEAL(s, r.leaf);
}

static void name_value(struct rule_stage *s)
{
	struct rule_record r = one_name(s);

	r.record->val_len = ddfs_to16(3);
	RULE_SEAL(s, r.leaf);
}

/* Another record of the leaf gets the name, and the next key of its hash. */
static void name_twice(struct rule_stage *s)
{
	struct rule_record r = one_name(s);
	struct ddfs_name_slot *slot = (void *)r.leaf->payload;
	struct ddfs_name_record *other;

	do {
		other = (void *)((uint8_t *)r.leaf + ddfs_le16(slot->off));
	} while (slot++ == r.slot || other == (void *)r.leaf ||
		 other->name_len != r.record->name_len);
	slot--;
	memcpy(other + 1, r.record + 1, r.record->name_len);
	other->key = ddfs_to64(ddfs_le64(r.record->key) + 1);
	slot->tag = r.slot->tag;
	RULE_SEAL(s, r.leaf);
}

static void names_live(struct rule_stage *s)
{
	struct rule_record r = one_name(s);

	r.leaf->live = ddfs_to16(ddfs_le16(r.leaf->live) - 8);
	RULE_SEAL(s, r.leaf);
}

/* A slot more, and it is dead. */
static void names_last_dead(struct rule_stage *s)
{
	struct rule_record r = one_name(s);
	struct ddfs_name_slot *slot = (void *)r.leaf->payload;

	slot[ddfs_le16(r.leaf->nr)].off = ddfs_to16(0);
	r.leaf->nr = ddfs_to16(ddfs_le16(r.leaf->nr) + 1);
	RULE_SEAL(s, r.leaf);
}

static void names_index(struct rule_stage *s)
{
	struct ddfs_name_ref *r = (void *)names_root(s)->payload;

	ck_assert_uint_gt(names_root(s)->level, 0);
	r[1].key = ddfs_to64(ddfs_le64(r[1].key) | 1);
	RULE_SEAL(s, names_root(s));
}

static void names_depth(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "dir");

	di->depth = 9;
	RULE_SEAL(s, di);
}

/* ---- attributes ----------------------------------------------------------------------------- */

static struct rule_record one_xattr(struct rule_stage *s, const char *name)
{
	struct rule_record r =
		rule_record_find(s, ddfs_le64(rule_find(s, "file")->xattr_root), name);

	ck_assert_msg(r.leaf, "%s", name);
	return r;
}

static void xattr_prefix(struct rule_stage *s)
{
	struct rule_record r = one_xattr(s, "\1medium");

	*(uint8_t *)(r.record + 1) = 5;
	RULE_SEAL(s, r.leaf);
}

static void xattr_kind(struct rule_stage *s)
{
	struct rule_record r = one_xattr(s, "\1medium");

	r.record->type = 2;
	RULE_SEAL(s, r.leaf);
}

static struct ddfs_xattr_ref large_value(struct rule_record *r)
{
	struct ddfs_xattr_ref ref;

	memcpy(&ref, (uint8_t *)(r->record + 1) + r->record->name_len, sizeof(ref));
	return ref;
}

static void chain_long(struct rule_stage *s)
{
	struct rule_record r = one_xattr(s, "\1large");
	struct ddfs_xattr_ref ref = large_value(&r);

	ref.len = ddfs_to32(STAGE_LARGE + 1);
	memcpy((uint8_t *)(r.record + 1) + r.record->name_len, &ref, sizeof(ref));
	RULE_SEAL(s, r.leaf);
}

static void chain_ring(struct rule_stage *s)
{
	struct rule_record r = one_xattr(s, "\1large");
	struct ddfs_xattr_ref ref = large_value(&r);
	struct ddfs_node *n = rule_node(s, ddfs_le64(ref.first));

	((struct ddfs_value_head *)n->payload)->next = ref.first;
	RULE_SEAL(s, n);
}

static void inline_short(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "inline");

	di->xattr_bytes = ddfs_to16(ddfs_le16(di->xattr_bytes) - 1);
	RULE_SEAL(s, di);
}

static void inline_prefix(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "inline");

	di->xattr[0] = 0;
	RULE_SEAL(s, di);
}

static void inline_nul(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "inline");

	di->xattr[sizeof(struct ddfs_inline_xattr)] = 0;
	RULE_SEAL(s, di);
}

static void inline_system(struct rule_stage *s)
{
	struct ddfs_inode_disk *di = rule_find(s, "inline");

	di->xattr[0] = DDFS_XATTR_SYSTEM;
	RULE_SEAL(s, di);
}

static void xattr_system(struct rule_stage *s)
{
	struct rule_record r = one_xattr(s, "\1medium");

	*(uint8_t *)(r.record + 1) = DDFS_XATTR_SYSTEM;
	RULE_SEAL(s, r.leaf);
}

/* ---- the table ------------------------------------------------------------------------------ */

/* What a record that does not hold brings along for its inode. */
#define LOST "no name leads to it"

static const struct rule rules[] = {
	{ "node: checksum", node_sum, "its map has a node whose", 0, false, NULL },
	{ "node: self", node_self, "its map has a node whose", 0, false, NULL },
	{ "node: type", node_type, "its map has a node whose", 0, false, NULL },
	{ "node: level", node_level, "its map has a node whose", 0, false, NULL },
	{ "node: no entries", node_empty, "without entries", 0, false, NULL },
	{ "node: too many", node_full, "with too many", 0, false, NULL },
	{ "reference: outside", ref_outside, "a block that cannot be", 0, false, NULL },
	{ "reference: order", ref_order, "its map has ", 0, false, NULL },
	{ "extent: empty", extent_empty, "an extent that is empty", 0, false, NULL },
	{ "extent: order", extent_order, "out of order", 0, false, NULL },
	{ "extent: overlap", extent_overlap, "out of order", 0, false, NULL },
	{ "extent: past its leaf", extent_past_leaf, "out of order, range", 0, false, NULL },
	{ "extent: outside", extent_nowhere, "or the device", 0, false, NULL },
	{ "extents: five inline", inline_many, "its map has ", 0, false, NULL },
	{ "map: depth", map_depth, "more levels", 0, false, NULL },
	{ "name: hash", name_hash, "a record whose", 0, false, LOST },
	{ "name: key", name_key, "a record whose", 0, false, LOST },
	{ "name: tag", name_tag, "a record whose", 0, false, LOST },
	{ "name: empty", name_empty, "a record whose", 0, false, LOST },
	{ "name: outside", name_outside, "a record whose", 0, false, LOST },
	{ "name: value", name_value, "a record whose", 0, false, LOST },
	{ "name: twice", name_twice, "is there twice", 0, false, LOST },
	{ "names: live", names_live, "miscounts", 0, false, NULL },
	{ "names: last is dead", names_last_dead, "miscounts", 0, false, NULL },
	{ "names: index", names_index, "references out of order", 0, false, NULL },
	{ "names: depth", names_depth, "more levels", 0, false, LOST },
	{ "xattr: prefix", xattr_prefix, "a name or kind", DDFS_FSCK_HASH_ANY, false, NULL },
	{ "xattr: system", xattr_system, "a name or kind", DDFS_FSCK_HASH_ANY, false, NULL },
	{ "xattr: kind", xattr_kind, "a name or kind", 0, false, NULL },
	{ "xattr: long", chain_long, "a value of another length than its reference says (block ", 0,
		false, NULL },
	{ "xattr: ring", chain_ring, "the list of its attributes", 0, false, NULL },
	{ "inline: short", inline_short, "does not fill", 0, false, NULL },
	{ "inline: prefix", inline_prefix, "the list of its attributes has", 0, false, NULL },
	{ "inline: NUL", inline_nul, "the list of its attributes has", 0, false, NULL },
	{ "inline: system", inline_system, "the list of its attributes has", 0, false, NULL },
};
#define NR_RULES ((int)(sizeof(rules) / sizeof(rules[0])))

START_TEST(broken_rule)
{
	rule_try(&rules[_i]);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = { { "rules of trees", broken_rule, NR_RULES } };

	return suite_run("fsck_check_trees", cases, 1);
}
