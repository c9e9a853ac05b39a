/* SPDX-License-Identifier: BSD-3-Clause */
/* Geometry over all sizes, and filesystems on the smallest and the largest device. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/core.h"
#include "fs/format.h"
#include "fs/mkfs.h"
#include "tests/unit/check_image.h"
#include "tests/unit/ram.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static void check_geometry(const struct ddfs_geometry *g, uint64_t size, uint64_t align)
{
	ck_assert_uint_le(g->device_bytes, size);
	ck_assert_uint_lt(size - g->device_bytes, g->chunk_bytes);
	ck_assert_uint_eq(g->nr_blocks * g->block_bytes, g->device_bytes);
	ck_assert_uint_eq(g->nr_chunks * g->chunk_bytes, g->device_bytes);
	ck_assert_uint_ge(g->nr_groups * g->group_bytes, g->device_bytes);
	ck_assert_uint_lt((g->nr_groups - 1) * g->group_bytes, g->device_bytes);
	ck_assert_uint_le(g->nr_groups, DDFS_MAX_GROUPS);
	ck_assert_uint_ge(g->lanes_off, g->group_table_off + g->nr_groups * 64);
	ck_assert_uint_ge(g->chunk_table_off, g->lanes_off + g->nr_lanes * g->lane_bytes);
	ck_assert_uint_ge(g->data_off, g->chunk_table_off + g->chunk_table_bytes);
	ck_assert_uint_eq(g->data_off % g->chunk_bytes, 0);
	ck_assert_uint_eq(g->dax_unit_bytes, align);
	if (g->pagemap_bytes) {
		ck_assert_uint_ge(g->pagemap_off, g->chunk_table_off + g->chunk_table_bytes);
		ck_assert_uint_le(g->pagemap_off + g->pagemap_bytes, g->data_off);
		ck_assert_uint_ge(g->pagemap_bytes, g->nr_blocks * 4);
	}
	ck_assert_uint_ge(g->pins_off, g->chunk_table_off + g->chunk_table_bytes);
	ck_assert_uint_ge(g->pins_off, g->pagemap_off + g->pagemap_bytes);
	ck_assert_uint_le(g->pins_off + g->pins_bytes, g->data_off);
	ck_assert_uint_eq(g->pins_off % g->block_bytes, 0);
	ck_assert_uint_eq(g->pins_bytes % g->block_bytes, 0);
	ck_assert_uint_ge(g->pins_bytes, DDFS_PINS_BYTES_MIN);
	ck_assert_uint_le(g->pins_bytes, DDFS_PINS_BYTES_MAX);
}

START_TEST(geometry)
{
	static const uint64_t odd[] = { 0, 4096, 1 * MIB, 2 * MIB, 7 * MIB };
	struct ddfs_geometry g;

	for (uint64_t size = 16 * MIB; size <= 16 * TIB; size *= 2)
		for (size_t i = 0; i < 5; i++)
			for (unsigned int map = 0; map < 2; map++) {
				int err = ddfs_geometry_init(
					size + odd[i], _i ? 2 * MIB : 4 * KIB, map, &g);

				if (size + odd[i] > 16 * TIB)
					ck_assert_int_eq(err, -EFBIG);
				else
					ck_assert_int_eq(err, 0);
				if (!err)
					check_geometry(&g, size + odd[i], _i ? 2 * MIB : 4 * KIB);
			}
}
END_TEST

START_TEST(limits)
{
	struct ddfs_geometry g;

	ck_assert_int_eq(ddfs_geometry_init(16 * MIB - 1, 4096, false, &g), -ENOSPC);
	ck_assert_int_eq(ddfs_geometry_init(0, 4096, false, &g), -ENOSPC);
	ck_assert_int_eq(ddfs_geometry_init(16 * TIB + 1, 4096, false, &g), -EFBIG);
	ck_assert_int_eq(ddfs_geometry_init(4 * GIB, GIB, false, &g), 0);
	ck_assert_uint_eq(g.dax_unit_bytes, GIB);
}
END_TEST

/* Sizes whose free counts and bitmaps must be exact from the start. */
START_TEST(empty_image)
{
	static const uint64_t sizes[] = { 16 * MIB, 17 * MIB, 18 * MIB, 32 * MIB, 100 * MIB,
		258 * MIB, GIB };
	struct ddfs_mkfs p = { .label = "a label", .uuid = { 1, 2, 3 } };
	struct ddfs_inode *root;
	struct image_summary s;
	struct ddfs_geometry g;
	struct ddfs_probe probe;
	struct ddfs_statfs st;
	struct ddfs_fs *fs;
	struct ram ram;

	p.map_dev = (size_t)_i >= sizeof(sizes) / sizeof(sizes[0]);
	ram_init(&ram, sizes[(size_t)_i % (sizeof(sizes) / sizeof(sizes[0]))], 4096);
	memset(ram.writable, 0x5a, 8 * MIB);
	ck_assert_int_eq(ddfs_geometry_init(ram.media.size, 4096, p.map_dev, &g), 0);
	ck_assert_int_eq(ddfs_mkfs(&ram.media, &p, &g), 0);
	image_check(ram.media.base, ram.media.size, 0, &s);
	ck_assert_uint_eq(s.nr_problems, 0);
	ck_assert(ddfs_probe_super(ram.media.base, &probe));
	ck_assert_str_eq(probe.label, "a label");
	ck_assert(memcmp(probe.uuid, p.uuid, 16) == 0 && !probe.mounted);
	memset(&probe, 0, sizeof(probe));
	ck_assert(ddfs_probe_backup(
		ram.media.base + ddfs_probe_backup_off(ram.media.size), ram.media.size, &probe));
	ck_assert_str_eq(probe.label, "a label");
	ck_assert(!ddfs_probe_backup(ram.media.base, ram.media.size, &probe));
	fs = ram_mount(&ram, NULL);
	ck_assert(ddfs_probe_super(ram.media.base, &probe) && probe.mounted);
	ddfs_fs_statfs(fs, &st);
	ck_assert_uint_eq(st.nr_free, s.nr_free);
	ck_assert_str_eq(st.label, "a label");
	root = ram_root(fs);
	ck_assert_int_eq(tree_make(root, "x", S_IFREG | 0644), 0);
	ddfs_inode_put(root);
	ck_image(&ram.media);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ck_image(&ram.media);
	ram_fini(&ram);
}
END_TEST

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 16 TiB in a sparse file: made, mounted, used, and hardly a block of it touched. */
START_TEST(largest)
{
	double begin = now();
	struct ddfs_inode *root, *ip;
	struct ddfs_statfs st, end;
	struct ddfs_fs *fs;
	struct stat file;
	struct ram ram;
	char c;

	ram_mkfs(&ram, 16 * TIB, 2 * MIB);
	ck_assert_uint_lt(ram.media.stats.bytes_stored, 512 * KIB);
	fs = ram_mount(&ram, NULL);
	ddfs_fs_statfs(fs, &st);
	ck_assert_uint_gt(st.nr_free, (16 * TIB - 4 * GIB) / 4096);
	root = ram_root(fs);
	ip = tree_make_get(root, "x", S_IFREG | 0644);
	ck_assert_msg(now() - begin < 2, "it took %f s", now() - begin);
	ck_assert_int_eq(tree_fill(ip, DDFS_FILE_SIZE_MAX - 100, 200, 'x'), 100);
	ck_assert_int_eq(ddfs_pread(ip, &c, 1, DDFS_FILE_SIZE_MAX - 1), 1);
	ck_assert_int_eq(c, 'x');
	ck_assert_int_eq(tree_fill(ip, DDFS_FILE_SIZE_MAX, 1, 'x'), -EFBIG);
	ck_assert_int_eq(ddfs_fallocate(ip, 0, 0, 100 * GIB, NULL), 0);
	ck_assert_int_eq(tree_unlink(root, "x"), 0);
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	fs = ram_mount(&ram, NULL);
	ddfs_fs_statfs(fs, &end);
	ck_assert_uint_eq(st.nr_free, end.nr_free);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ck_assert_int_eq(fstat(ram.fd, &file), 0);
	ck_assert_uint_lt((uint64_t)file.st_blocks * 512, 256 * MIB);
	ram_fini(&ram);
}
END_TEST

