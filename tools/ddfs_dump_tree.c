/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs dump: what the trees of an inode hold, and what of them does not. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/ddfs_dump.h"
#include "tools/ddfs_dump_out.h"

/* ---- a walk --------------------------------------------------------------------------------- */

struct fault {
	enum ddfs_image_fault what;
	uint64_t blk, from, to;
};

struct tree {
	const struct ddfs_image *img;
	struct ddfs_dump_out *o;
	struct fault *fault; /* printed when the walk is over */
	size_t nr, cap;
	bool faults_lost;
};

static void note_fault(
	void *arg, enum ddfs_image_fault what, uint64_t blk, uint64_t from, uint64_t to)
{
	struct tree *t = arg;

	if (t->nr == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 16;
		struct fault *p = reallocarray(t->fault, cap, sizeof(*p));

		if (!p) {
			t->faults_lost = true;
			return;
		}
		t->fault = p;
		t->cap = cap;
	}
	t->fault[t->nr++] = (struct fault){ what, blk, from, to };
}

static void put_faults(struct tree *t)
{
	static const struct ddfs_dump_column columns[] = { { "fault", -10 }, { "block", 12 },
		{ "from", 20 }, { "to", 20 } };

	if (t->nr)
		ddfs_dump_out_list(t->o, "faults", columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; i < t->nr; i++) {
		ddfs_dump_out_row(t->o);
		ddfs_dump_out_text(t->o, "fault", ddfs_image_fault_text(t->fault[i].what));
		ddfs_dump_out_number(t->o, "block", t->fault[i].blk);
		ddfs_dump_out_number(t->o, "from", t->fault[i].from);
		ddfs_dump_out_number(t->o, "to", t->fault[i].to);
	}
	if (t->faults_lost)
		fprintf(stderr, "ddfs: out of memory: not all that does not hold is listed\n");
	free(t->fault);
}

/* The inode, if it is (or may be) of a type; one whose checksum fails is shown as it is. */
static int get_inode(
	const struct ddfs_image *img, uint32_t ino, bool dir, struct ddfs_inode_disk *di)
{
	int err = ddfs_image_inode(img, ino, di);
	unsigned int type;

	if (err && err != -EUCLEAN) {
		fprintf(stderr, "ddfs: inode %" PRIu32 ": %s\n", ino,
			err == -ENOENT ? "the inode table ends before it" : "it can't be read");
		return err;
	}
	if (err)
		fprintf(stderr, "ddfs: inode %" PRIu32 ": its checksum fails\n", ino);
	type = ddfs_le16(di->mode) & S_IFMT;
	if (dir && type != S_IFDIR) {
		fprintf(stderr, "ddfs: inode %" PRIu32 " is no directory\n", ino);
		return -ENOTDIR;
	}
	return 0;
}

/* ---- extents -------------------------------------------------------------------------------- */

static int put_extent(void *arg, const struct ddfs_extent *e)
{
	struct ddfs_dump_out *o = ((struct tree *)arg)->o;
	uint64_t start = ddfs_le64(e->start);

	ddfs_dump_out_row(o);
	ddfs_dump_out_number(o, "file_block", ddfs_le32(e->lblk));
	ddfs_dump_out_number(o, "blocks", ddfs_le32(e->len));
	ddfs_dump_out_number(o, "block", start & ~DDFS_EXTENT_UNWRITTEN);
	ddfs_dump_out_flag(o, "unwritten", start & DDFS_EXTENT_UNWRITTEN);
	return 0;
}

static bool has_map(const struct ddfs_inode_disk *di)
{
	unsigned int type = ddfs_le16(di->mode) & S_IFMT;

	return type == S_IFREG || (type == S_IFLNK && ddfs_le64(di->size) > DDFS_INLINE_SYMLINK);
}

