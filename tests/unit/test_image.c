/* SPDX-License-Identifier: BSD-3-Clause */
/* What lies on media, read without mounting it, is what the mounted filesystem says. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/image_stage.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* ---- a walk, and what the filesystem says ---------------------------------------------------- */

#define MAX_SEEN 1000u

struct entry {
	uint64_t key;
	uint32_t ino, type;
	char name[256];
};

struct seen {
	struct entry e[MAX_SEEN];
	struct ddfs_extent x[MAX_SEEN];
	size_t nr, nr_nodes, nr_faults;
};

static int see_entry(void *arg, const struct ddfs_image_record *r)
{
	struct ddfs_dirent_value v;
	struct seen *s = arg;
	struct entry *e = &s->e[s->nr++];

	ck_assert_uint_le(s->nr, MAX_SEEN);
	memcpy(&v, r->value, sizeof(v));
	e->key = r->key;
	e->ino = ddfs_le32(v.ino);
	e->type = (uint32_t)r->type << 12;
	memcpy(e->name, r->name, r->name_len);
	e->name[r->name_len] = 0;
	return 0;
}

static int see_extent(void *arg, const struct ddfs_extent *x)
{
	struct seen *s = arg;

	s->x[s->nr++] = *x;
	ck_assert_uint_le(s->nr, MAX_SEEN);
	return 0;
}

static void see_node(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct seen *s = arg;

	ck_assert_uint_eq(ddfs_le64(n->self), blk);
	s->nr_nodes++;
}

static void see_fault(
	void *arg, enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to)
{
	struct seen *s = arg;

	(void)from;
	(void)to;
	fprintf(stderr, "block %llu: %s\n", (unsigned long long)blk, ddfs_image_fault_text(fault));
	s->nr_faults++;
}

static struct ddfs_image_walk seeing(struct seen *s)
{
	memset(s, 0, sizeof(*s));
	return (struct ddfs_image_walk){ .arg = s,
		.node = see_node,
		.fault = see_fault,
		.extent = see_extent,
		.record = see_entry };
}

static int list_entry(void *arg, const struct ddfs_dirent *d)
{
	struct seen *s = arg;
	struct entry *e = &s->e[s->nr];

	if (d->name[0] == '.' && d->name_len <= 2)
		return 0;
	s->nr++;
	*e = (struct entry){ .key = d->cookie, .ino = d->ino, .type = d->type };
	memcpy(e->name, d->name, d->name_len);
	return 0;
}

/* ---- a healthy image ------------------------------------------------------------------------ */

static void ck_dir(const struct ddfs_image *img, struct ddfs_inode *ip)
{
	struct seen *a = malloc(sizeof(*a)), *b = calloc(1, sizeof(*b));
	struct ddfs_image_walk walk = seeing(a);
	struct ddfs_inode_disk di;
	struct ddfs_attr attr;

	ck_assert_int_eq(ddfs_getattr(ip, &attr), 0);
	ck_assert_int_eq(ddfs_image_inode(img, attr.ino, &di), 0);
	ck_assert_int_eq(ddfs_image_walk_names(img, &di, &walk), 0);
	ck_assert_uint_eq(a->nr_faults, 0);
	ck_assert_uint_eq(a->nr_nodes * 4096, attr.size);
	ck_assert_int_eq(ddfs_readdir(ip, 0, false, list_entry, b), 0);
	ck_assert_uint_eq(a->nr, b->nr);
	for (size_t i = 0; i < a->nr; i++) {
		ck_assert_uint_eq(a->e[i].key, b->e[i].key);
		ck_assert_uint_eq(a->e[i].ino, b->e[i].ino);
		ck_assert_uint_eq(a->e[i].type, b->e[i].type);
		ck_assert_str_eq(a->e[i].name, b->e[i].name);
	}
	free(a);
	free(b);
}

/* A mounted filesystem and the image under it. */
struct both {
	struct ram r;
	struct ddfs_fs *fs;
	struct ddfs_inode *root;
	struct ddfs_image img;
};

static void begin(struct both *b)
{
	stage_make(&b->r);
	b->fs = ram_mount(&b->r, NULL);
	b->root = ram_root(b->fs);
	ck_assert_int_eq(ddfs_image_open(&b->r.media, 0, &b->img), 0);
}

static void end(struct both *b)
{
	ddfs_image_close(&b->img);
	ddfs_inode_put(b->root);
	ck_assert_int_eq(ddfs_fs_close(b->fs), 0);
	ram_fini(&b->r);
}

START_TEST(directories)
{
	struct ddfs_inode *dir;
	struct both b;

	begin(&b);
	dir = tree_get(b.root, "dir");
	ck_dir(&b.img, b.root);
	ck_dir(&b.img, dir);
	ddfs_inode_put(dir);
	end(&b);
}
END_TEST

/* The filesystem joins what the tree may keep apart, and tells of holes. */
static void ck_map(struct both *b, const char *name, size_t least)
{
	struct ddfs_inode *ip = tree_get(b->root, name);
	struct ddfs_file_extent *x = calloc(MAX_SEEN, sizeof(*x));
	struct seen *s = malloc(sizeof(*s));
	struct ddfs_image_walk walk = seeing(s);
	struct ddfs_inode_disk di = stage_inode(&b->img, name);
	uint64_t next;
	int nr = ddfs_layout_query(ip, 0, 4 << 20, false, x, MAX_SEEN, &next);
	size_t at = 0;

	ck_assert_int_gt(nr, 0);
	ck_assert_int_eq(ddfs_image_walk_extents(&b->img, &di, &walk), 0);
	ck_assert_uint_eq(s->nr_faults, 0);
	ck_assert_uint_ge(s->nr, least);
	for (int i = 0; i < nr; i++) {
		uint64_t start = ddfs_le64(s->x[at].start);

		if (x[i].hole)
			continue;
		ck_assert_uint_lt(at, s->nr);
		ck_assert_uint_eq(x[i].off, ddfs_le32(s->x[at].lblk) * UINT64_C(4096));
		ck_assert_uint_eq(x[i].len, ddfs_le32(s->x[at].len) * UINT64_C(4096));
		ck_assert_uint_eq(x[i].unwritten, start >> 63);
		if (!x[i].unwritten)
			ck_assert_uint_eq(x[i].device_off, (start << 1 >> 1) * 4096);
		at++;
	}
	ck_assert_uint_eq(at, s->nr);
	free(s);
	free(x);
	ddfs_inode_put(ip);
}

