/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a filesystem, and recognising one. */
#ifndef DDFS_FS_MKFS_H
#define DDFS_FS_MKFS_H

#include <stdbool.h>
#include <stdint.h>

struct ddfs_media;

#define DDFS_MIN_BYTES (UINT64_C(16) << 20)
#define DDFS_MAX_BYTES (UINT64_C(16) << 40)

struct ddfs_mkfs {
	char label[65]; /* terminated, at most 64 bytes of UTF-8 */
	uint8_t uuid[16];
	bool map_dev; /* keep the pagemap on the device rather than in memory */
};

/* Where everything lies; sizes and offsets in bytes. */
struct ddfs_geometry {
	uint64_t device_bytes; /* used: whole chunks */
	uint64_t block_bytes, chunk_bytes, group_bytes;
	uint64_t nr_blocks, nr_chunks;
	uint32_t nr_groups, nr_lanes;
	uint64_t lane_bytes;
	uint64_t group_table_off, lanes_off, chunk_table_off, chunk_table_bytes;
	uint64_t pagemap_off, pagemap_bytes; /* 0 unless map_dev */
	uint64_t pins_off, pins_bytes;
	uint64_t bad_off, bad_bytes;
	uint64_t data_off;
	uint64_t dax_unit_bytes; /* allocation unit of DAX inodes */
	uint64_t inode_bytes;
};

/* size and align are the device's, in bytes. -ENOSPC: below DDFS_MIN_BYTES; -EFBIG: above
 * DDFS_MAX_BYTES (the first 16 TiB could be used by giving that size). */
int ddfs_geometry_init(uint64_t size, uint64_t align, bool map_dev, struct ddfs_geometry *out);

/* Writes an empty filesystem: the same few hundred KiB whatever the size, and zeroes where the
 * pagemap will be, unless they are there. Durable on return. */
int ddfs_mkfs(struct ddfs_media *m, const struct ddfs_mkfs *p, const struct ddfs_geometry *g);

/* Bytes of the inode table to begin with. */
#define DDFS_MKFS_TABLE_BYTES 65536u

/* Before and after, on a device that may have bad blocks. Asks the device to clear those that lie
 * under the fixed structures, as far as it lists them, or they can't be read. -EIO: some stay bad,
 * or were cleared in vain. */
int ddfs_mkfs_clear(struct ddfs_media *m, const struct ddfs_geometry *g);
/* -EIO: what ddfs_mkfs has written can't be read. */
int ddfs_mkfs_check(struct ddfs_media *m, const struct ddfs_geometry *g);

/* What a superblock says, for mkfs and for UUID= and LABEL=. */
struct ddfs_probe {
	uint8_t uuid[16];
	char label[65];
	uint64_t device_bytes;
	bool mounted;	     /* marked mounted: in use, or not cleanly unmounted */
	uint32_t owner_pid;  /* that mounted it */
	uint8_t boot_id[16]; /* of the boot in which owner_pid was valid; binary
			      * /proc/sys/kernel/random/boot_id */
};
/* head is the first 4096 bytes of a device. True if they are a valid devdaxfs superblock. */
bool ddfs_probe_super(const void *head, struct ddfs_probe *out);

/* The same of the second superblock: where it lies on a device of size bytes, of which mkfs took
 * all (there is none on one below DDFS_MIN_BYTES), and the 4096 bytes there. */
uint64_t ddfs_probe_backup_off(uint64_t size);
bool ddfs_probe_backup(const void *block, uint64_t size, struct ddfs_probe *out);

#endif
