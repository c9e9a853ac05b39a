/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes: those that hold, in a new tree if there are others. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsck/repair_priv.h"

#define IN_BLOCKS 1 /* a record's type */
#define MAX_VALUE 65536u

struct attrs {
	struct fsck_walk walk;	      /* first: the argument of its functions */
	const struct fsck_builder *b; /* NULL: only look */
	struct fsck_names tree;
	uint8_t inlined[DDFS_INLINE_XATTR];
	unsigned int nr_inlined; /* bytes */
	uint64_t nr_values;	 /* blocks of new chains */
};

/* ---- what is kept --------------------------------------------------------------------------- */

/* As it was: what was inline fits there. */
static void keep_inline(struct attrs *a, const struct ddfs_image_record *x)
{
	uint8_t *at = a->inlined + a->nr_inlined;
	unsigned int len =
		(unsigned int)sizeof(struct ddfs_inline_xattr) + x->name_len - 1u + x->val_len;

	if (a->nr_inlined + len > sizeof(a->inlined))
		return;
	*(struct ddfs_inline_xattr *)at = (struct ddfs_inline_xattr){ .prefix = x->name[0],
		.name_len = (uint8_t)(x->name_len - 1),
		.val_len = (uint8_t)x->val_len };
	at += sizeof(struct ddfs_inline_xattr);
	memcpy(at, x->name + 1, x->name_len - 1u);
	memcpy(at + x->name_len - 1, x->value, x->val_len);
	a->nr_inlined += len;
}

static bool is_inlined(const struct attrs *a, const struct ddfs_image_record *x)
{
	for (unsigned int at = 0; at < a->nr_inlined;) {
		const struct ddfs_inline_xattr *i = (const void *)(a->inlined + at);

		if (i->prefix == x->name[0] && i->name_len + 1 == x->name_len &&
			memcmp(i + 1, x->name + 1, i->name_len) == 0)
			return true;
		at += (unsigned int)sizeof(*i) + i->name_len + i->val_len;
	}
	return false;
}

/* In a chain of its own: what the old one leads to may be another's. */
static int keep_long(struct attrs *a, const struct ddfs_image_record *x, struct fsck_name *n)
{
	struct ddfs_xattr_ref ref;
	uint8_t *value;
	uint32_t len;
	int err;

	memcpy(&ref, x->value, sizeof(ref));
	len = ddfs_le32(ref.len);
	if (!len || len > MAX_VALUE)
		return 0;
	value = malloc(len);
	if (!value)
		return -ENOMEM;
	err = ddfs_image_xattr_value(a->walk.r->img, x, value, len);
	if (err) {
		free(value);
		return err == -ENOMEM ? err : 0;
	}
	err = fsck_value_build(value, len, a->b, a->walk.ino, &ref, &a->nr_values);
	free(value);
	return err ? err : fsck_names_add(&a->tree, n, x->name, &ref);
}

static int keep(void *arg, const struct ddfs_image_record *x)
{
	struct fsck_name n = {
		.key = x->key, .type = x->type, .name_len = x->name_len, .val_len = x->val_len
	};
	struct attrs *a = arg;

	if (!a->b)
		return 0;
	if (!x->key)
		keep_inline(a, x);
	else if (x->type == IN_BLOCKS)
		return keep_long(a, x, &n);
	else if (!is_inlined(a, x))
		return fsck_names_add(&a->tree, &n, x->name, x->value);
	return 0;
}

/* ---- all of an inode's ---------------------------------------------------------------------- */

static int walk_attrs(struct fsck_repair *r, const struct ddfs_inode_disk *di,
	const struct fsck_builder *b, struct attrs *a)
{
	struct ddfs_image_walk walk = { .arg = a,
		.visit = fsck_walk_visit,
		.node = fsck_walk_node,
		.record = keep,
		.fault = fsck_walk_fault };
	int err;

	memset(a, 0, sizeof(*a));
	a->b = b;
	err = fsck_walk_init(&a->walk, r, ddfs_le32(di->ino));
	return err ? err : ddfs_image_walk_xattrs(r->img, di, &walk);
}

static void attrs_fini(struct attrs *a)
{
	fsck_walk_fini(&a->walk);
	fsck_names_fini(&a->tree);
}

static int rebuild(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks)
{
	struct fsck_tree tree;
	struct attrs a;
	struct fsck_builder b = fsck_spare_builder(r, &a.walk);
	int err = walk_attrs(r, di, &b, &a);

	if (!err)
		err = fsck_names_build(&a.tree, &b, a.walk.ino, &tree);
	if (!err) {
		memcpy(di->xattr, a.inlined, sizeof(di->xattr));
		di->xattr_bytes = ddfs_to16((uint16_t)a.nr_inlined);
		di->xattr_root = ddfs_to64(tree.root);
		di->xattr_depth = tree.depth;
		*nr_blocks += tree.nr_nodes + a.nr_values;
		fsck_tell(r, "inode %u: %s", a.walk.ino,
			tree.root || a.nr_inlined ? "its extended attributes were made anew"
						  : "its extended attributes are lost");
	}
	attrs_fini(&a);
	return err;
}

int fsck_xattrs_mend(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks)
{
	struct attrs a;
	int err = walk_attrs(r, di, NULL, &a);
	bool holds = !a.walk.nr_faults;

	if (!err && holds)
		*nr_blocks += a.walk.nr_nodes;
	attrs_fini(&a);
	return err || holds ? err : rebuild(r, di, nr_blocks);
}
