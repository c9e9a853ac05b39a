/* SPDX-License-Identifier: BSD-3-Clause */
/* Where xattrs lie: inline, in the tree, in chains of value blocks. */
#include <errno.h>
#include <string.h>

#include "fs/core.h"
#include "fs/node.h"
#include "fs/tx.h"
#include "fs/xattr_priv.h"

enum { VALUE_INLINE = 0, VALUE_IN_BLOCKS = 1 };

/* Attributes removed in one transaction; each may have 17 blocks in as many chunks. */
#define FREE_STEP 3

static const char *const prefixes[] = {
	[DDFS_XATTR_USER] = "user.",
	[DDFS_XATTR_TRUSTED] = "trusted.",
	[DDFS_XATTR_SECURITY] = "security.",
	[DDFS_XATTR_SYSTEM] = "system.",
};
#define NR_PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

const char *ddfs_xattr_prefix(uint8_t prefix)
{
	return prefix && prefix < NR_PREFIXES ? prefixes[prefix] : NULL;
}

int ddfs_xname_parse(const char *name, struct ddfs_xname *out)
{
	if (strlen(name) > 255)
		return -ERANGE;
	for (size_t i = 1; i < NR_PREFIXES; i++) {
		size_t n = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], n) != 0)
			continue;
		if (!name[n])
			return -EINVAL;
		/* ACLs are all that there is of these. */
		if (i == DDFS_XATTR_SYSTEM && strcmp(name, DDFS_ACL_ACCESS) != 0 &&
			strcmp(name, DDFS_ACL_DEFAULT) != 0)
			return -EOPNOTSUPP;
		out->s[0] = (char)i;
		out->len = 1 + strlen(name + n);
		memcpy(out->s + 1, name + n, out->len - 1);
		return 0;
	}
	return -EOPNOTSUPP;
}

const struct ddfs_inline_xattr *ddfs_xattr_inline_next(
	const struct ddfs_inode_disk *di, unsigned int *pos)
{
	const struct ddfs_inline_xattr *x = (const void *)(di->xattr + *pos);

	if (*pos >= ddfs_le16(di->xattr_bytes))
		return NULL;
	*pos += (unsigned int)sizeof(*x) + x->name_len + x->val_len;
	return x;
}

bool ddfs_xattr_inline_valid(const struct ddfs_inode_disk *di)
{
	unsigned int end = ddfs_le16(di->xattr_bytes), pos = 0;

	if (end > DDFS_INLINE_XATTR)
		return false;
	while (pos < end) {
		const struct ddfs_inline_xattr *x = (const void *)(di->xattr + pos);

		if (end - pos < sizeof(*x) || end - pos - sizeof(*x) < x->name_len ||
			!ddfs_xattr_name_is_possible(
				x->prefix, (const uint8_t *)(x + 1), x->name_len))
			return false;
		pos += (unsigned int)sizeof(*x) + x->name_len + x->val_len;
	}
	return pos == end;
}

void ddfs_xattr_tree(const struct ddfs_inode_disk *di, struct ddfs_htree *t)
{
	*t = (struct ddfs_htree){ .root = ddfs_le64(di->xattr_root),
		.depth = di->xattr_depth,
		.owner = ddfs_le32(di->ino) };
}

static void tree_save(struct ddfs_inode_disk *di, const struct ddfs_htree *t)
{
	di->xattr_root = ddfs_to64(t->root);
	di->xattr_depth = t->depth;
	di->nr_blocks = ddfs_to64(ddfs_le64(di->nr_blocks) + (uint64_t)t->nr_blocks);
}

static bool inline_is(const struct ddfs_inline_xattr *x, const struct ddfs_xname *n)
{
	return x->prefix == (uint8_t)n->s[0] && x->name_len == n->len - 1 &&
	       memcmp(x + 1, n->s + 1, x->name_len) == 0;
}

static const struct ddfs_inline_xattr *inline_find(
	const struct ddfs_inode_disk *di, const struct ddfs_xname *n)
{
	const struct ddfs_inline_xattr *x;
	unsigned int pos = 0;

	while ((x = ddfs_xattr_inline_next(di, &pos)) && !inline_is(x, n))
		;
	return x;
}

/* ---- value blocks --------------------------------------------------------------------------- */

static int chain_read(struct ddfs_fs *fs, const struct ddfs_tx *tx,
	const struct ddfs_xattr_ref *ref, uint8_t *buf)
{
	uint32_t left = ddfs_le32(ref->len);
	uint64_t blk = ddfs_le64(ref->first);

	while (left) {
		const struct ddfs_node *n;
		const struct ddfs_value_head *v;
		uint32_t len;
		int err = ddfs_node_get(fs, tx, blk, DDFS_NODE_VALUE, 0, &n);

		if (err)
			return err;
		v = (const void *)n->payload;
		len = ddfs_le16(n->nr);
		if (!len || len > left)
			return ddfs_corrupt(fs, "block %llu: an xattr's value has the wrong length",
				(unsigned long long)blk);
		memcpy(buf, v + 1, len);
		buf += len;
		left -= len;
		blk = ddfs_le64(v->next);
	}
	return 0;
}

