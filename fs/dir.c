/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/dir.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/op.h"
#include "fs/tx.h"

void ddfs_dir_tree(const struct ddfs_inode_disk *di, struct ddfs_htree *t)
{
	*t = (struct ddfs_htree){
		.root = ddfs_le64(di->body.root),
		.depth = di->depth,
		.owner = ddfs_le32(di->ino),
	};
}

void ddfs_dir_tree_save(struct ddfs_inode_disk *di, const struct ddfs_htree *t)
{
	uint64_t size = ddfs_le64(di->size) + (uint64_t)t->nr_blocks * DDFS_BLOCK_BYTES;

	di->body.root = ddfs_to64(t->root);
	di->depth = t->depth;
	di->nr_blocks = ddfs_to64(ddfs_le64(di->nr_blocks) + (uint64_t)t->nr_blocks);
	di->size = ddfs_to64(size);
}

int ddfs_name_check(const char *name, size_t len)
{
	if (len > DDFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (!len || memchr(name, '/', len) || memchr(name, 0, len))
		return -EINVAL;
	return 0;
}

int ddfs_dir_find(struct ddfs_inode *dir, const struct ddfs_tx *tx, const char *name, size_t len,
	uint32_t *ino)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(dir, tx);
	struct ddfs_dirent_value v;
	struct ddfs_hrecord r;
	struct ddfs_htree t;
	int err;

	if (dir->dead)
		return -ENOENT;
	if (!S_ISDIR(ddfs_le16(di->mode)))
		return -ENOTDIR;
	ddfs_dir_tree(di, &t);
	err = ddfs_htree_find(dir->fs, tx, &t, name, len, &r);
	if (err)
		return err;
	if (r.val_len != sizeof(v))
		return ddfs_corrupt(dir->fs, "directory %u: an entry has no inode", dir->ino);
	memcpy(&v, r.value, sizeof(v));
	*ino = ddfs_le32(v.ino);
	return 0;
}

static uint8_t type_of(uint32_t mode)
{
	return (uint8_t)((mode & S_IFMT) >> 12);
}

int ddfs_dir_insert(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *name, size_t len,
	uint32_t ino, uint32_t mode)
{
	struct ddfs_dirent_value v = { ddfs_to32(ino) };
	struct ddfs_htree t;
	int err;

	ddfs_dir_tree(di, &t);
	err = ddfs_htree_insert(tx, &t, name, len, type_of(mode), &v, sizeof(v));
	ddfs_dir_tree_save(di, &t);
	ddfs_touch(di, true);
	return err;
}

int ddfs_dir_remove(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *name, size_t len)
{
	struct ddfs_htree t;
	int err;

	ddfs_dir_tree(di, &t);
	err = ddfs_htree_remove(tx, &t, name, len);
	ddfs_dir_tree_save(di, &t);
	ddfs_touch(di, true);
	return err;
}

int ddfs_dir_replace(struct ddfs_tx *tx, struct ddfs_inode_disk *di, const char *name, size_t len,
	uint32_t ino, uint32_t mode)
{
	struct ddfs_dirent_value v = { ddfs_to32(ino) };
	struct ddfs_htree t;

	ddfs_dir_tree(di, &t);
	ddfs_touch(di, true);
	return ddfs_htree_replace(tx, &t, name, len, type_of(mode), &v, sizeof(v));
}

/* ---- reading -------------------------------------------------------------------------------- */

#define COOKIE_DOT    1
#define COOKIE_DOTDOT 2

struct reader {
	struct ddfs_inode *dir;
	uint64_t cookie;
	bool want_attr;
	bool told; /* of an entry at least */
	ddfs_emit_fn emit;
	void *arg;
};

/* 0, or 1: it was not taken. */
static int emit(struct reader *rd, const struct ddfs_dirent *d)
{
	if (rd->emit(rd->arg, d))
		return 1;
	rd->told = true;
	return 0;
}

/* The child's attributes, with the directory locked: parent before child. */
static bool child_attr(struct ddfs_fs *fs, uint32_t ino, struct ddfs_attr *a)
{
	struct ddfs_inode *ip;
	int err;

	if (ddfs_inode_get_ino(fs, ino, &ip))
		return false;
	err = ddfs_getattr(ip, a);
	ddfs_inode_put(ip);
	return !err;
}

static int emit_record(void *arg, const struct ddfs_hrecord *r)
{
	struct reader *rd = arg;
	struct ddfs_dirent_value v;
	char name[DDFS_NAME_MAX];
	struct ddfs_attr a;
	struct ddfs_dirent d = { .name = name,
		.name_len = r->name_len,
		.type = (uint32_t)r->type << 12,
		.cookie = r->key };

	if (r->val_len != sizeof(v))
		return ddfs_corrupt(
			rd->dir->fs, "directory %u: an entry has no inode", rd->dir->ino);
	/* A copy: what the callback does must not be left half-way. */
	memcpy(name, r->name, r->name_len);
	memcpy(&v, r->value, sizeof(v));
	d.ino = ddfs_le32(v.ino);
	if (rd->want_attr && child_attr(rd->dir->fs, d.ino, &a))
		d.attr = &a;
	return emit(rd, &d);
}

static int emit_dots(struct reader *rd, const struct ddfs_inode_disk *di)
{
	struct ddfs_dirent dot = { .name = ".",
		.name_len = 1,
		.type = S_IFDIR,
		.ino = rd->dir->ino,
		.cookie = COOKIE_DOT };
	struct ddfs_dirent dotdot = { .name = "..",
		.name_len = 2,
		.type = S_IFDIR,
		.ino = ddfs_le32(di->parent),
		.cookie = COOKIE_DOTDOT };

	if (rd->cookie < COOKIE_DOT && emit(rd, &dot))
		return 1;
	return rd->cookie < COOKIE_DOTDOT ? emit(rd, &dotdot) : 0;
}

static DDFS_GUARD_STEP int read_entries(struct reader *rd)
{
	struct ddfs_inode *dir = rd->dir;
	const struct ddfs_inode_disk *di = ddfs_inode_view(dir, NULL);
	struct ddfs_htree t;
	int ret;

	if (dir->dead)
		return -ENOENT;
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	ddfs_inode_accessed(dir);
	ret = emit_dots(rd, di);
	if (ret)
		return ret;
	ddfs_dir_tree(di, &t);
	/* Keys begin behind the dots' cookies. */
	return ddfs_htree_walk(dir->fs, NULL, &t,
		rd->cookie > COOKIE_DOTDOT ? rd->cookie : COOKIE_DOTDOT, emit_record, rd);
}

int ddfs_readdir(
	struct ddfs_inode *dir, uint64_t cookie, bool want_attr, ddfs_emit_fn fn, void *arg)
{
	struct reader rd = {
		.dir = dir, .cookie = cookie, .want_attr = want_attr, .emit = fn, .arg = arg
	};
	struct ddfs_op op;
	int ret;

	ddfs_op_begin(&op, dir->fs);
	ddfs_op_lock(&op, dir, false);
	ddfs_guard_keep(&rd);
	ret = ddfs_op_end(&op, DDFS_GUARDED(op.fs, read_entries(&rd)));
	/* What was given before the entry that can't be read counts: it fails when asked for. */
	return ret > 0 || rd.told ? 0 : ret;
}
