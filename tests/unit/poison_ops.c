/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/poison_ops.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layout/holder.h"
#include "tests/unit/tree.h"

const char *const poison_names[] = { "dir", "extents", "dax", "small", "xattrs", "link", "short",
	"pipe", "empty" };
const unsigned int poison_nr_names = sizeof(poison_names) / sizeof(poison_names[0]);

static int nop(void *arg, const struct ddfs_dirent *d)
{
	(void)arg;
	(void)d;
	return 0;
}

static int64_t op_lookup(struct poison_target *t)
{
	struct ddfs_entry e;

	return ddfs_lookup(t->root, t->name, strlen(t->name), &e);
}

static int64_t op_lookup_parent(struct poison_target *t)
{
	struct ddfs_entry e;

	return t->ip ? ddfs_lookup_parent(t->ip, &e) : 0;
}

static int64_t op_getattr(struct poison_target *t)
{
	struct ddfs_attr a;

	if (t->ip)
		ddfs_wants_atime(t->ip);
	return t->ip ? ddfs_getattr(t->ip, &a) : 0;
}

static int64_t op_setattr(struct poison_target *t)
{
	struct ddfs_attr a = { .mode = 0700 };

	return t->ip ? ddfs_setattr(t->ip, &a, DDFS_SET_MODE | DDFS_SET_MTIME_NOW, &a, NULL) : 0;
}

static int64_t op_chown(struct poison_target *t)
{
	struct ddfs_attr a = { .uid = 1000 };

	return t->ip ? ddfs_setattr(t->ip, &a, DDFS_SET_UID, &a, NULL) : 0;
}

static int64_t op_set_flags(struct poison_target *t)
{
	return t->ip ? ddfs_set_flags(t->ip, DDFS_FLAG_NOATIME) : 0;
}

static int64_t op_readlink(struct poison_target *t)
{
	char buf[400];

	return t->ip ? ddfs_readlink(t->ip, buf, sizeof(buf)) : 0;
}

static int64_t op_readdir(struct poison_target *t)
{
	return t->ip ? ddfs_readdir(t->ip, 0, true, nop, NULL) : 0;
}

static int64_t op_readdir_root(struct poison_target *t)
{
	return ddfs_readdir(t->root, 0, true, nop, NULL);
}

static int64_t op_open(struct poison_target *t)
{
	int err = t->ip ? ddfs_open(t->ip, O_RDWR, false, NULL) : -1;

	if (!err)
		ddfs_release(t->ip);
	return t->ip ? err : 0;
}

static int64_t op_open_trunc(struct poison_target *t)
{
	int err = t->ip ? ddfs_open(t->ip, O_RDWR | O_TRUNC, true, NULL) : -1;

	if (!err)
		ddfs_release(t->ip);
	return t->ip ? err : 0;
}

static int64_t op_read(struct poison_target *t)
{
	static _Thread_local uint8_t buf[1 << 20];

	return t->ip ? ddfs_pread(t->ip, buf, sizeof(buf), 100) : 0;
}

static int64_t op_overwrite(struct poison_target *t)
{
	return t->ip ? tree_fill(t->ip, 100, 30000, 'o') : 0;
}

static int64_t op_write_holes(struct poison_target *t)
{
	return t->ip ? tree_fill(t->ip, UINT64_C(1) << 20, 200000, 'h') : 0;
}

static int64_t op_append(struct poison_target *t)
{
	return t->ip ? ddfs_write(t->ip, 0, "more", 4, DDFS_WRITE_APPEND | DDFS_WRITE_KILL_PRIV)
		     : 0;
}

static int64_t op_fsync(struct poison_target *t)
{
	return t->ip ? ddfs_fsync(t->ip, false) : 0;
}

static int64_t op_seek(struct poison_target *t)
{
	return t->ip ? ddfs_seek(t->ip, 4096, SEEK_DATA) : 0;
}

static int64_t fallocate_of(struct poison_target *t, int mode, uint64_t off, uint64_t len)
{
	return t->ip ? ddfs_fallocate(t->ip, mode, off, len, NULL) : 0;
}

static int64_t op_allocate(struct poison_target *t)
{
	return fallocate_of(t, 0, 4096, 400000);
}

static int64_t op_punch(struct poison_target *t)
{
	return fallocate_of(t, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20000, 40960);
}

static int64_t op_punch_much(struct poison_target *t)
{
	return fallocate_of(t, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100000, 1200000);
}

static int64_t op_zero_range(struct poison_target *t)
{
	return fallocate_of(t, FALLOC_FL_ZERO_RANGE, 5000, 900000);
}

static int64_t op_collapse(struct poison_target *t)
{
	return fallocate_of(t, FALLOC_FL_COLLAPSE_RANGE, 4096, 8192);
}

static int64_t op_insert(struct poison_target *t)
{
	return fallocate_of(t, FALLOC_FL_INSERT_RANGE, 4096, 8192);
}

static int64_t op_truncate(struct poison_target *t)
{
	struct ddfs_attr a = { .size = 9000 };

	return t->ip ? ddfs_setattr(t->ip, &a, DDFS_SET_SIZE, &a, NULL) : 0;
}

