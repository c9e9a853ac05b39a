/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/use.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout/holder.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/stage.h"

#define MAX_CHILDREN 160 /* of a directory, that are looked at */
#define MAX_DEPTH    4
#define MAX_LOOKS    100 /* at names, in all */
#define MAX_USES     24	 /* of files, in all */

struct use {
	struct ddfs_fs *fs;
	unsigned int looks, uses; /* left */
	uint8_t buf[70000];
};

/* ---- one file ------------------------------------------------------------------------------- */

static void use_xattrs(struct use *u, struct ddfs_inode *ip)
{
	static uint8_t value[DDFS_XATTR_SIZE_MAX];
	char *names = (char *)u->buf;
	ssize_t n = ddfs_listxattr(ip, names, sizeof(u->buf));

	for (char *at = names; n > 0 && at < names + n; at += strlen(at) + 1)
		ddfs_getxattr(ip, at, value, sizeof(value));
	ddfs_setxattr(ip, "user.another", "value", 5, 0, false);
	ddfs_setxattr(ip, "user.bulky", value, 3000, 0, false);
	ddfs_removexattr(ip, "user.large");
}

static void use_reads(struct use *u, struct ddfs_inode *ip)
{
	struct ddfs_file_extent e[8];
	struct ddfs_attr a;
	uint64_t next;

	ddfs_pread(ip, u->buf, sizeof(u->buf), 0);
	if (!ddfs_getattr(ip, &a) && a.size)
		ddfs_pread(ip, u->buf, sizeof(u->buf), a.size - 1);
	ddfs_readlink(ip, (char *)u->buf, sizeof(u->buf));
	ddfs_seek(ip, 0, SEEK_HOLE);
	ddfs_seek(ip, 5000, SEEK_DATA);
	ddfs_layout_query(ip, 0, 0, false, e, 8, &next);
}

static void use_pin(struct use *u, struct ddfs_inode *ip)
{
	struct ddfs_pin_owner owner;
	struct ddfs_pin_args args = {
		.len = 20000,
		.mode = DDFS_PIN_MODE_READ,
		.flags = DDFS_PIN_FAULT,
		.owner = &owner,
	};
	struct ddfs_attr a = { .size = 100 };
	struct ddfs_file_extent e[4];
	struct ddfs_pinned out;

	if (ddfs_holders_get(ddfs_layouts_holders(ddfs_fs_layouts(u->fs)), getpid(), &args.holder))
		return;
	ddfs_pin_owner_init(&owner, NULL);
	if (!ddfs_pin(ip, &args, NULL, &out, e, 4)) {
		ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, NULL);
		ddfs_pin_extents(u->fs, &owner, out.id, 0, e, 4);
		ddfs_unpin(u->fs, &owner, out.id);
	}
	ddfs_pins_release(u->fs, &owner);
	ddfs_holder_put(args.holder);
}

static void use_changes(struct use *u, struct ddfs_inode *ip)
{
	struct ddfs_attr a = { .size = 4096, .mode = 0600 };

	memset(u->buf, 'x', 9000);
	ddfs_write(ip, 6000, u->buf, 9000, 0);
	ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 16384, NULL);
	ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096, NULL);
	ddfs_fallocate(ip, FALLOC_FL_INSERT_RANGE, 4096, 8192, NULL);
	ddfs_fallocate(ip, FALLOC_FL_ZERO_RANGE, 100, 9000, NULL);
	ddfs_copy_range(ip, 0, ip, 40960, 8192, NULL);
	ddfs_setattr(ip, &a, DDFS_SET_SIZE | DDFS_SET_MODE, NULL, NULL);
	ddfs_fsync(ip, false);
}

static void use_file(struct use *u, struct ddfs_inode *ip)
{
	struct ddfs_attr a = { 0 };

	if (!u->uses)
		return;
	u->uses--;
	ddfs_getattr(ip, &a);
	use_xattrs(u, ip);
	use_reads(u, ip);
	if (!S_ISREG(a.mode) || ddfs_open(ip, O_RDWR, false, NULL))
		return;
	use_pin(u, ip);
	use_changes(u, ip);
	ddfs_release(ip);
}

/* ---- directories ---------------------------------------------------------------------------- */

struct child {
	char name[DDFS_NAME_MAX];
	size_t len;
};