static int chain_write(struct ddfs_tx *tx, struct ddfs_htree *t, const uint8_t *value, size_t size,
	struct ddfs_xattr_ref *ref)
{
	struct le64 *link = &ref->first;

	*ref = (struct ddfs_xattr_ref){ .len = ddfs_to32((uint32_t)size) };
	while (size) {
		size_t len = size < DDFS_VALUE_BYTES ? size : DDFS_VALUE_BYTES;
		struct ddfs_value_head *v;
		struct ddfs_range r;
		struct ddfs_node *n;
		/* Unlike nodes, values are no business of the reserve. */
		int err = ddfs_tx_alloc(tx, 0, 1, 0, &r);

		if (err)
			return err;
		n = ddfs_tx_fresh(tx, r.start);
		ddfs_node_init(n, r.start, t->owner, DDFS_NODE_VALUE, 0);
		t->nr_blocks++;
		n->nr = ddfs_to16((uint16_t)len);
		v = (void *)n->payload;
		memcpy(v + 1, value, len);
		*link = n->self;
		link = &v->next;
		value += len;
		size -= len;
	}
	return 0;
}

static int chain_free(struct ddfs_tx *tx, struct ddfs_htree *t, const struct ddfs_xattr_ref *ref)
{
	uint64_t blk = ddfs_le64(ref->first);
	uint32_t left = ddfs_le32(ref->len);

	while (left && blk) {
		const struct ddfs_node *n;
		int err = ddfs_node_get(tx->fs, tx, blk, DDFS_NODE_VALUE, 0, &n);

		if (err)
			return err;
		ddfs_tx_free(tx, blk, 1);
		t->nr_blocks--;
		left -= ddfs_le16(n->nr) < left ? ddfs_le16(n->nr) : left;
		blk = ddfs_le64(((const struct ddfs_value_head *)n->payload)->next);
	}
	return 0;
}

/* ---- one attribute -------------------------------------------------------------------------- */

static ssize_t copy_out(const void *value, size_t len, void *buf, size_t size)
{
	if (!size)
		return (ssize_t)len;
	if (len > size)
		return -ERANGE;
	memcpy(buf, value, len);
	return (ssize_t)len;
}

static ssize_t tree_read(struct ddfs_fs *fs, const struct ddfs_tx *tx,
	const struct ddfs_inode_disk *di, const struct ddfs_xname *n, void *buf, size_t size)
{
	struct ddfs_xattr_ref ref;
	struct ddfs_hrecord r;
	struct ddfs_htree t;
	int err;

	ddfs_xattr_tree(di, &t);
	err = ddfs_htree_find(fs, tx, &t, n->s, n->len, &r);
	if (err)
		return err == -ENOENT ? -ENODATA : err;
	if (r.type == VALUE_INLINE)
		return copy_out(r.value, r.val_len, buf, size);
	if (r.val_len != sizeof(ref))
		return ddfs_corrupt(fs, "an xattr of inode %u has no value", t.owner);
	memcpy(&ref, r.value, sizeof(ref));
	if (ddfs_le32(ref.len) > DDFS_XATTR_SIZE_MAX)
		return ddfs_corrupt(fs, "an xattr of inode %u is too long", t.owner);
	if (!size)
		return ddfs_le32(ref.len);
	if (ddfs_le32(ref.len) > size)
		return -ERANGE;
	err = chain_read(fs, tx, &ref, buf);
	return err ? err : (ssize_t)ddfs_le32(ref.len);
}

ssize_t ddfs_xattr_read(struct ddfs_fs *fs, const struct ddfs_tx *tx,
	const struct ddfs_inode_disk *di, const char *name, void *buf, size_t size)
{
	const struct ddfs_inline_xattr *x;
	struct ddfs_xname n;
	int err = ddfs_xname_parse(name, &n);

	if (err)
		return err;
	x = inline_find(di, &n);
	if (x)
		return copy_out((const uint8_t *)(x + 1) + x->name_len, x->val_len, buf, size);
	return tree_read(fs, tx, di, &n, buf, size);
}

static void inline_remove(struct ddfs_inode_disk *di, const struct ddfs_inline_xattr *x)
{
	unsigned int len = (unsigned int)sizeof(*x) + x->name_len + x->val_len;
	unsigned int at = (unsigned int)((const uint8_t *)x - di->xattr);
	unsigned int end = ddfs_le16(di->xattr_bytes);

	memmove(di->xattr + at, di->xattr + at + len, end - at - len);
	memset(di->xattr + end - len, 0, len);
	di->xattr_bytes = ddfs_to16((uint16_t)(end - len));
}

