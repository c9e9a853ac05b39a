/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A power cut before every store and every fence of every kind of operation, with what was stored
 * since the last fence there, gone, or there in part, word by word. What the cut leaves is
 * mounted: it must be consistent, and the tree either as before or as after.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/mkfs.h"
#include "layout/holder.h"
#include "tests/unit/check_image.h"
#include "tests/unit/digest.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define SIZE	 (UINT64_C(16) << 20)
#define MAX_CUTS 4000u

struct ranges {
	struct {
		uint64_t off;
		size_t len;
	} * r;
	size_t nr, cap;
};

/* What the cuts know. */
struct cutter {
	struct ram live;
	struct ram after; /* what a cut leaves; between cuts, what is durable */
	uint8_t *durable;
	struct ranges pending; /* stored since the last fence */
	struct ranges dirty;   /* of after, by the mount that looks at it */
	struct rng rng;
	struct ddfs_fs_options opt;
	uint64_t digest[MAX_CUTS];
	unsigned int nr_cuts, skip;
};

static void ranges_add(struct ranges *x, uint64_t off, size_t len)
{
	if (x->nr == x->cap) {
		x->cap = x->cap ? x->cap * 2 : 256;
		x->r = realloc(x->r, x->cap * sizeof(*x->r));
	}
	x->r[x->nr].off = off;
	x->r[x->nr++].len = len;
}

static void after_store(void *arg, uint64_t off, size_t len)
{
	struct cutter *k = arg;

	ranges_add(&k->dirty, off, len);
}

static void after_drain(void *arg)
{
	(void)arg;
}

enum { CUT_NONE, CUT_ALL, CUT_SOME, NR_CUT_KINDS };

/* Let some of what is pending reach after. */
static void leave(struct cutter *k, unsigned int kind)
{
	for (size_t i = 0; i < k->pending.nr; i++) {
		uint64_t off = k->pending.r[i].off & ~UINT64_C(7);
		uint64_t end = k->pending.r[i].off + k->pending.r[i].len;
		uint64_t coin = 0;

		for (uint64_t n = 0; off < end; off += 8, n++) {
			if (n % 32 == 0)
				coin = rng_next(&k->rng);
			if (kind == CUT_NONE || (kind == CUT_SOME && coin >> (n % 32) & 1))
				continue;
			memcpy(k->after.writable + off, k->live.writable + off, 8);
		}
		ranges_add(&k->dirty, k->pending.r[i].off & ~UINT64_C(7),
			(k->pending.r[i].len + 15) & ~UINT64_C(7));
	}
}

static void look(struct cutter *k)
{
	struct ddfs_fs *fs = ram_mount(&k->after, &k->opt);

	ck_image(&k->after.media);
	k->digest[k->nr_cuts++] = tree_digest(fs);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ck_image(&k->after.media);
}

static void restore(struct cutter *k)
{
	for (size_t i = 0; i < k->dirty.nr; i++) {
		uint64_t off = k->dirty.r[i].off;
		size_t len = k->dirty.r[i].len;

		if (len > SIZE - off)
			len = SIZE - off;
		memcpy(k->after.writable + off, k->durable + off, len);
	}
	k->dirty.nr = 0;
}

static void cut(struct cutter *k)
{
	for (unsigned int kind = 0; kind < NR_CUT_KINDS; kind++) {
		/* Of a long operation a part, evenly spread. */
		if (k->nr_cuts + 1 >= MAX_CUTS || (k->skip && rng_below(&k->rng, k->skip)))
			continue;
		leave(k, kind);
		look(k);
		restore(k);
	}
}

static void live_store(void *arg, uint64_t off, size_t len)
{
	struct cutter *k = arg;

	cut(k);
	ranges_add(&k->pending, off, len);
}

static void live_drain(void *arg)
{
	struct cutter *k = arg;

	cut(k);
	for (size_t i = 0; i < k->pending.nr; i++) {
		uint64_t off = k->pending.r[i].off;
		size_t len = k->pending.r[i].len;

		memcpy(k->durable + off, k->live.writable + off, len);
		memcpy(k->after.writable + off, k->live.writable + off, len);
	}
	k->pending.nr = 0;
}

/* ---- operations ----------------------------------------------------------------------------- */

