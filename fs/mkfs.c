/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/mkfs.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/altmap.h"
#include "fs/csum.h"
#include "fs/format.h"
#include "fs/fs.h"
#include "fs/media.h"
#include "fs/super.h"

/* The inode table's first blocks. */
#define TABLE_BLOCKS (DDFS_MKFS_TABLE_BYTES / DDFS_BLOCK_BYTES)

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static uint32_t choose_lanes(uint64_t bytes)
{
	if (bytes < UINT64_C(64) << 20)
		return 8;
	if (bytes < UINT64_C(1) << 30)
		return 16;
	return bytes < UINT64_C(16) << 30 ? 32 : DDFS_MAX_LANES;
}

/* Some sixteen groups on a small device, of 16 GiB on a large one: enough for threads to keep
 * apart, few enough to be summed up at mount. */
static uint64_t choose_group_chunks(uint64_t nr_chunks, uint64_t align)
{
	uint64_t n = 8;

	while (n < nr_chunks / 16 || n * DDFS_CHUNK_BYTES < align)
		n *= 2;
	return n < 8192 ? n : 8192;
}

/* A record for each 64 KiB of a small device; some 260,000 are enough for any. */
static uint64_t choose_pins_bytes(uint64_t bytes)
{
	uint64_t n = round_up(bytes / 1024, DDFS_BLOCK_BYTES);

	if (n < DDFS_PINS_BYTES_MIN)
		return DDFS_PINS_BYTES_MIN;
	return n < DDFS_PINS_BYTES_MAX ? n : DDFS_PINS_BYTES_MAX;
}

int ddfs_geometry_init(uint64_t size, uint64_t align, bool map_dev, struct ddfs_geometry *out)
{
	struct ddfs_geometry g = { .block_bytes = DDFS_BLOCK_BYTES,
		.chunk_bytes = DDFS_CHUNK_BYTES,
		.lane_bytes = DDFS_LANE_BYTES,
		.inode_bytes = DDFS_INODE_BYTES };
	uint64_t group_chunks, end;

	if (size < DDFS_MIN_BYTES)
		return -ENOSPC;
	if (size > DDFS_MAX_BYTES)
		return -EFBIG;
	g.nr_chunks = size / DDFS_CHUNK_BYTES;
	g.device_bytes = g.nr_chunks * DDFS_CHUNK_BYTES;
	g.nr_blocks = g.nr_chunks * DDFS_CHUNK_BLOCKS;
	g.nr_lanes = choose_lanes(size);
	group_chunks = choose_group_chunks(g.nr_chunks, align);
	g.group_bytes = group_chunks * DDFS_CHUNK_BYTES;
	g.nr_groups = (uint32_t)((g.nr_chunks + group_chunks - 1) / group_chunks);
	g.group_table_off = DDFS_GROUP_TABLE_OFF;
	g.lanes_off = round_up(
		g.group_table_off + g.nr_groups * sizeof(struct ddfs_group_desc), DDFS_BLOCK_BYTES);
	g.chunk_table_off = g.lanes_off + g.nr_lanes * g.lane_bytes;
	g.chunk_table_bytes = g.nr_chunks * sizeof(struct ddfs_chunk);
	end = round_up(g.chunk_table_off + g.chunk_table_bytes, DDFS_BLOCK_BYTES);
	if (map_dev) {
		g.pagemap_off = round_up(end, DDFS_CHUNK_BYTES);
		g.pagemap_bytes = round_up(g.nr_blocks * 4, DDFS_BLOCK_BYTES);
		end = g.pagemap_off + g.pagemap_bytes;
	}
	g.pins_off = end;
	g.pins_bytes = choose_pins_bytes(g.device_bytes);
	g.bad_off = g.pins_off + g.pins_bytes;
	g.bad_bytes = DDFS_BAD_BYTES;
	g.data_off = round_up(g.bad_off + g.bad_bytes, DDFS_CHUNK_BYTES);
	g.dax_unit_bytes = align > DDFS_BLOCK_BYTES ? align : DDFS_BLOCK_BYTES;
	/* At least one chunk besides the one that ends with the second superblock. */
	if (g.data_off + 2 * DDFS_CHUNK_BYTES > g.device_bytes)
		return -ENOSPC;
	*out = g;
	return 0;
}

/* What a filesystem is being made of. */
struct maker {
	struct ddfs_media *m;
	const struct ddfs_geometry *g;
	uint32_t seed;
};

static void seal_and_copy(struct maker *k, uint64_t off, void *p, size_t len)
{
	ddfs_csum_seal(k->seed, off, p, len);
	k->m->ops->copy(k->m, off, p, len);
}

/* The structure at off, and zeroes behind it up to a block's end. */
static void seal_and_copy_block(struct maker *k, uint64_t off, void *p, size_t len)
{
	seal_and_copy(k, off, p, len);
	k->m->ops->set(k->m, off + len, 0, DDFS_BLOCK_BYTES - len);
}