int ddfs_dump_extents(const struct ddfs_image *img, uint32_t ino, struct ddfs_dump_out *o)
{
	static const struct ddfs_dump_column columns[] = { { "file_block", 10 }, { "blocks", 10 },
		{ "block", 12 }, { "unwritten", -9 } };
	struct tree t = { .img = img, .o = o };
	struct ddfs_image_walk walk = { .arg = &t, .extent = put_extent, .fault = note_fault };
	struct ddfs_inode_disk di;
	int err = get_inode(img, ino, false, &di);

	if (err)
		return err;
	if (S_ISDIR(ddfs_le16(di.mode))) {
		fprintf(stderr,
			"ddfs: inode %" PRIu32 " is a directory: it has names, and no extents; see "
			"ddfs dump --help\n",
			ino);
		return -EISDIR;
	}
	ddfs_dump_out_number(o, "inode", ino);
	ddfs_dump_out_number(o, "depth", di.depth);
	ddfs_dump_out_list(o, "extents", columns, sizeof(columns) / sizeof(*columns));
	if (has_map(&di))
		ddfs_image_walk_extents(img, &di, &walk);
	put_faults(&t);
	return 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

static int put_entry(void *arg, const struct ddfs_image_record *r)
{
	struct ddfs_dump_out *o = ((struct tree *)arg)->o;
	struct ddfs_dirent_value v;

	memcpy(&v, r->value, sizeof(v));
	ddfs_dump_out_row(o);
	ddfs_dump_out_number(o, "key", r->key);
	ddfs_dump_out_number(o, "inode", ddfs_le32(v.ino));
	ddfs_dump_out_text(o, "type", ddfs_dump_type_name(r->type));
	ddfs_dump_out_bytes(o, "name", r->name, r->name_len);
	return 0;
}

int ddfs_dump_directory(const struct ddfs_image *img, uint32_t ino, struct ddfs_dump_out *o)
{
	static const struct ddfs_dump_column columns[] = { { "key", 19 }, { "inode", 10 },
		{ "type", -9 }, { "name", 0 } };
	struct tree t = { .img = img, .o = o };
	struct ddfs_image_walk walk = { .arg = &t, .record = put_entry, .fault = note_fault };
	struct ddfs_inode_disk di;
	int err = get_inode(img, ino, true, &di);

	if (err)
		return err;
	ddfs_dump_out_number(o, "inode", ino);
	ddfs_dump_out_number(o, "parent", ddfs_le32(di.parent));
	ddfs_dump_out_number(o, "depth", di.depth);
	ddfs_dump_out_list(o, "entries", columns, sizeof(columns) / sizeof(*columns));
	ddfs_image_walk_names(img, &di, &walk);
	put_faults(&t);
	return 0;
}

/* ---- xattrs --------------------------------------------------------------------------------- */

static void put_value(struct tree *t, const struct ddfs_image_record *r)
{
	struct ddfs_xattr_ref ref;
	uint8_t *value;
	uint32_t len;

	if (r->type != 1) {
		ddfs_dump_out_number(t->o, "length", r->val_len);
		ddfs_dump_out_bytes(t->o, "value", r->value, r->val_len);
		return;
	}
	memcpy(&ref, r->value, sizeof(ref));
	len = ddfs_le32(ref.len);
	ddfs_dump_out_number(t->o, "length", len);
	value = malloc(len);
	if (value && !ddfs_image_xattr_value(t->img, r, value, len))
		ddfs_dump_out_bytes(t->o, "value", value, len);
	free(value);
	ddfs_dump_out_number(t->o, "block", ddfs_le64(ref.first));
}

static int put_xattr(void *arg, const struct ddfs_image_record *r)
{
	static const char *const prefixes[] = { [DDFS_XATTR_USER] = "user.",
		[DDFS_XATTR_TRUSTED] = "trusted.",
		[DDFS_XATTR_SECURITY] = "security.",
		[DDFS_XATTR_SYSTEM] = "system." };
	char name[16 + 256];
	struct tree *t = arg;
	size_t len = strlen(prefixes[r->name[0]]);

	memcpy(name, prefixes[r->name[0]], len);
	memcpy(name + len, r->name + 1, r->name_len - 1u);
	ddfs_dump_out_row(t->o);
	ddfs_dump_out_text(t->o, "place", !r->key ? "inode" : r->type ? "blocks" : "tree");
	ddfs_dump_out_number(t->o, "key", r->key);
	ddfs_dump_out_bytes(t->o, "name", name, len + r->name_len - 1u);
	put_value(t, r);
	return 0;
}

int ddfs_dump_xattrs(const struct ddfs_image *img, uint32_t ino, struct ddfs_dump_out *o)
{
	static const struct ddfs_dump_column columns[] = { { "place", -6 }, { "name", -24 },
		{ "length", 6 }, { "value", 0 } };
	struct tree t = { .img = img, .o = o };
	struct ddfs_image_walk walk = { .arg = &t, .record = put_xattr, .fault = note_fault };
	struct ddfs_inode_disk di;
	int err = get_inode(img, ino, false, &di);

	if (err)
		return err;
	ddfs_dump_out_number(o, "inode", ino);
	ddfs_dump_out_number(o, "xattr_root", ddfs_le64(di.xattr_root));
	ddfs_dump_out_number(o, "xattr_depth", di.xattr_depth);
	ddfs_dump_out_list(o, "xattrs", columns, sizeof(columns) / sizeof(*columns));
	ddfs_image_walk_xattrs(img, &di, &walk);
	put_faults(&t);
	return 0;
}