static void many_extents(struct ddfs_inode *root, const char *name, unsigned int nr)
{
	struct ddfs_inode *ip = tree_make_get(root, name, S_IFREG | 0644);

	for (unsigned int i = 0; i < nr; i++)
		ck_assert_int_eq(tree_fill(ip, (uint64_t)i * 8192, 4096, (int)i), 4096);
	ddfs_inode_put(ip);
}

static void populate(struct ddfs_inode *root)
{
	struct ddfs_inode *d = tree_make_get(root, "dir", S_IFDIR | 0755), *ip;
	uint8_t value[3000] = { 7 };
	char name[16];

	ck_assert_int_eq(tree_make(root, "empty", S_IFDIR | 0755), 0);
	ck_assert_int_eq(tree_make(d, "sub", S_IFDIR | 0755), 0);
	ip = tree_make_get(root, "file", S_IFREG | 0644);
	ck_assert_int_eq(tree_fill(ip, 0, 10000, 'f'), 10000);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.large", value, sizeof(value), 0, false), 0);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.small", value, 10, 0, false), 0);
	ck_assert_int_eq(ddfs_fallocate(ip, FALLOC_FL_KEEP_SIZE, 16384, 40960, NULL), 0);
	ddfs_inode_put(ip);
	ip = tree_make_get(d, "other", S_IFREG | 0600);
	ck_assert_int_eq(tree_fill(ip, 0, 5000, 'o'), 5000);
	ddfs_inode_put(ip);
	many_extents(root, "extents", 60);
	/* A leaf about to be split, and an inode table about to grow. */
	for (unsigned int i = 0; i < 72; i++) {
		snprintf(name, sizeof(name), "name%u", i);
		ck_assert_int_eq(tree_make(d, name, S_IFREG | 0644), 0);
	}
	ddfs_inode_put(d);
}

#define OP(name) static int name(struct ddfs_inode *root)
OP(op_create)
{
	return tree_make(root, "new", S_IFREG | 0644);
}
OP(op_create_many)
{
	struct ddfs_inode *d = tree_get(root, "dir");
	char name[16];
	int err = 0;

	for (unsigned int i = 0; i < 170 && !err; i++) {
		snprintf(name, sizeof(name), "more%u", i);
		err = tree_make(d, name, S_IFREG | 0644);
	}
	ddfs_inode_put(d);
	return err;
}
OP(op_mkdir)
{
	return tree_make(root, "new", S_IFDIR | 0755);
}
OP(op_symlink)
{
	char target[2001];
	struct ddfs_new n = { .mode = S_IFLNK | 0777, .target = target };
	struct ddfs_entry e;

	memset(target, 't', 2000);
	target[2000] = 0;
	return ddfs_create(root, "new", 3, &n, &e, NULL);
}
OP(op_unlink)
{
	return tree_unlink(root, "file");
}
OP(op_unlink_large)
{
	return tree_unlink(root, "extents");
}
OP(op_unlink_open)
{
	struct ddfs_inode *ip = tree_get(root, "file");
	int err = ddfs_open(ip, O_RDONLY, false, NULL);

	if (!err)
		err = tree_unlink(root, "file");
	ddfs_release(ip);
	ddfs_inode_put(ip);
	return err;
}
OP(op_rmdir)
{
	return ddfs_rmdir(root, "empty", 5);
}
OP(op_link)
{
	struct ddfs_inode *ip = tree_get(root, "file");
	struct ddfs_entry e;
	int err = ddfs_link(ip, root, "second", 6, &e);

	ddfs_inode_put(ip);
	return err;
}
OP(op_rename)
{
	return tree_rename(root, "file", root, "renamed", 0);
}
OP(op_rename_over)
{
	struct ddfs_inode *d = tree_get(root, "dir");
	int err = tree_rename(d, "other", root, "file", 0);

	ddfs_inode_put(d);
	return err;
}
OP(op_rename_over_large)
{
	return tree_rename(root, "file", root, "extents", 0);
}
OP(op_rename_dir)
{
	struct ddfs_inode *d = tree_get(root, "dir");
	int err = tree_rename(d, "sub", root, "empty", 0);

	ddfs_inode_put(d);
	return err;
}
OP(op_exchange)
{
	struct ddfs_inode *d = tree_get(root, "dir");
	int err = tree_rename(d, "sub", root, "file", RENAME_EXCHANGE);

	ddfs_inode_put(d);
	return err;
}