static void set_times(struct ddfs_inode_disk *di)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	di->atime = di->mtime = di->ctime = di->btime = ddfs_to64((uint64_t)now.tv_sec);
	di->atime_ns = di->mtime_ns = di->ctime_ns = di->btime_ns =
		ddfs_to32((uint32_t)now.tv_nsec);
}

static void write_table_inode(struct maker *k)
{
	struct ddfs_inode_disk di = {
		.magic = ddfs_to16(DDFS_INODE_MAGIC),
		.mode = ddfs_to16(S_IFREG | 0600),
		.ino = ddfs_to32(DDFS_INO_TABLE),
		.nlink = ddfs_to32(1),
		.size = ddfs_to64(TABLE_BLOCKS * DDFS_BLOCK_BYTES),
		.nr_blocks = ddfs_to64(TABLE_BLOCKS),
		.nr_extents = ddfs_to16(1),
	};
	uint64_t backup = k->g->device_bytes - 2 * DDFS_BLOCK_BYTES;

	di.body.extent[0] = (struct ddfs_extent){ .len = ddfs_to32(TABLE_BLOCKS),
		.start = ddfs_to64(k->g->data_off >> DDFS_BLOCK_SHIFT) };
	set_times(&di);
	seal_and_copy_block(k, DDFS_ROOT_BLOCK_OFF, &di, sizeof(di));
	seal_and_copy_block(k, backup, &di, sizeof(di));
}

static void write_dir(struct maker *k, uint32_t ino, uint32_t gen, uint32_t mode)
{
	struct ddfs_inode_disk di = {
		.magic = ddfs_to16(DDFS_INODE_MAGIC),
		.mode = ddfs_to16((uint16_t)(S_IFDIR | mode)),
		.ino = ddfs_to32(ino),
		.gen = ddfs_to32(gen),
		.nlink = ddfs_to32(2),
		.parent = ddfs_to32(ino),
	};

	set_times(&di);
	seal_and_copy(k, k->g->data_off + ino * DDFS_INODE_BYTES, &di, sizeof(di));
}

/* Zeroes in the inode table from one inode on, before another. */
static void write_free_inodes(struct maker *k, uint64_t first, uint64_t end)
{
	k->m->ops->set(k->m, k->g->data_off + first * DDFS_INODE_BYTES, 0,
		(end - first) * DDFS_INODE_BYTES);
}

static void write_inodes(struct maker *k)
{
	write_table_inode(k);
	write_free_inodes(k, 0, DDFS_INO_ROOT);
	write_dir(k, DDFS_INO_ROOT, 0, 0755);
	write_dir(k, DDFS_INO_ORPHAN, 1, 0700);
	write_free_inodes(k, DDFS_INO_ORPHAN + 1, TABLE_BLOCKS * (uint64_t)DDFS_INODES_PER_BLOCK);
}

/* Chunks are free until written to the table, but for the fixed structures' own. So only those up
 * to the inode table's, in its group, are written. */
static void write_groups(struct maker *k)
{
	uint64_t per_group = k->g->group_bytes / DDFS_CHUNK_BYTES;
	uint64_t data_chunk = k->g->data_off / DDFS_CHUNK_BYTES;

	for (uint64_t i = 0; i < k->g->nr_groups; i++) {
		uint64_t first = i * per_group, last = first + per_group;
		struct ddfs_group_desc d = { 0 };
		uint64_t fixed;

		if (last > k->g->nr_chunks)
			last = k->g->nr_chunks;
		fixed = data_chunk < first  ? 0
			: data_chunk < last ? data_chunk - first
					    : last - first;
		d.nr_free =
			ddfs_to64((last - first - fixed) * DDFS_CHUNK_BLOCKS -
				  (data_chunk >= first && data_chunk < last ? TABLE_BLOCKS : 0) -
				  (last == k->g->nr_chunks ? 2 : 0));
		if (data_chunk >= first && data_chunk < last)
			d.nr_init = ddfs_to32((uint32_t)(data_chunk - first + 1));
		seal_and_copy(k, k->g->group_table_off + i * sizeof(d), &d, sizeof(d));
	}
}

static void write_chunks(struct maker *k)
{
	uint64_t per_group = k->g->group_bytes / DDFS_CHUNK_BYTES;
	uint64_t data_chunk = k->g->data_off / DDFS_CHUNK_BYTES;

	for (uint64_t c = data_chunk / per_group * per_group; c <= data_chunk; c++) {
		struct ddfs_chunk chunk = { 0 };

		if (c < data_chunk)
			memset(chunk.used, 0xff, sizeof(chunk.used));
		else
			chunk.used[0] = ddfs_to64((UINT64_C(1) << TABLE_BLOCKS) - 1);
		seal_and_copy(k, k->g->chunk_table_off + c * sizeof(chunk), &chunk, sizeof(chunk));
	}
}