static bool inline_add(
	struct ddfs_inode_disk *di, const struct ddfs_xname *n, const void *value, size_t size)
{
	unsigned int end = ddfs_le16(di->xattr_bytes);
	struct ddfs_inline_xattr *x = (void *)(di->xattr + end);

	if (sizeof(*x) + n->len - 1 + size > DDFS_INLINE_XATTR - end)
		return false;
	*x = (struct ddfs_inline_xattr){ .prefix = (uint8_t)n->s[0],
		.name_len = (uint8_t)(n->len - 1),
		.val_len = (uint8_t)size };
	memcpy(x + 1, n->s + 1, n->len - 1);
	memcpy((uint8_t *)(x + 1) + n->len - 1, value, size);
	di->xattr_bytes = ddfs_to16((uint16_t)(end + sizeof(*x) + n->len - 1 + size));
	return true;
}

static int tree_remove(struct ddfs_tx *tx, struct ddfs_htree *t, const struct ddfs_xname *n)
{
	struct ddfs_xattr_ref ref;
	struct ddfs_hrecord r;
	int err = ddfs_htree_find(tx->fs, tx, t, n->s, n->len, &r);

	if (err)
		return err == -ENOENT ? -ENODATA : err;
	if (r.type == VALUE_IN_BLOCKS && r.val_len == sizeof(ref)) {
		memcpy(&ref, r.value, sizeof(ref));
		if (ddfs_le32(ref.len) > DDFS_XATTR_SIZE_MAX)
			return ddfs_corrupt(tx->fs, "an xattr of inode %u is too long", t->owner);
		err = chain_free(tx, t, &ref);
		if (err)
			return err;
	}
	return ddfs_htree_remove(tx, t, n->s, n->len);
}

static int tree_add(struct ddfs_tx *tx, struct ddfs_htree *t, const struct ddfs_xname *n,
	const void *value, size_t size)
{
	struct ddfs_xattr_ref ref;
	int err;

	if (n->len + size <= DDFS_HTREE_RECORD_MAX)
		return ddfs_htree_insert(tx, t, n->s, n->len, VALUE_INLINE, value, size);
	err = chain_write(tx, t, value, size, &ref);
	if (err)
		return err;
	return ddfs_htree_insert(tx, t, n->s, n->len, VALUE_IN_BLOCKS, &ref, sizeof(ref));
}

int ddfs_xattr_write(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *name,
	const void *value, size_t size)
{
	const struct ddfs_inline_xattr *x;
	struct ddfs_xname n;
	struct ddfs_htree t;
	int err = ddfs_xname_parse(name, &n);

	if (err)
		return err;
	ddfs_xattr_tree(di, &t);
	x = inline_find(di, &n);
	if (x)
		inline_remove(di, x);
	else
		err = tree_remove(tx, &t, &n);
	if (err == -ENODATA)
		err = 0;
	if (!err && value && !inline_add(di, &n, value, size))
		err = tree_add(tx, &t, &n, value, size);
	tree_save(di, &t);
	return err;
}

/* ---- all attributes ------------------------------------------------------------------------- */

static int is_in_blocks(void *arg, const struct ddfs_hrecord *r)
{
	(void)arg;
	return r->type == VALUE_IN_BLOCKS;
}

bool ddfs_xattr_is_small(struct ddfs_fs *fs, const struct ddfs_inode_disk *di)
{
	struct ddfs_htree t;

	ddfs_xattr_tree(di, &t);
	return !t.depth && ddfs_htree_walk(fs, NULL, &t, 0, is_in_blocks, NULL) == 0;
}

struct some {
	struct ddfs_xname name[FREE_STEP];
	unsigned int nr;
};

static int collect(void *arg, const struct ddfs_hrecord *r)
{
	struct some *s = arg;

	memcpy(s->name[s->nr].s, r->name, r->name_len);
	s->name[s->nr].len = r->name_len;
	return ++s->nr == FREE_STEP;
}

int ddfs_xattr_free_some(struct ddfs_tx *tx, struct ddfs_inode_disk *di)
{
	struct some s = { .nr = 0 };
	struct ddfs_htree t;
	int err;

	ddfs_xattr_tree(di, &t);
	if (!t.root)
		return 0;
	if (ddfs_xattr_is_small(tx->fs, di)) {
		ddfs_tx_free(tx, t.root, 1);
		t.root = 0;
		t.nr_blocks = -1;
		tree_save(di, &t);
		return 0;
	}
	err = ddfs_htree_walk(tx->fs, tx, &t, 0, collect, &s);
	/* A tree of several leaves, and no name: nothing would ever be done. */
	if (!err && !s.nr)
		err = -ENODATA;
	for (unsigned int i = 0; err >= 0 && i < s.nr; i++)
		err = tree_remove(tx, &t, &s.name[i]);
	/* Nor of a name that its hash does not lead to. */
	if (err == -ENODATA)
		err = ddfs_corrupt(tx->fs, "inode %u: its xattrs are out of order", t.owner);
	tree_save(di, &t);
	return err < 0 ? err : 0;
}