#define FILE_OP(name, file, call)                                                                  \
	OP(name)                                                                                   \
	{                                                                                          \
		struct ddfs_inode *ip = tree_get(root, file);                                      \
		int64_t ret = call;                                                                \
                                                                                                   \
		ddfs_inode_put(ip);                                                                \
		return ret < 0 ? (int)ret : 0;                                                     \
	}
FILE_OP(op_append, "file", tree_fill(ip, 10000, 2000, 'a'))
FILE_OP(op_write_hole, "file", tree_fill(ip, 100000, 4096, 'h'))
FILE_OP(op_write_unwritten, "file", tree_fill(ip, 20000, 8192, 'u'))
FILE_OP(op_write_extents, "extents", tree_fill(ip, 0, 300000, 'w'))
FILE_OP(op_punch, "extents",
	ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 100000, NULL))
FILE_OP(op_punch_all, "extents",
	ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20, NULL))
FILE_OP(op_zero, "extents", ddfs_fallocate(ip, FALLOC_FL_ZERO_RANGE, 8192, 300000, NULL))
FILE_OP(op_collapse, "extents", ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 8192, 8192, NULL))
FILE_OP(op_collapse_most, "extents",
	ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 8192, 50 * 8192, NULL))
FILE_OP(op_insert, "extents", ddfs_fallocate(ip, FALLOC_FL_INSERT_RANGE, 8192, 8192, NULL))
FILE_OP(op_allocate, "extents", ddfs_fallocate(ip, 0, 0, 2 << 20, NULL))
FILE_OP(op_truncate, "extents",
	ddfs_setattr(ip, &(struct ddfs_attr){ .size = 10000 }, DDFS_SET_SIZE, NULL, NULL))
FILE_OP(op_truncate_up, "file",
	ddfs_setattr(ip, &(struct ddfs_attr){ .size = 1000000 }, DDFS_SET_SIZE, NULL, NULL))
FILE_OP(op_chmod, "file",
	ddfs_setattr(ip, &(struct ddfs_attr){ .mode = 0600, .uid = 5 },
		DDFS_SET_MODE | DDFS_SET_UID, NULL, NULL))
FILE_OP(op_setxattr, "file", ddfs_setxattr(ip, "user.new", "value", 5, 0, false))
FILE_OP(op_removexattr, "file", ddfs_removexattr(ip, "user.large"))

OP(op_replace_xattr)
{
	struct ddfs_inode *ip = tree_get(root, "file");
	uint8_t *value = malloc(DDFS_XATTR_SIZE_MAX);
	int err;

	memset(value, 'v', DDFS_XATTR_SIZE_MAX);
	err = ddfs_setxattr(ip, "user.large", value, DDFS_XATTR_SIZE_MAX, 0, false);
	free(value);
	ddfs_inode_put(ip);
	return err;
}

OP(op_fault)
{
	struct ddfs_inode *ip = tree_get(root, "extents");
	struct ddfs_file_extent e;
	uint64_t next;
	int ret = ddfs_layout_query(ip, 0, 0, true, &e, 1, &next);

	ddfs_inode_put(ip);
	return ret < 0 ? ret : 0;
}
OP(op_pin)
{
	struct ddfs_inode *ip = tree_get(root, "file");
	struct ddfs_fs *fs = ddfs_inode_fs(ip);
	struct ddfs_pin_args args = {
		.len = 200000, .mode = DDFS_PIN_MODE_READ, .flags = DDFS_PIN_FAULT | DDFS_PIN_GROW
	};
	struct ddfs_pin_owner owner;
	struct ddfs_pinned out;
	int err =
		ddfs_holders_get(ddfs_layouts_holders(ddfs_fs_layouts(fs)), getpid(), &args.holder);

	ck_assert_int_eq(err, 0);
	ddfs_pin_owner_init(&owner, NULL);
	args.owner = &owner;
	err = ddfs_pin(ip, &args, NULL, &out, NULL, 0);
	ddfs_pins_release(fs, &owner);
	ddfs_holder_put(args.holder);
	ddfs_inode_put(ip);
	return err;
}