struct children {
	struct child e[MAX_CHILDREN];
	size_t nr;
};

static int collect(void *arg, const struct ddfs_dirent *d)
{
	struct children *c = arg;
	bool is_dot = d->name[0] == '.' && d->name_len <= 2;

	if (is_dot || c->nr == MAX_CHILDREN)
		return 0;
	memcpy(c->e[c->nr].name, d->name, d->name_len);
	c->e[c->nr++].len = d->name_len;
	return 0;
}

static void use_dir(struct use *u, struct ddfs_inode *dir, unsigned int depth);

static void use_child(
	struct use *u, struct ddfs_inode *dir, const struct child *c, size_t i, unsigned int depth)
{
	struct ddfs_inode *ip;
	struct ddfs_entry e;

	if (ddfs_lookup(dir, c->name, c->len, &e) || ddfs_inode_get(u->fs, e.attr.id, &ip))
		return;
	if (i % 16 == 0 || depth == 0)
		use_file(u, ip);
	if (S_ISDIR(e.attr.mode) && depth < MAX_DEPTH)
		use_dir(u, ip, depth + 1);
	if (i % 4 == 0)
		ddfs_link(ip, dir, "linked", 6, &e);
	ddfs_inode_put(ip);
	if (i % 2 == 0 && ddfs_unlink(dir, c->name, c->len) == -EISDIR)
		ddfs_rmdir(dir, c->name, c->len);
	if (i % 4 == 0)
		ddfs_rename(dir, "linked", 6, dir, "renamed", 7, 0);
}

static void use_dir(struct use *u, struct ddfs_inode *dir, unsigned int depth)
{
	struct ddfs_new n = { .mode = S_IFREG | 0644 };
	struct children *c = malloc(sizeof(*c));
	struct ddfs_entry e;

	fuzz_want(c);
	c->nr = 0;
	ddfs_readdir(dir, 0, true, collect, c);
	for (size_t i = 0; i < c->nr && u->looks; i++) {
		u->looks--;
		use_child(u, dir, &c->e[i], i, depth);
	}
	free(c);
	ddfs_lookup_parent(dir, &e);
	ddfs_create(dir, "made", 4, &n, &e, NULL);
	ddfs_rename(dir, "made", 4, dir, "moved", 5, 0);
	n.mode = S_IFDIR | 0755;
	ddfs_create(dir, "made", 4, &n, &e, NULL);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Those of the mount that STAGE_LEFT has seen die. */
static bool clients_alive(void *arg, uint32_t epoch)
{
	(void)arg;
	return epoch == 2;
}

struct ddfs_fs_options use_options(unsigned int byte)
{
	return (struct ddfs_fs_options){
		.readonly = (byte & 7) == 7,
		.lazytime = byte & 8,
		.no_acl = byte & 16,
		.dax = byte & 32 ? DDFS_DAX_ALWAYS : DDFS_DAX_INODE,
		.clients_alive = byte & 64 ? clients_alive : NULL,
		.map = byte & 128 ? DDFS_PAGEMAP_MEM : DDFS_PAGEMAP_AUTO,
		.nr_cpus = 1,
		.log = ram_log_nothing,
	};
}

static void use_fs(struct ddfs_fs *fs)
{
	struct use *u = malloc(sizeof(*u));
	struct ddfs_inode *root;
	struct ddfs_statfs st;

	fuzz_want(u);
	u->fs = fs;
	u->looks = MAX_LOOKS;
	u->uses = MAX_USES;
	if (!ddfs_inode_get(fs, DDFS_ID_ROOT, &root)) {
		use_dir(u, root, 0);
		ddfs_inode_put(root);
	}
	ddfs_fs_statfs(fs, &st);
	ddfs_pins_tick(fs);
	ddfs_fs_sync(fs);
	free(u);
}

int use_image(struct stage *s, const struct ddfs_fs_options *opt)
{
	struct ddfs_bad_range bad[8];
	struct ddfs_recovery r;
	struct ddfs_fs *fs;
	uint64_t nr_bad;
	int ret = ddfs_fs_open(&s->ram.media, opt, &fs);

	if (ret)
		return ret;
	ddfs_fs_recovery(fs, &r);
	ddfs_bad_list(fs, 0, bad, 8, &nr_bad);
	use_fs(fs);
	ddfs_fs_close(fs);
	return 0;
}