static int64_t op_copy_range(struct poison_target *t)
{
	struct ddfs_entry e;
	struct ddfs_inode *out;
	int64_t ret = ddfs_lookup(t->root, "small", 5, &e);

	if (ret || !t->ip || ddfs_inode_get(t->fs, e.attr.id, &out))
		return ret;
	ret = ddfs_copy_range(t->ip, 0, out, UINT64_C(1) << 20, 200000, NULL);
	ddfs_inode_put(out);
	return ret;
}

static int64_t op_pin(struct poison_target *t)
{
	struct ddfs_pin_args args = { .len = 60000,
		.mode = DDFS_PIN_MODE_READ | DDFS_PIN_MODE_WRITE,
		.flags = DDFS_PIN_FAULT };
	struct ddfs_pin_owner owner;
	struct ddfs_pinned out;
	struct ddfs_file_extent e[4];
	int64_t err;

	if (!t->ip)
		return 0;
	ddfs_pin_owner_init(&owner, NULL);
	args.owner = &owner;
	err = ddfs_holders_get(
		ddfs_layouts_holders(ddfs_fs_layouts(t->fs)), getpid(), &args.holder);
	ck_assert_int_eq(err, 0);
	err = ddfs_pin(t->ip, &args, NULL, &out, e, 4);
	if (!err) {
		/* Pinned, it can't be cut, and that is found out by reading its map. */
		op_truncate(t);
		ck_assert_int_eq(ddfs_unpin(t->fs, &owner, out.id), 0);
	}
	ddfs_pins_release(t->fs, &owner);
	ddfs_holder_put(args.holder);
	return err;
}

static int64_t op_layout_query(struct poison_target *t)
{
	struct ddfs_file_extent e[8];
	uint64_t next;

	return t->ip ? ddfs_layout_query(t->ip, 0, 0, true, e, 8, &next) : 0;
}

static int64_t op_layout_look(struct poison_target *t)
{
	struct ddfs_file_extent e[8];
	uint64_t next;

	return t->ip ? ddfs_layout_query(t->ip, 0, 0, false, e, 8, &next) : 0;
}

static int64_t op_sync_range(struct poison_target *t)
{
	return t->ip ? ddfs_sync_range(t->ip, 0, 0) : 0;
}

static int64_t op_getxattr(struct poison_target *t)
{
	static _Thread_local uint8_t buf[10000];

	return t->ip ? ddfs_getxattr(t->ip, "user.large", buf, sizeof(buf)) : 0;
}

static int64_t op_listxattr(struct poison_target *t)
{
	static _Thread_local char buf[10000];

	return t->ip ? ddfs_listxattr(t->ip, buf, sizeof(buf)) : 0;
}

static int64_t op_setxattr(struct poison_target *t)
{
	static const uint8_t value[6000];

	return t->ip ? ddfs_setxattr(t->ip, "user.new", value, sizeof(value), 0, false) : 0;
}

static int64_t op_removexattr(struct poison_target *t)
{
	return t->ip ? ddfs_removexattr(t->ip, "user.large") : 0;
}

static int64_t op_statfs(struct poison_target *t)
{
	struct ddfs_statfs st;

	return ddfs_fs_statfs(t->fs, &st);
}

static int64_t op_background(struct poison_target *t)
{
	ddfs_fs_writeback(t->fs);
	ddfs_pins_tick(t->fs);
	return ddfs_fs_sync(t->fs);
}

static int64_t op_remount(struct poison_target *t)
{
	struct ddfs_fs_options opt = { .readonly = true };
	int64_t err = ddfs_fs_remount(t->fs, &opt);

	if (!err)
		op_lookup(t);
	opt.readonly = false;
	return err ? err : ddfs_fs_remount(t->fs, &opt);
}

/* ---- names ---------------------------------------------------------------------------------- */

static void new_name(const struct poison_target *t, char name[100])
{
	snprintf(name, 100, "new %s %u", t->name, t->round);
}

static int64_t op_create(struct poison_target *t)
{
	struct ddfs_new n = { .mode = S_IFREG | 0644 };
	struct ddfs_inode *ip;
	struct ddfs_entry e;
	char name[100];
	int64_t err;

	new_name(t, name);
	err = ddfs_create(t->root, name, strlen(name), &n, &e, &ip);
	if (err)
		return err;
	/* Open, it becomes an orphan. */
	err = tree_unlink(t->root, name);
	ddfs_release(ip);
	ddfs_inode_put(ip);
	return err;
}

static int64_t op_create_in(struct poison_target *t)
{
	char name[100];

	new_name(t, name);
	return t->ip ? tree_make(t->ip, name, S_IFDIR | 0755) : 0;
}

static int64_t op_symlink(struct poison_target *t)
{
	char target[300], name[100];
	struct ddfs_new n = { .mode = S_IFLNK | 0777, .target = target };
	struct ddfs_entry e;

	memset(target, 's', sizeof(target));
	target[sizeof(target) - 1] = 0;
	snprintf(name, sizeof(name), "link %s %u", t->name, t->round);
	return ddfs_create(t->root, name, strlen(name), &n, &e, NULL);
}