/* ---- on a device with bad blocks ------------------------------------------------------------ */

/* What it lists. The case runs in a process of its own. */
static uint64_t listed[80];
static unsigned int nr_listed, nr_cleared;
static bool clears;

static int bad_ranges(
	struct ddfs_media *m, void (*found)(void *arg, uint64_t off, uint64_t len), void *arg)
{
	(void)m;
	for (unsigned int i = 0; i < nr_listed; i++)
		found(arg, listed[i], 512);
	return 0;
}

static int clear_poison(struct ddfs_media *m, uint64_t off, size_t len)
{
	struct ram *r = (struct ram *)((char *)m - offsetof(struct ram, media));

	ck_assert(off % 4096 == 0 && len == 4096);
	if (!clears)
		return -EOPNOTSUPP;
	nr_cleared++;
	ram_heal(r, off);
	return 0;
}

static struct ddfs_media_ops bad_ops(struct ram *r)
{
	struct ddfs_media_ops ops = *r->media.ops;

	ops.bad_ranges = bad_ranges;
	ops.clear_poison = clear_poison;
	return ops;
}

/* A superblock that can't be read, listed blocks in the log and where files will be. */
START_TEST(bad_blocks)
{
	struct ddfs_mkfs p = { .label = "a label" };
	struct ddfs_media_ops ops;
	struct ddfs_geometry g;
	struct ram ram;

	ram_init(&ram, 16 * MIB, 4096);
	ops = bad_ops(&ram);
	ram.media.ops = &ops;
	clears = _i;
	ck_assert_int_eq(ddfs_geometry_init(ram.media.size, 4096, false, &g), 0);
	listed[0] = g.lanes_off + 5120;
	listed[1] = g.data_off + MIB;
	nr_listed = 2;
	ram_poison(&ram, g.device_bytes - 4096);
	ck_assert_int_eq(ddfs_mkfs_clear(&ram.media, &g), clears ? 0 : -EIO);
	ck_assert_uint_eq(nr_cleared, clears ? 2 : 0);
	ck_assert_int_eq(ddfs_mkfs(&ram.media, &p, &g), 0);
	ck_assert_int_eq(ddfs_mkfs_check(&ram.media, &g), clears ? 0 : -EIO);
	ram_heal(&ram, g.device_bytes - 4096);
	ck_assert_int_eq(ddfs_mkfs_check(&ram.media, &g), 0);
	ck_image(&ram.media);
	ram_fini(&ram);
}
END_TEST

