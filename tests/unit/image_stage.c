/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/image_stage.h"

#include <stdio.h>

#include "fs/csum.h"
#include "tests/unit/tree.h"

static void make_link(struct ddfs_inode *root, const char *name, unsigned int len)
{
	char target[4096];
	struct ddfs_new n = { .mode = S_IFLNK | 0777, .target = target };
	struct ddfs_entry e;

	memset(target, 't', len);
	target[len] = 0;
	ck_assert_int_eq(ddfs_create(root, name, strlen(name), &n, &e, NULL), 0);
}

static void make_dir(struct ddfs_inode *root)
{
	struct ddfs_inode *d = tree_make_get(root, "dir", S_IFDIR | 0755);
	char name[40];

	for (unsigned int i = 0; i < STAGE_NAMES; i++) {
		snprintf(name, sizeof(name), "a name of some length %u", i);
		ck_assert_int_eq(tree_make(d, name, S_IFREG | 0644), 0);
	}
	/* Dead slots. */
	for (unsigned int i = 0; i < STAGE_NAMES; i += 10) {
		snprintf(name, sizeof(name), "a name of some length %u", i);
		ck_assert_int_eq(tree_unlink(d, name), 0);
		ck_assert_int_eq(tree_make(d, name, S_IFREG | 0644), 0);
	}
	ddfs_inode_put(d);
}

static void make_files(struct ddfs_inode *root)
{
	struct ddfs_inode *ip = tree_make_get(root, "extents", S_IFREG | 0644);
	uint8_t value[STAGE_LARGE];

	for (unsigned int i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 7);
	for (unsigned int i = 0; i < STAGE_EXTENTS; i++)
		ck_assert_int_eq(tree_fill(ip, (uint64_t)i * 8192, 4096, (int)i), 4096);
	ddfs_inode_put(ip);
	ip = tree_make_get(root, "file", S_IFREG | 0644);
	ck_assert_int_eq(tree_fill(ip, 0, 10000, 'f'), 10000);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.large", value, sizeof(value), 0, false), 0);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.small", value, 10, 0, false), 0);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.medium", value, 200, 0, false), 0);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 1 << 20, 65536, NULL), 0);
	ddfs_inode_put(ip);
	ip = tree_make_get(root, "inline", S_IFREG | 0600);
	ck_assert_int_eq(ddfs_setxattr(ip, "user.a", value, 10, 0, false), 0);
	ck_assert_int_eq(ddfs_setxattr(ip, "trusted.b", value, 3, 0, false), 0);
	ddfs_inode_put(ip);
}

void stage_populate(struct ddfs_inode *root)
{
	make_dir(root);
	make_link(root, "link", 300);
	make_link(root, "short link", 20);
	ck_assert_int_eq(tree_make(root, "pipe", S_IFIFO | 0644), 0);
	make_files(root);
}

void stage_make(struct ram *r)
{
	struct ddfs_inode *root;
	struct ddfs_fs *fs;

	ram_mkfs(r, STAGE_SIZE, 4096);
	fs = ram_mount(r, NULL);
	root = ram_root(fs);
	stage_populate(root);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
}

struct wanted {
	const char *name;
	uint32_t ino;
};

static int compare(void *arg, const struct ddfs_image_record *r)
{
	struct wanted *w = arg;
	struct ddfs_dirent_value v;

	if (r->name_len != strlen(w->name) || memcmp(r->name, w->name, r->name_len) != 0)
		return 0;
	memcpy(&v, r->value, sizeof(v));
	w->ino = ddfs_le32(v.ino);
	return 0;
}

uint32_t stage_find(const struct ddfs_image *img, const char *name)
{
	struct wanted w = { .name = name };
	struct ddfs_image_walk walk = { .arg = &w, .record = compare };
	struct ddfs_inode_disk root;

	ck_assert_int_eq(ddfs_image_inode(img, DDFS_INO_ROOT, &root), 0);
	ck_assert_int_eq(ddfs_image_walk_names(img, &root, &walk), 0);
	return w.ino;
}

struct ddfs_inode_disk stage_inode(const struct ddfs_image *img, const char *name)
{
	struct ddfs_inode_disk di;

	ck_assert_int_eq(ddfs_image_inode(img, stage_find(img, name), &di), 0);
	return di;
}

static uint32_t seed_of(const struct ram *r)
{
	return ddfs_le32(((const struct ddfs_super *)r->media.base)->csum_seed);
}

void stage_change_super(struct ram *r, void (*change)(struct ddfs_super *s))
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t off = i ? STAGE_SIZE - DDFS_BLOCK_BYTES : 0;
		struct ddfs_super *s = (void *)(r->writable + off);

		change(s);
		ddfs_csum_seal(0x64646673, off, s, sizeof(*s));
	}
}

void stage_seal_node(struct ram *r, uint64_t blk)
{
	uint64_t off = blk * DDFS_BLOCK_BYTES;

	ddfs_csum_seal(seed_of(r), off, r->writable + off, DDFS_BLOCK_BYTES);
}

void stage_seal_inode(struct ram *r, const struct ddfs_image *img, uint32_t ino)
{
	uint64_t off = ddfs_image_slot_off(img, ino);

	ddfs_csum_seal(seed_of(r), off, r->writable + off, DDFS_INODE_BYTES);
}
