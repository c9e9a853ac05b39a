/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks of trees that are not all there, that have no end, or that somebody ends. */
#include <errno.h>
#include <string.h>

#include "tests/unit/image_patient.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#define NR_FAULTS (DDFS_FAULT_XATTR + 1)

/* Poison in each node of each tree: that node alone is lost, and what it leads to. A changed byte:
 * what its checksum alone vouched for. */
static const struct {
	const char *name;
	enum tree tree;
} trees[] = { { "extents", EXTENTS }, { "dir", NAMES }, { "file", XATTRS } };

static void ck_kept(const struct patient *p, const struct ddfs_node *n, unsigned int nr)
{
	if (n->level) /* the children have checksums of their own */
		ck_assert_uint_eq(nr, p->healthy.nr);
	else if (p->tree == NAMES) /* at most the record with that byte */
		ck_assert_uint_ge(nr, p->healthy.nr - 1);
	else
		ck_assert_uint_lt(nr, p->healthy.nr);
}

static void lose_node(struct patient *p, unsigned int i, bool poison)
{
	uint64_t off = p->healthy.node[i] * DDFS_BLOCK_BYTES;
	struct found f = { 0 };
	unsigned int want = poison ? BIT(UNREADABLE) : BIT(NODE);

	if (poison)
		ram_poison(&p->r, off);
	else
		p->r.writable[off + 1000] ^= 1;
	ck_assert_int_eq(patient_walk(&p->img, p->di, p->tree, &f), 0);
	ck_assert_uint_eq(f.faults, want);
	ck_assert_uint_eq(f.nr_faults, 1);
	if (poison)
		ck_assert_uint_lt(f.nr, p->healthy.nr);
	else
		ck_kept(p, (const void *)(p->r.writable + off), f.nr);
	ck_assert(!f.disorder);
	if (poison)
		ram_heal(&p->r, off);
	else
		p->r.writable[off + 1000] ^= 1;
}

START_TEST(lost_nodes)
{
	struct found f = { 0 };
	struct patient p;

	patient_begin(&p, trees[_i].name, trees[_i].tree);
	ck_assert_uint_ge(p.healthy.nr_nodes, 3);
	for (unsigned int i = 0; i < p.healthy.nr_nodes; i++) {
		lose_node(&p, i, false);
		lose_node(&p, i, true);
	}
	patient_walk(&p.img, p.di, p.tree, &f);
	ck_assert_uint_eq(f.nr, p.healthy.nr);
	patient_end(&p);
}
END_TEST

/* A torn index that leads to another inode's nodes: they are not taken for its own. */
START_TEST(torn_index_leads_elsewhere)
{
	struct found f = { 0 };
	struct ddfs_node *root, *child;
	struct patient p;
	uint64_t blk;

	patient_begin(&p, trees[_i].name, trees[_i].tree);
	blk = p.healthy.node[0];
	root = patient_node(&p, blk);
	ck_assert_uint_gt(root->level, 0);
	child = patient_node(&p, ddfs_le64(((const struct ddfs_name_ref *)root->payload)->child));
	child->owner = ddfs_to32(ddfs_le32(child->owner) + 1);
	stage_seal_node(&p.r, ddfs_le64(child->self));
	ck_assert_int_eq(patient_walk(&p.img, p.di, p.tree, &f), 0);
	ck_assert_uint_eq(f.nr, p.healthy.nr);
	root->pad2.raw ^= 1;
	f = (struct found){ 0 };
	ck_assert_int_eq(patient_walk(&p.img, p.di, p.tree, &f), 0);
	ck_assert_uint_eq(f.faults, BIT(NODE));
	ck_assert_uint_eq(f.nr_faults, 2);
	ck_assert_uint_lt(f.nr, p.healthy.nr);
	ck_assert_uint_gt(f.nr, 0);
	patient_end(&p);
}
END_TEST

static bool is_left_out(const struct found *f, uint64_t blk)
{
	return blk == f->left_out;
}

/* Who walks says that a block is not to be looked at. */
START_TEST(left_out)
{
	struct patient p;

	patient_begin(&p, trees[_i].name, trees[_i].tree);
	for (unsigned int i = 0; i < p.healthy.nr_nodes; i++) {
		struct found f = { .leave_out = is_left_out, .left_out = p.healthy.node[i] };

		ck_assert_int_eq(patient_walk(&p.img, p.di, p.tree, &f), 0);
		ck_assert_uint_eq(f.faults, 0);
		ck_assert_uint_lt(f.nr, p.healthy.nr);
		for (unsigned int j = 0; j < f.nr_nodes; j++)
			ck_assert_uint_ne(f.node[j], f.left_out);
	}
	patient_end(&p);
}
END_TEST

static int refuse(void *arg, uint64_t blk)
{
	(void)arg;
	(void)blk;
	return -EINTR;
}
static int refuse_extent(void *arg, const struct ddfs_extent *e)
{
	(void)arg;
	(void)e;
	return -EINTR;
}
static int refuse_record(void *arg, const struct ddfs_image_record *r)
{
	(void)arg;
	(void)r;
	return -EINTR;
}

