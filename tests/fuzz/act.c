/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/act.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "tests/fuzz/input.h"

#define MAX_ACTS  16
#define MAX_BLOCK 40 /* of a file, that is written to */

static const char *const names[] = { "file", "extents", "dax", "small", "link", "dir", "a", "b" };

static const char *name_of(unsigned int byte)
{
	return names[byte % (sizeof(names) / sizeof(names[0]))];
}

static struct ddfs_inode *find(struct ddfs_inode *dir, const char *name)
{
	struct ddfs_inode *ip;
	struct ddfs_entry e;

	if (ddfs_lookup(dir, name, strlen(name), &e) ||
		ddfs_inode_get(ddfs_inode_fs(dir), e.attr.id, &ip))
		return NULL;
	return ip;
}

/* ---- names ---------------------------------------------------------------------------------- */

static void act_on_names(struct ddfs_inode *root, unsigned int what, struct input *in)
{
	static const uint32_t modes[] = { S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777,
		S_IFIFO | 0600 };
	unsigned int which = input_8(in);
	const char *name = name_of(which), *other = name_of(which >> 3);
	struct ddfs_new n = { .mode = modes[which >> 6], .target = "a target" };
	struct ddfs_entry e;

	switch (what % 4) {
	case 0:
		ddfs_create(root, name, strlen(name), &n, &e, NULL);
		break;
	case 1:
		if (ddfs_unlink(root, name, strlen(name)) == -EISDIR)
			ddfs_rmdir(root, name, strlen(name));
		break;
	case 2:
		ddfs_rename(root, name, strlen(name), root, other, strlen(other), which >> 6);
		break;
	default:
		break;
	}
}

/* ---- files ---------------------------------------------------------------------------------- */

static void act_on_space(struct ddfs_inode *ip, unsigned int block, unsigned int which)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE };

	ddfs_fallocate(ip, modes[which % 6], (uint64_t)block * 4096,
		(1 + (uint64_t)which / 6) * 4096, NULL);
}

static void act_on_xattr(struct ddfs_inode *ip, unsigned int which)
{
	static const uint8_t value[10000] = { 1 };
	static const uint16_t sizes[] = { 5, 100, 2000, 10000 };
	const char *name = which & 1 ? "user.large" : "user.other";

	if (which & 2)
		ddfs_removexattr(ip, name);
	else
		ddfs_setxattr(ip, name, value, sizes[which >> 2 & 3], 0, false);
}

static void act_on_file(struct ddfs_inode *ip, unsigned int what, struct input *in)
{
	static const uint8_t bytes[9000] = { 2 };
	unsigned int block = input_8(in) % MAX_BLOCK, which = input_8(in);
	struct ddfs_attr a = { .size = block * 4096 + which, .mode = which };

	switch (what % 8) {
	case 0:
	case 1:
		ddfs_write(ip, (uint64_t)block * 4096 + which, bytes, 1 + which * 35, 0);
		break;
	case 2:
		ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, NULL);
		break;
	case 3:
		ddfs_setattr(ip, &a, DDFS_SET_MODE, NULL, NULL);
		break;
	case 4:
	case 5:
		act_on_space(ip, block, which);
		break;
	case 6:
		act_on_xattr(ip, which);
		break;
	default:
		ddfs_set_flags(ip, which & 1 ? DDFS_FLAG_DAX : 0);
		break;
	}
}

/* ---- one after the other -------------------------------------------------------------------- */

static void act_once(struct ddfs_inode *root, unsigned int what, struct input *in)
{
	struct ddfs_inode *ip;
	struct ddfs_entry e;

	if (what < 96) {
		act_on_names(root, what, in);
		return;
	}
	ip = find(root, name_of(input_8(in)));
	if (!ip)
		return;
	if (what < 112)
		ddfs_link(ip, root, "b", 1, &e);
	else
		act_on_file(ip, what, in);
	ddfs_inode_put(ip);
}

void act(struct ddfs_fs *fs, struct input *in)
{
	struct ddfs_inode *root;

	if (ddfs_inode_get(fs, DDFS_ID_ROOT, &root))
		return;
	for (unsigned int i = 0; i < MAX_ACTS && !input_is_empty(in); i++) {
		unsigned int what = input_8(in);

		if (what == 0xff)
			break;
		act_once(root, what, in);
	}
	ddfs_inode_put(root);
}
