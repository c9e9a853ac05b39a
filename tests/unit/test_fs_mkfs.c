/* SPDX-License-Identifier: BSD-3-Clause */
/* Geometry over all sizes, and filesystems on the smallest and the largest device. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

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

int main(void)
{
	struct suite_case cases[] = {
		{ "geometry", geometry, 2 },
		{ "limits", limits, 0 },
		{ "empty image", empty_image, 14 },
		{ "largest", largest, 0 },
	};

	return suite_run("fs_mkfs", cases, 4);
}