static int64_t op_link(struct poison_target *t)
{
	struct ddfs_entry e;
	char name[100];

	new_name(t, name);
	return t->ip ? ddfs_link(t->ip, t->root, name, strlen(name), &e) : 0;
}

static int64_t op_rename(struct poison_target *t)
{
	char name[100];
	int64_t err;

	snprintf(name, sizeof(name), "moved %s", t->name);
	err = tree_rename(t->root, t->name, t->root, name, 0);
	return err ? err : tree_rename(t->root, name, t->root, t->name, 0);
}

static int64_t op_rename_over(struct poison_target *t)
{
	int64_t err;

	if (!t->dir)
		return 0;
	err = tree_rename(t->root, t->name, t->dir, "here", 0);
	return err ? err : tree_rename(t->dir, "here", t->root, t->name, 0);
}

static int64_t op_exchange(struct poison_target *t)
{
	return tree_rename(t->root, t->name, t->root, "pipe", RENAME_EXCHANGE);
}

static int64_t op_unlink_in(struct poison_target *t)
{
	char name[60];

	snprintf(name, sizeof(name), "a name of some length %u", t->round * 7 % 150);
	return t->ip ? tree_unlink(t->ip, name) : 0;
}

static int64_t op_unlink(struct poison_target *t)
{
	return tree_unlink(t->root, t->name);
}

static int64_t op_rmdir(struct poison_target *t)
{
	return ddfs_rmdir(t->root, t->name, strlen(t->name));
}

/* What takes most away comes last. */
const struct poison_op poison_ops[] = {
	{ "lookup", op_lookup, false },
	{ "lookup_parent", op_lookup_parent, false },
	{ "getattr", op_getattr, false },
	{ "readlink", op_readlink, false },
	{ "readdir", op_readdir, false },
	{ "readdir of root", op_readdir_root, false },
	{ "open", op_open, false },
	{ "read", op_read, false },
	{ "seek", op_seek, false },
	{ "getxattr", op_getxattr, false },
	{ "listxattr", op_listxattr, false },
	{ "layout_query", op_layout_look, false },
	{ "sync_range", op_sync_range, false },
	{ "statfs", op_statfs, true },
	{ "setattr", op_setattr, false },
	{ "chown", op_chown, false },
	{ "set_flags", op_set_flags, false },
	{ "overwrite", op_overwrite, true },
	{ "write to holes", op_write_holes, true },
	{ "append", op_append, true },
	{ "fsync", op_fsync, true },
	{ "setxattr", op_setxattr, false },
	{ "removexattr", op_removexattr, false },
	{ "pin", op_pin, true },
	{ "layout_query with fault", op_layout_query, true },
	{ "copy_range", op_copy_range, true },
	{ "create, unlink while open", op_create, true },
	{ "mkdir in it", op_create_in, false },
	{ "symlink", op_symlink, false },
	{ "link", op_link, false },
	{ "rename", op_rename, true },
	{ "rename to another directory", op_rename_over, true },
	{ "exchange", op_exchange, false },
	{ "unlink in it", op_unlink_in, true },
	{ "allocate", op_allocate, true },
	{ "insert", op_insert, true },
	{ "collapse", op_collapse, true },
	{ "zero", op_zero_range, true },
	{ "punch", op_punch, true },
	{ "punch much", op_punch_much, true },
	{ "truncate", op_truncate, true },
	{ "write back, tick, sync", op_background, true },
	{ "remount", op_remount, true },
	{ "open with O_TRUNC", op_open_trunc, true },
	{ "rmdir", op_rmdir, true },
	{ "unlink", op_unlink, true },
};
const unsigned int poison_nr_ops = sizeof(poison_ops) / sizeof(poison_ops[0]);

/* ---- all of it ------------------------------------------------------------------------------ */

struct names {
	char name[2000][DDFS_NAME_MAX + 1];
	unsigned int nr;
};

static int collect(void *arg, const struct ddfs_dirent *d)
{
	struct names *n = arg;

	if (d->name[0] == '.')
		return 0;
	ck_assert_uint_lt(n->nr, 2000);
	ck_assert_ptr_nonnull(d->attr);
	memcpy(n->name[n->nr], d->name, d->name_len);
	n->name[n->nr++][d->name_len] = 0;
	return 0;
}

void poison_remove_all(struct ddfs_inode *dir)
{
	struct names *n = calloc(1, sizeof(*n));

	ck_assert_int_eq(ddfs_readdir(dir, 0, true, collect, n), 0);
	for (unsigned int i = 0; i < n->nr; i++) {
		struct ddfs_inode *ip = tree_get(dir, n->name[i]);
		struct ddfs_attr a;

		ck_assert_int_eq(ddfs_getattr(ip, &a), 0);
		if (S_ISDIR(a.mode)) {
			poison_remove_all(ip);
			ddfs_inode_put(ip);
			ck_assert_int_eq(ddfs_rmdir(dir, n->name[i], strlen(n->name[i])), 0);
		} else {
			ddfs_inode_put(ip);
			ck_assert_int_eq(tree_unlink(dir, n->name[i]), 0);
		}
	}
	free(n);
}