/* Some have too many to be listed. */
START_TEST(too_many_bad_blocks)
{
	struct ddfs_media_ops ops;
	struct ddfs_geometry g;
	struct ram ram;

	ram_init(&ram, 16 * MIB, 4096);
	ops = bad_ops(&ram);
	ram.media.ops = &ops;
	clears = true;
	ck_assert_int_eq(ddfs_geometry_init(ram.media.size, 4096, false, &g), 0);
	for (nr_listed = 0; nr_listed < 64; nr_listed++)
		listed[nr_listed] = nr_listed * 4096;
	ck_assert_int_eq(ddfs_mkfs_clear(&ram.media, &g), 0);
	listed[nr_listed++] = g.device_bytes - 512;
	ck_assert_int_eq(ddfs_mkfs_clear(&ram.media, &g), -EIO);
	ram_fini(&ram);
}
END_TEST

/* The pagemap on the device can't be read: listed on a clean mount, or found after a crash. */
START_TEST(bad_pagemap)
{
	struct ddfs_mkfs p = { .label = "a label", .map_dev = true };
	bool crash = _i & 1, can_clear = _i & 2;
	struct ddfs_media_ops ops;
	struct ram made, ram;
	struct ddfs_geometry g;
	struct ddfs_fs *fs;

	ram_init(&made, 16 * MIB, 4096);
	ck_assert_int_eq(ddfs_geometry_init(made.media.size, 4096, true, &g), 0);
	ck_assert_int_eq(ddfs_mkfs(&made.media, &p, &g), 0);
	fs = ram_mount(&made, NULL);
	ck_assert(fs->pins.map_on_device);
	if (!crash)
		ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ram_copy_image(&ram, &made);
	if (crash)
		ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ops = bad_ops(&ram);
	ram.media.ops = &ops;
	clears = can_clear;
	listed[0] = g.pagemap_off + 1024;
	nr_listed = !crash;
	ram_poison(&ram, g.pagemap_off);
	fs = ram_mount(&ram, NULL);
	ck_assert_int_eq(fs->pins.map_on_device, can_clear);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ram_heal(&ram, g.pagemap_off);
	fs = ram_mount(&ram, NULL);
	ck_assert(fs->pins.map_on_device);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ram_fini(&ram);
	ram_fini(&made);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "geometry", geometry, 2 },
		{ "limits", limits, 0 },
		{ "empty image", empty_image, 14 },
		{ "largest", largest, 0 },
		{ "bad blocks", bad_blocks, 2 },
		{ "too many bad blocks", too_many_bad_blocks, 0 },
		{ "bad pagemap", bad_pagemap, 4 },
	};

	return suite_run("fs_mkfs", cases, 7);
}
