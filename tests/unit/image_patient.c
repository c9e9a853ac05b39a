/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/image_patient.h"

#include <check.h>
#include <string.h>

static int visit(void *arg, uint64_t blk)
{
	struct found *f = arg;

	ck_assert_uint_ge(blk, 512);
	ck_assert_uint_lt(blk, STAGE_SIZE / 4096 - 2);
	return f->leave_out && f->leave_out(f, blk);
}

static void node(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct found *f = arg;

	ck_assert_uint_eq(ddfs_le64(n->self), blk);
	if (f->nr_nodes < MAX_NODES)
		f->node[f->nr_nodes] = blk;
	f->nr_nodes++;
}

static int extent(void *arg, const struct ddfs_extent *e)
{
	struct found *f = arg;

	f->disorder |= ddfs_le32(e->lblk) < f->last;
	f->last = (uint64_t)ddfs_le32(e->lblk) + ddfs_le32(e->len);
	f->nr++;
	return 0;
}

static int record(void *arg, const struct ddfs_image_record *r)
{
	struct found *f = arg;

	f->disorder |= r->key && r->key <= f->last;
	f->last = r->key;
	f->nr++;
	return 0;
}

static void fault(void *arg, enum ddfs_image_fault what, uint64_t blk, uint64_t from, uint64_t to)
{
	struct found *f = arg;

	(void)blk;
	(void)from;
	(void)to;
	f->faults |= 1u << what;
	f->nr_faults++;
}

int patient_walk(const struct ddfs_image *img, const struct ddfs_inode_disk *di, enum tree tree,
	struct found *f)
{
	struct ddfs_image_walk walk = { f, visit, node, extent, record, fault };

	if (tree == EXTENTS)
		return ddfs_image_walk_extents(img, di, &walk);
	if (tree == NAMES)
		return ddfs_image_walk_names(img, di, &walk);
	return ddfs_image_walk_xattrs(img, di, &walk);
}

struct ddfs_node *patient_node(struct patient *p, uint64_t blk)
{
	return (void *)(p->r.writable + blk * DDFS_BLOCK_BYTES);
}

static void find_nodes(struct patient *p)
{
	for (unsigned int i = 0; i < p->healthy.nr_nodes; i++) {
		struct ddfs_node *n = patient_node(p, p->healthy.node[i]);

		if (!p->root)
			p->root = n;
		if (!p->leaf && !n->level)
			p->leaf = n;
		if (!p->value && ddfs_le16(n->type) == DDFS_NODE_VALUE)
			p->value = n;
	}
}

void patient_begin(struct patient *p, const char *name, enum tree tree)
{
	memset(p, 0, sizeof(*p));
	stage_make(&p->r);
	ck_assert_int_eq(ddfs_image_open(&p->r.media, 0, &p->img), 0);
	p->ino = stage_find(&p->img, name);
	p->tree = tree;
	p->di = (void *)(p->r.writable + ddfs_image_slot_off(&p->img, p->ino));
	ck_assert_int_eq(patient_walk(&p->img, p->di, tree, &p->healthy), 0);
	ck_assert_uint_eq(p->healthy.faults, 0);
	ck_assert_uint_le(p->healthy.nr_nodes, MAX_NODES);
	ck_assert(!p->healthy.disorder);
	find_nodes(p);
}

void patient_end(struct patient *p)
{
	ddfs_image_close(&p->img);
	ram_fini(&p->r);
}
