/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trees that are damaged as a whole, each structure of them with a checksum that fits: whoever
 * changes them ends, and says so; and no data is stored over a node that was checked.
 */
#include <check.h>
#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#include "tests/unit/image_patient.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

static struct ddfs_fs *mount_damaged(struct patient *p, struct ddfs_inode **root)
{
	struct ddfs_fs_options opt = { .dax = DDFS_DAX_ALWAYS, .log = ram_log_nothing };
	struct ddfs_fs *fs = ram_mount(&p->r, &opt);

	*root = ram_root(fs);
	return fs;
}

static ssize_t read_byte(struct ddfs_inode *ip, uint64_t lblk)
{
	uint8_t byte;

	return ddfs_pread(ip, &byte, 1, lblk * DDFS_BLOCK_BYTES);
}

static int cut(struct ddfs_inode *ip, uint64_t blocks)
{
	struct ddfs_attr a = { .size = blocks * DDFS_BLOCK_BYTES };

	return ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, NULL);
}

static struct ddfs_extent_ref *refs_of(struct ddfs_node *n)
{
	return (void *)n->payload;
}

/* ---- data over a node ----------------------------------------------------------------------- */

#define OLD_SIZE 100

static int overwrite(struct ddfs_inode *ip)
{
	return (int)tree_fill(ip, 10, 20, 'x');
}

static int zero_part(struct ddfs_inode *ip)
{
	return ddfs_fallocate(ip, FALLOC_FL_ZERO_RANGE, 100, 50, NULL);
}

static int punch_part(struct ddfs_inode *ip)
{
	return ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 50, NULL);
}

static int grow(struct ddfs_inode *ip)
{
	return cut(ip, 5);
}

static int grow_by_write(struct ddfs_inode *ip)
{
	return (int)tree_fill(ip, 9000, 20, 'x');
}

static int fault(struct ddfs_inode *ip)
{
	struct ddfs_file_extent e[4];
	uint64_t next;

	return (int)ddfs_layout_query(ip, 0, 0, true, e, 4, &next);
}

static const struct {
	int (*store)(struct ddfs_inode *ip);
	bool unwritten;
	bool bad; /* the block */
} stores[] = {
	{ overwrite, false, false },
	{ overwrite, true, false },
	{ overwrite, true, true },
	{ zero_part, false, false },
	{ punch_part, false, false },
	{ grow, false, false },
	{ grow_by_write, false, false },
	{ fault, true, false },
	{ fault, true, true },
};
#define NR_STORES (int)(sizeof(stores) / sizeof(stores[0]))

/* The first block of "file" becomes the leaf of another file's map. */
static void lay_over(struct patient *p, bool unwritten)
{
	uint32_t ino = stage_find(&p->img, "file");
	struct ddfs_inode_disk *di = (void *)(p->r.writable + ddfs_image_slot_off(&p->img, ino));
	uint64_t flag = unwritten ? DDFS_EXTENT_UNWRITTEN : 0;

	di->size = ddfs_to64(OLD_SIZE);
	di->body.extent[0].start = ddfs_to64(ddfs_le64(p->leaf->self) | flag);
	di->body.extent[0].len = ddfs_to32(1);
	stage_seal_inode(&p->r, &p->img, ino);
}

START_TEST(data_over_node)
{
	struct ddfs_inode *root, *owner, *ip;
	uint8_t before[DDFS_BLOCK_BYTES];
	struct patient p;
	struct ddfs_fs *fs;

	patient_begin(&p, "extents", EXTENTS);
	lay_over(&p, stores[_i].unwritten);
	memcpy(before, p.leaf, sizeof(before));
	fs = mount_damaged(&p, &root);
	owner = tree_get(root, "extents");
	ip = tree_get(root, "file");
	/* The leaf is checked, and known. */
	ck_assert_int_eq(read_byte(owner, 0), 1);
	if (stores[_i].bad)
		ddfs_bad_notice(fs, ddfs_le64(p.leaf->self) * DDFS_BLOCK_BYTES, DDFS_BLOCK_BYTES);
	ck_assert_int_eq(stores[_i].store(ip), -EUCLEAN);
	ck_assert_mem_eq(p.leaf, before, sizeof(before));
	ddfs_inode_put(ip);
	ddfs_inode_put(owner);
	ddfs_inode_put(root);
	ddfs_fs_close(fs);
	patient_end(&p);
}
END_TEST

/* ---- maps ----------------------------------------------------------------------------------- */

/* A copy of the node like in the place of a data block, without entries. */
static struct ddfs_node *node_make(struct patient *p, const struct ddfs_node *like, uint64_t blk)
{
	struct ddfs_node *n = patient_node(p, blk);

	*n = *like;
	n->self = ddfs_to64(blk);
	n->nr = ddfs_to16(0);
	return n;
}

static void node_refer(struct ddfs_node *n, uint32_t lblk, const struct ddfs_node *child)
{
	unsigned int nr = ddfs_le16(n->nr);

	refs_of(n)[nr] = (struct ddfs_extent_ref){ .lblk = ddfs_to32(lblk), .child = child->self };
	n->nr = ddfs_to16((uint16_t)(nr + 1));
}

