/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/base.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/mkfs.h"
#include "layout/holder.h"
#include "layout/layout.h"
#include "tests/fuzz/input.h"

/* ---- a tree --------------------------------------------------------------------------------- */

static struct ddfs_inode *make(struct ddfs_inode *dir, const char *name, uint32_t mode)
{
	static const char target[] = "a target that does not fit into the inode, for it is longer "
				     "than sixty-four bytes";
	struct ddfs_new n = { .mode = mode, .target = target };
	struct ddfs_inode *ip;
	struct ddfs_entry e;

	fuzz_want(!ddfs_create(dir, name, strlen(name), &n, &e, NULL));
	fuzz_want(!ddfs_inode_get(ddfs_inode_fs(dir), e.attr.id, &ip));
	return ip;
}

static void fill(struct ddfs_inode *ip, uint64_t off, size_t len, int c)
{
	uint8_t buf[12000];

	memset(buf, c, sizeof(buf));
	fuzz_want(ddfs_write(ip, off, buf, len, 0) == (ssize_t)len);
}

static void make_names(struct ddfs_inode *root)
{
	struct ddfs_inode *dir = make(root, "dir", S_IFDIR | 0755);
	char name[40];

	for (unsigned int i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "a name of some length %u", i);
		ddfs_inode_put(make(dir, name, S_IFREG | 0644));
	}
	ddfs_inode_put(make(dir, "sub", S_IFDIR | 02775));
	ddfs_inode_put(dir);
	ddfs_inode_put(make(root, "link", S_IFLNK | 0777));
	ddfs_inode_put(make(root, "pipe", S_IFIFO | 0644));
}

static void make_xattrs(struct ddfs_inode *ip)
{
	const uint8_t value[9000] = { 7 };

	fuzz_want(!ddfs_setxattr(ip, "user.large", value, sizeof(value), 0, false));
	fuzz_want(!ddfs_setxattr(ip, "user.small", value, 10, 0, false));
	fuzz_want(!ddfs_setxattr(ip, "security.medium", value, 500, 0, false));
}

static void make_files(struct ddfs_inode *root)
{
	struct ddfs_inode *ip = make(root, "extents", S_IFREG | 0644);

	for (unsigned int i = 0; i < 300; i++)
		fill(ip, (uint64_t)i * 8192, 4096, (int)i);
	ddfs_inode_put(ip);
	ip = make(root, "file", S_IFREG | 06755);
	fill(ip, 0, 10000, 'f');
	make_xattrs(ip);
	ddfs_inode_put(ip);
	ip = make(root, "dax", S_IFREG | 0644);
	fuzz_want(!ddfs_set_flags(ip, DDFS_FLAG_DAX));
	fill(ip, 0, 12000, 'd');
	fuzz_want(!ddfs_fallocate(ip, 0, 16384, 65536, NULL));
	ddfs_inode_put(ip);
	ip = make(root, "small", S_IFREG | 0600);
	fill(ip, 0, 5, 's');
	fuzz_want(!ddfs_setxattr(ip, "user.in", "line", 4, 0, false));
	ddfs_inode_put(ip);
}

static struct ddfs_fs *mount(struct ram *r)
{
	return ram_mount(r, &(struct ddfs_fs_options){ .log = ram_log_nothing, .nr_cpus = 1 });
}

static void populate(struct ram *r)
{
	struct ddfs_fs *fs = mount(r);
	struct ddfs_inode *root = ram_root(fs);

	make_names(root);
	make_files(root);
	ddfs_inode_put(root);
	fuzz_want(!ddfs_fs_close(fs));
}

/* ---- a mount that dies ---------------------------------------------------------------------- */

/* The image as it is when the first lane is committed. */
struct death {
	struct ram *r;
	uint8_t *image;
	bool is_over;
};