static void write_lanes(struct maker *k)
{
	for (uint64_t i = 0; i < k->g->nr_lanes; i++)
		k->m->ops->set(k->m, k->g->lanes_off + i * k->g->lane_bytes, 0,
			sizeof(struct ddfs_lane_header));
}

/* No slot has been used yet, whatever is there. */
static void write_pin_table(struct maker *k)
{
	struct ddfs_pin_table head = { 0 };

	seal_and_copy(k, k->g->pins_off, &head, sizeof(head));
}

static void write_bad_table(struct maker *k)
{
	k->m->ops->set(k->m, k->g->bad_off, 0, k->g->bad_bytes);
}

static void fill_super(struct ddfs_super *s, const struct ddfs_mkfs *p,
	const struct ddfs_geometry *g, uint32_t seed, uint64_t hash_seed)
{
	*s = (struct ddfs_super){
		.version = ddfs_to32(DDFS_VERSION_MEDIA),
		.magic = ddfs_to64(DDFS_SUPER_MAGIC),
		.feature_compat = ddfs_to64(p->map_dev ? DDFS_COMPAT_PAGEMAP_ON_DEVICE : 0),
		.device_bytes = ddfs_to64(g->device_bytes),
		.block_bytes = ddfs_to32(DDFS_BLOCK_BYTES),
		.chunk_bytes = ddfs_to32(DDFS_CHUNK_BYTES),
		.inode_bytes = ddfs_to32(DDFS_INODE_BYTES),
		.lane_bytes = ddfs_to32(DDFS_LANE_BYTES),
		.nr_lanes = ddfs_to32(g->nr_lanes),
		.nr_groups = ddfs_to32(g->nr_groups),
		.group_chunks = ddfs_to32((uint32_t)(g->group_bytes / DDFS_CHUNK_BYTES)),
		.csum_seed = ddfs_to32(seed),
		.hash_seed = ddfs_to64(hash_seed),
		.lanes_off = ddfs_to64(g->lanes_off),
		.chunk_table_off = ddfs_to64(g->chunk_table_off),
		.pagemap_off = ddfs_to64(g->pagemap_off),
		.pagemap_bytes = ddfs_to64(g->pagemap_bytes),
		.pins_off = ddfs_to64(g->pins_off),
		.pins_bytes = ddfs_to64(g->pins_bytes),
		.bad_off = ddfs_to64(g->bad_off),
		.bad_bytes = ddfs_to64(g->bad_bytes),
		.data_off = ddfs_to64(g->data_off),
		.dax_unit_bytes = ddfs_to64(g->dax_unit_bytes),
		.mkfs_time = ddfs_to64((uint64_t)time(NULL)),
		.seq = ddfs_to64(1),
		.state = ddfs_to32(DDFS_STATE_CLEAN),
		.first_free_inode = ddfs_to32(DDFS_INO_FIRST),
	};
	memcpy(s->uuid, p->uuid, sizeof(s->uuid));
	memcpy(s->label, p->label, strnlen(p->label, sizeof(s->label)));
}

int ddfs_mkfs(struct ddfs_media *m, const struct ddfs_mkfs *p, const struct ddfs_geometry *g)
{
	uint64_t backup = ddfs_super_backup_off(g->device_bytes);
	struct maker k = { .m = m, .g = g };
	struct ddfs_super super;
	uint64_t hash_seed;
	int err;

	if (getrandom(&k.seed, sizeof(k.seed), 0) != sizeof(k.seed) ||
		getrandom(&hash_seed, sizeof(hash_seed), 0) != sizeof(hash_seed))
		return -EIO;
	/* Whatever was here is gone first: a crash must not leave an old superblock over new
	 * structures. */
	m->ops->set(m, DDFS_SUPER_OFF, 0, DDFS_BLOCK_BYTES);
	m->ops->set(m, backup, 0, DDFS_BLOCK_BYTES);
	err = m->ops->drain(m);
	if (err)
		return err;
	write_inodes(&k);
	write_groups(&k);
	write_chunks(&k);
	write_lanes(&k);
	write_pin_table(&k);
	write_bad_table(&k);
	err = ddfs_altmap_clear(m, g->pagemap_off, g->pagemap_bytes);
	if (err)
		return err;
	fill_super(&super, p, g, k.seed, hash_seed);
	ddfs_csum_seal(DDFS_SUPER_SEED, backup, &super, sizeof(super));
	m->ops->copy(m, backup, &super, sizeof(super));
	ddfs_csum_seal(DDFS_SUPER_SEED, DDFS_SUPER_OFF, &super, sizeof(super));
	m->ops->copy(m, DDFS_SUPER_OFF, &super, sizeof(super));
	err = m->ops->drain(m);
	return err ? err : m->ops->deep_flush(m, DDFS_SYNC_MOUNT);
}