static const struct {
	const char *name;
	int (*op)(struct ddfs_inode *root);
	bool steps;	   /* done in several transactions, all of which may be seen */
	unsigned int skip; /* look at one cut in so many */
} ops[] = {
	{ "create", op_create, false, 0 },
	{ "create many", op_create_many, true, 20 },
	{ "mkdir", op_mkdir, false, 0 },
	{ "symlink", op_symlink, false, 0 },
	{ "unlink", op_unlink, false, 0 },
	{ "unlink large", op_unlink_large, false, 0 },
	{ "unlink open", op_unlink_open, false, 0 },
	{ "rmdir", op_rmdir, false, 0 },
	{ "link", op_link, false, 0 },
	{ "rename", op_rename, false, 0 },
	{ "rename over", op_rename_over, false, 0 },
	{ "rename over large", op_rename_over_large, false, 0 },
	{ "rename dir", op_rename_dir, false, 0 },
	{ "exchange", op_exchange, false, 0 },
	{ "append", op_append, false, 0 },
	{ "write hole", op_write_hole, false, 0 },
	{ "write unwritten", op_write_unwritten, false, 0 },
	{ "write extents", op_write_extents, true, 4 },
	{ "punch", op_punch, true, 0 },
	{ "punch all", op_punch_all, true, 0 },
	{ "zero", op_zero, true, 4 },
	{ "collapse", op_collapse, false, 0 },
	{ "collapse most", op_collapse_most, false, 0 },
	{ "insert", op_insert, false, 0 },
	{ "allocate", op_allocate, true, 4 },
	{ "truncate", op_truncate, false, 0 },
	{ "truncate up", op_truncate_up, false, 0 },
	{ "chmod", op_chmod, false, 0 },
	{ "setxattr", op_setxattr, false, 0 },
	{ "removexattr", op_removexattr, false, 0 },
	{ "replace xattr", op_replace_xattr, false, 2 },
	{ "fault", op_fault, false, 4 },
	{ "pin and grow", op_pin, false, 0 },
};

static void begin(struct cutter *k, struct ddfs_fs **fs, struct ddfs_inode **root)
{
	struct ddfs_mkfs p = { .label = "test" };
	struct ddfs_geometry g;

	k->opt = (struct ddfs_fs_options){ .atime = DDFS_ATIME_NOATIME, .dax = DDFS_DAX_ALWAYS };
	ram_init(&k->live, SIZE, 4096);
	/* What is there before must not be seen. */
	memset(k->live.writable, 0x5a, SIZE);
	ck_assert_int_eq(ddfs_geometry_init(SIZE, 4096, false, &g), 0);
	ck_assert_int_eq(ddfs_mkfs(&k->live.media, &p, &g), 0);
	*fs = ram_mount(&k->live, &k->opt);
	*root = ram_root(*fs);
	populate(*root);
	ram_copy_image(&k->after, &k->live);
	k->durable = malloc(SIZE);
	memcpy(k->durable, k->live.writable, SIZE);
}

static void end(struct cutter *k)
{
	ram_fini(&k->live);
	ram_fini(&k->after);
	free(k->durable);
	free(k->pending.r);
	free(k->dirty.r);
	free(k);
}

START_TEST(power_cut)
{
	struct cutter *k = calloc(1, sizeof(*k));
	struct ram_ear live_ear = { live_store, live_drain, k };
	struct ram_ear after_ear = { after_store, after_drain, k };
	struct ddfs_inode *root;
	struct ddfs_fs *fs;
	uint64_t before, then;
	unsigned int nr_after = 0;

	rng_seed(&k->rng, env_number("DDFS_SEED", 1) + (uint64_t)_i);
	begin(k, &fs, &root);
	before = tree_digest(fs);
	k->skip = ops[_i].skip;
	k->after.ear = &after_ear;
	k->live.ear = &live_ear;
	ck_assert_msg(ops[_i].op(root) == 0, "%s failed", ops[_i].name);
	k->live.ear = NULL;
	then = tree_digest(fs);
	for (unsigned int i = 0; i < k->nr_cuts && !ops[_i].steps; i++) {
		nr_after += k->digest[i] == then;
		ck_assert_msg(k->digest[i] == before || k->digest[i] == then,
			"%s: cut %u leaves neither the tree before nor the one after", ops[_i].name,
			i);
	}
	fprintf(stderr, "%s: %u cuts, %u of them after\n", ops[_i].name, k->nr_cuts, nr_after);
	ck_assert_uint_gt(k->nr_cuts, 3);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	end(k);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "power cut", power_cut, sizeof(ops) / sizeof(ops[0]) },
	};

	return suite_run("fs_lane", cases, 1);
}