static void death_drain(void *arg)
{
	struct death *d = arg;
	const struct ddfs_super *s = (const void *)d->r->writable;
	const uint8_t *lane = d->r->writable + ddfs_le64(s->lanes_off);

	for (uint32_t i = 0; i < ddfs_le32(s->nr_lanes) && !d->is_over; i++) {
		const struct ddfs_lane_header *h = (const void *)(lane + i * DDFS_LANE_BYTES);

		if (ddfs_le64(h->state) != DDFS_LANE_COMMITTED)
			continue;
		memcpy(d->image, d->r->writable, STAGE_BYTES);
		d->is_over = true;
	}
}

static void death_store(void *arg, uint64_t off, size_t len)
{
	(void)arg;
	(void)off;
	(void)len;
}

/* Removed, but still open. */
static struct ddfs_inode *leave_orphan(struct ddfs_inode *root)
{
	struct ddfs_inode *ip = make(root, "orphan", S_IFREG | 0644);

	fill(ip, 0, 12000, 'o');
	fuzz_want(!ddfs_open(ip, 0, false, NULL));
	fuzz_want(!ddfs_unlink(root, "orphan", 6));
	return ip;
}

static void leave_pin(struct ddfs_fs *fs, struct ddfs_inode *ip, struct ddfs_pin_owner *owner)
{
	struct ddfs_pin_args args = {
		.len = 8192, .mode = DDFS_PIN_MODE_READ | DDFS_PIN_MODE_WRITE, .owner = owner
	};
	struct ddfs_holders *holders = ddfs_layouts_holders(ddfs_fs_layouts(fs));
	struct ddfs_file_extent e[4];
	struct ddfs_pinned out;

	ddfs_pin_owner_init(owner, NULL);
	fuzz_want(!ddfs_holders_get(holders, getpid(), &args.holder));
	fuzz_want(!ddfs_pin(ip, &args, NULL, &out, e, 4));
	ddfs_holder_put(args.holder);
}

static struct ddfs_inode *find(struct ddfs_inode *dir, const char *name)
{
	struct ddfs_inode *ip;
	struct ddfs_entry e;

	fuzz_want(!ddfs_lookup(dir, name, strlen(name), &e));
	fuzz_want(!ddfs_inode_get(ddfs_inode_fs(dir), e.attr.id, &ip));
	return ip;
}

static void die_with(struct death *d)
{
	struct ram_ear ear = { death_store, death_drain, d };
	struct ddfs_fs *fs = mount(d->r);
	struct ddfs_inode *root = ram_root(fs), *orphan = leave_orphan(root);
	struct ddfs_inode *dax = find(root, "dax");
	struct ddfs_pin_owner owner;

	leave_pin(fs, dax, &owner);
	ddfs_bad_notice(fs, STAGE_BYTES / 2, DDFS_BLOCK_BYTES);
	d->r->ear = &ear;
	fuzz_want(!ddfs_rename(root, "small", 5, root, "smaller", 7, 0));
	d->r->ear = NULL;
	ddfs_pins_release(fs, &owner);
	ddfs_inode_put(dax);
	ddfs_release(orphan);
	ddfs_inode_put(orphan);
	ddfs_inode_put(root);
	fuzz_want(!ddfs_fs_close(fs));
}

static void die(struct ram *r)
{
	struct death d = { .r = r, .image = malloc(STAGE_BYTES) };

	fuzz_want(d.image);
	die_with(&d);
	fuzz_want(d.is_over);
	memcpy(r->writable, d.image, STAGE_BYTES);
	free(d.image);
}

/* ---- all of them ---------------------------------------------------------------------------- */

void base_build(struct ram *r, enum stage_base which)
{
	struct ddfs_mkfs p = { .label = "fuzz", .map_dev = which == STAGE_MAP_DEV };
	struct ddfs_geometry g;

	ram_init(r, STAGE_BYTES, DDFS_BLOCK_BYTES);
	fuzz_want(!ddfs_geometry_init(STAGE_BYTES, DDFS_BLOCK_BYTES, p.map_dev, &g));
	fuzz_want(!ddfs_mkfs(&r->media, &p, &g));
	if (which != STAGE_FRESH)
		populate(r);
	if (which == STAGE_LEFT)
		die(r);
}