START_TEST(ended)
{
	struct ddfs_image_walk walk[] = { { .visit = refuse },
		{ .extent = refuse_extent, .record = refuse_record } };
	struct patient p;

	for (unsigned int i = 0; i < 3; i++) {
		patient_begin(&p, trees[i].name, trees[i].tree);
		for (unsigned int j = 0; j < 2; j++) {
			int err = i == EXTENTS ? ddfs_image_walk_extents(&p.img, p.di, &walk[j])
				  : i == NAMES ? ddfs_image_walk_names(&p.img, p.di, &walk[j])
					       : ddfs_image_walk_xattrs(&p.img, p.di, &walk[j]);
			ck_assert_int_eq(err, -EINTR);
		}
		patient_end(&p);
	}
}
END_TEST

/* Eight levels of nodes whose references all lead to one node of the next: nobody could visit all
 * the ways through. */
static void make_maze(struct patient *p, uint16_t type)
{
	uint64_t blk = p->img.end_block - 10;

	for (unsigned int level = 0; level < 8; level++) {
		struct ddfs_node *n = patient_node(p, blk + level);

		memset(n, 0, sizeof(*n));
		n->type = ddfs_to16(level || type == DDFS_NODE_EXTENT ? type : DDFS_NODE_NAME_LEAF);
		n->level = (uint8_t)level;
		n->self = ddfs_to64(blk + level);
		n->nr = ddfs_to16(DDFS_NODE_ENTRIES);
		for (unsigned int i = 0; i < DDFS_NODE_ENTRIES; i++)
			((struct ddfs_name_ref *)n->payload)[i].child = ddfs_to64(blk + level - 1);
		stage_seal_node(&p->r, blk + level);
	}
	p->di->body.root = ddfs_to64(blk + 7);
	p->di->depth = type == DDFS_NODE_EXTENT ? 8 : 7;
}

START_TEST(maze)
{
	bool names = _i;
	struct found f = { 0 };
	struct patient p;

	patient_begin(&p, names ? "dir" : "extents", names ? NAMES : EXTENTS);
	make_maze(&p, names ? DDFS_NODE_NAME_INDEX : DDFS_NODE_EXTENT);
	ck_assert_int_eq(patient_walk(&p.img, p.di, p.tree, &f), 0);
	ck_assert_uint_ne(f.faults & BIT(BLOCK), 0);
	patient_end(&p);
}
END_TEST

/* Every inode of an image with random bytes changed, sealed: no crash, no end outside the data. */
START_TEST(random_bytes)
{
	struct rng rng;
	struct patient p;

	patient_begin(&p, trees[_i].name, trees[_i].tree);
	rng_seed(&rng, env_number("DDFS_SEED", 1));
	for (unsigned int round = 0; round < 3000; round++) {
		uint64_t blk = p.healthy.node[rng_below(&rng, p.healthy.nr_nodes)];
		uint8_t *n = (uint8_t *)patient_node(&p, blk), old[DDFS_BLOCK_BYTES];
		struct found f = { 0 };

		memcpy(old, n, sizeof(old));
		for (unsigned int i = 0; i < 1 + round % 4; i++)
			n[4 + rng_below(&rng, round % 2 ? 200 : 4092)] = (uint8_t)rng_next(&rng);
		stage_seal_node(&p.r, blk);
		ck_assert_int_eq(patient_walk(&p.img, p.di, p.tree, &f), 0);
		ck_assert(p.tree != EXTENTS || !f.disorder);
		memcpy(n, old, sizeof(old));
	}
	patient_end(&p);
}
END_TEST

START_TEST(slots)
{
	struct ddfs_inode_disk di;
	struct patient p;

	patient_begin(&p, "file", EXTENTS);
	p.di->uid = ddfs_to32(77);
	ck_assert_int_eq(ddfs_image_inode(&p.img, p.ino, &di), -EUCLEAN);
	ck_assert_uint_eq(ddfs_le32(di.uid), 77);
	ram_poison(&p.r, ddfs_image_slot_off(&p.img, p.ino));
	ck_assert_int_eq(ddfs_image_inode(&p.img, p.ino, &di), -EIO);
	patient_end(&p);
}
END_TEST

START_TEST(texts)
{
	const char *text = ddfs_image_fault_text((enum ddfs_image_fault)_i);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_ne(text, "unknown");
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "lost nodes", lost_nodes, 3 },
		{ "torn index that leads elsewhere", torn_index_leads_elsewhere, 2 },
		{ "left out", left_out, 3 },
		{ "ended", ended, 0 },
		{ "maze", maze, 2 },
		{ "random bytes", random_bytes, 3 },
		{ "slots", slots, 0 },
		{ "texts", texts, NR_FAULTS },
	};

	return suite_run("image_lost", cases, sizeof(cases) / sizeof(*cases));
}