#define NEST_LBLK 5000

/* A root above the old one, and beside that a node whose references lie before its own range and
 * lead to the first leaf. */
static void nest(struct patient *p)
{
	struct ddfs_inode_disk file = stage_inode(&p->img, "file");
	uint64_t blk = ddfs_le64(file.body.extent[0].start);
	struct ddfs_node *top = node_make(p, p->root, blk);
	struct ddfs_node *beside = node_make(p, p->root, blk + 1);

	top->level = 2;
	node_refer(beside, 0, p->leaf);
	node_refer(beside, 0, p->leaf);
	node_refer(top, 0, p->root);
	node_refer(top, NEST_LBLK, beside);
	stage_seal_node(&p->r, blk);
	stage_seal_node(&p->r, blk + 1);
	p->di->depth = 3;
	p->di->body.root = top->self;
	p->di->size = ddfs_to64(UINT64_C(2) * NEST_LBLK * DDFS_BLOCK_BYTES);
	stage_seal_inode(&p->r, &p->img, p->ino);
}

/* A leaf's range is that of all the nodes above it. */
START_TEST(range_of_all)
{
	struct ddfs_inode *root, *ip;
	struct patient p;
	struct ddfs_fs *fs;

	patient_begin(&p, "extents", EXTENTS);
	nest(&p);
	fs = mount_damaged(&p, &root);
	ip = tree_get(root, "extents");
	ck_assert_int_eq(read_byte(ip, 0), 1);
	ck_assert_int_eq(read_byte(ip, NEST_LBLK + 1), -EUCLEAN);
	ck_assert_int_eq(cut(ip, STAGE_EXTENTS), -EUCLEAN);
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
	ddfs_fs_close(fs);
	patient_end(&p);
}
END_TEST

/* What a client does that damage has let loose on a leaf, once that is checked. */
START_TEST(leaf_lost_midway)
{
	struct ddfs_inode *root, *ip;
	const struct ddfs_extent_ref *last;
	struct ddfs_extent *e;
	struct patient p;
	struct ddfs_fs *fs;

	patient_begin(&p, "extents", EXTENTS);
	fs = mount_damaged(&p, &root);
	ip = tree_get(root, "extents");
	last = refs_of(p.root) + ddfs_le16(p.root->nr) - 1;
	ck_assert_int_eq(read_byte(ip, ddfs_le32(last->lblk)), 1);
	e = (void *)patient_node(&p, ddfs_le64(last->child))->payload;
	memset(e + 1, 0, sizeof(p.root->payload) - sizeof(*e));
	ck_assert_int_eq(cut(ip, 1), -EUCLEAN);
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
	ddfs_fs_close(fs);
	patient_end(&p);
}
END_TEST

/* ---- xattrs --------------------------------------------------------------------------------- */

/* An index over the old root, which has lost its names. */
static void lose_names(struct patient *p)
{
	uint64_t blk = ddfs_le64(p->di->body.extent[0].start);
	struct ddfs_node *top = patient_node(p, blk);

	memset(p->root->payload, 0, sizeof(p->root->payload));
	p->root->nr = ddfs_to16(0);
	p->root->live = ddfs_to16(0);
	p->root->low = ddfs_to16(DDFS_BLOCK_BYTES);
	*top = *p->root;
	top->type = ddfs_to16(DDFS_NODE_NAME_INDEX);
	top->level = 1;
	top->self = ddfs_to64(blk);
	top->nr = ddfs_to16(1);
	*(struct ddfs_name_ref *)top->payload = (struct ddfs_name_ref){ .child = p->root->self };
	stage_seal_node(&p->r, ddfs_le64(p->root->self));
	stage_seal_node(&p->r, blk);
	p->di->xattr_root = top->self;
	p->di->xattr_depth = 1;
	stage_seal_inode(&p->r, &p->img, p->ino);
}

static void note_xattrs(void *arg, int priority, const char *line)
{
	unsigned int *told = arg;

	(void)priority;
	*told += strstr(line, "its xattrs are out of order") != NULL;
}

/* Of a tree without names nothing is ever removed. */
START_TEST(no_names)
{
	unsigned int told = 0;
	struct ddfs_fs_options opt = { .log = note_xattrs, .log_arg = &told };
	struct ddfs_inode *root;
	struct patient p;
	struct ddfs_fs *fs;

	patient_begin(&p, "file", XATTRS);
	lose_names(&p);
	fs = ram_mount(&p.r, &opt);
	root = ram_root(fs);
	tree_unlink(root, "file");
	ddfs_inode_put(root);
	ddfs_fs_close(fs);
	ck_assert_uint_gt(told, 0);
	patient_end(&p);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "data over a node", data_over_node, NR_STORES },
		{ "a leaf outside of a range above", range_of_all, 0 },
		{ "a leaf that is lost midway", leaf_lost_midway, 0 },
		{ "xattrs without names", no_names, 0 },
	};

	return suite_run("fs_damage_trees", cases, sizeof(cases) / sizeof(cases[0]));
}