START_TEST(extents)
{
	struct both b;

	begin(&b);
	ck_map(&b, "extents", STAGE_EXTENTS);
	ck_map(&b, "file", 2);
	end(&b);
}
END_TEST

struct attrs {
	struct both *b;
	struct ddfs_inode *ip;
	unsigned int nr, nr_large;
};

static int ck_attr(void *arg, const struct ddfs_image_record *r)
{
	static const char *const prefix[] = { "", "user.", "trusted.", "security.", "system." };
	uint8_t want[STAGE_LARGE + 1], got[STAGE_LARGE];
	const uint8_t *value = r->value;
	struct attrs *a = arg;
	char name[300];
	ssize_t n;

	snprintf(name, sizeof(name), "%s%.*s", prefix[r->name[0]], r->name_len - 1,
		(const char *)r->name + 1);
	n = ddfs_getxattr(a->ip, name, want, sizeof(want));
	ck_assert_int_ge(n, 0);
	if (r->type == 1) {
		ck_assert_int_eq(ddfs_image_xattr_value(&a->b->img, r, got, (size_t)n), 0);
		ck_assert_int_eq(
			ddfs_image_xattr_value(&a->b->img, r, got, (size_t)n + 1), -EUCLEAN);
		value = got;
		a->nr_large++;
	} else {
		ck_assert_int_eq(n, r->val_len);
	}
	ck_assert_mem_eq(value, want, (size_t)n);
	a->nr++;
	return 0;
}

static void ck_attrs(struct both *b, const char *name, unsigned int nr, unsigned int nr_large)
{
	struct attrs a = { .b = b, .ip = tree_get(b->root, name) };
	struct ddfs_image_walk walk = { .arg = &a, .record = ck_attr };
	struct ddfs_inode_disk di = stage_inode(&b->img, name);

	ck_assert_int_eq(ddfs_image_walk_xattrs(&b->img, &di, &walk), 0);
	ck_assert_uint_eq(a.nr, nr);
	ck_assert_uint_eq(a.nr_large, nr_large);
	ddfs_inode_put(a.ip);
}

START_TEST(xattrs)
{
	struct both b;

	begin(&b);
	ck_attrs(&b, "file", 3, 1);
	ck_attrs(&b, "inline", 2, 0);
	ck_attrs(&b, "pipe", 0, 0);
	end(&b);
}
END_TEST

/* Blocks that walks of an inode tell of are those that it owns. */
static void count_extent_blocks(struct seen *s, uint64_t *out)
{
	*out += s->nr_nodes;
	for (size_t i = 0; i < s->nr; i++)
		*out += ddfs_le32(s->x[i].len);
}

static uint64_t count_blocks(const struct ddfs_image *img, const struct ddfs_inode_disk *di)
{
	struct seen *s = malloc(sizeof(*s));
	struct ddfs_image_walk walk = seeing(s);
	uint64_t n = 0;

	if ((ddfs_le16(di->mode) & S_IFMT) == S_IFDIR)
		ddfs_image_walk_names(img, di, &walk);
	else
		ddfs_image_walk_extents(img, di, &walk);
	if ((ddfs_le16(di->mode) & S_IFMT) == S_IFDIR)
		n = s->nr_nodes;
	else
		count_extent_blocks(s, &n);
	walk = seeing(s);
	walk.record = NULL;
	ddfs_image_walk_xattrs(img, di, &walk);
	n += s->nr_nodes;
	free(s);
	return n;
}

START_TEST(inodes)
{
	uint32_t nr_used = 0;
	struct both b;

	begin(&b);
	ck_assert_int_eq(b.img.super_copy[0], DDFS_COPY_GOOD);
	ck_assert_int_eq(b.img.super_copy[1], DDFS_COPY_GOOD);
	ck_assert_int_eq(b.img.root_copy[0], DDFS_COPY_GOOD);
	ck_assert_int_eq(b.img.root_copy[1], DDFS_COPY_GOOD);
	for (uint32_t ino = 0; ino < b.img.nr_slots; ino++) {
		struct ddfs_inode_disk di;

		ck_assert_int_eq(ddfs_image_inode(&b.img, ino, &di), 0);
		if (ddfs_image_inode_is_free(&di))
			continue;
		nr_used++;
		ck_assert_uint_eq(ddfs_le32(di.ino), ino);
		if ((ddfs_le16(di.mode) & S_IFMT) != S_IFLNK || ddfs_le64(di.size) > 64)
			ck_assert_uint_eq(count_blocks(&b.img, &di), ddfs_le64(di.nr_blocks));
	}
	ck_assert_uint_eq(nr_used, 3 + 7 + STAGE_NAMES);
	ck_assert_int_eq(ddfs_image_inode(&b.img, b.img.nr_slots, &b.img.table), -ENOENT);
	end(&b);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "directories", directories, 0 },
		{ "extents", extents, 0 },
		{ "xattrs", xattrs, 0 },
		{ "inodes", inodes, 0 },
	};

	return suite_run("image", cases, sizeof(cases) / sizeof(*cases));
}
