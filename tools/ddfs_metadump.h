/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file that ddfs metadump makes and ddfs metarestore reads: a head, then one zstd frame of runs
 * of blocks. FORMAT.md explains it.
 */
#ifndef DDFS_TOOLS_DDFS_METADUMP_H
#define DDFS_TOOLS_DDFS_METADUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/format.h"

#define DDFS_METADUMP_MAGIC   UINT64_C(0x6174656d73666464) /* "ddfsmeta" */
#define DDFS_METADUMP_VERSION 1
#define DDFS_METADUMP_RUN_MAX 256u /* blocks */
#define DDFS_METADUMP_SEED    0x64646d64u

enum ddfs_metadump_flags {
	DDFS_METADUMP_SCRAMBLED = 1 << 0,
};

struct ddfs_metadump_head {
	struct le32 crc; /* of what follows in the head */
	struct le32 version;
	struct le64 magic;
	struct le32 flags;
	struct le32 block_bytes;
	struct le64 device_bytes; /* of the device that it was made of: any number */
	uint8_t reserved[32];
};
static_assert(sizeof(struct ddfs_metadump_head) == 64, "head");
static_assert(offsetof(struct ddfs_metadump_head, device_bytes) == 24, "head");

/* nr blocks follow; nr 0: the end, start is how many blocks there were, and crc is of all runs'. */
struct ddfs_metadump_run {
	struct le32 crc; /* of the blocks */
	struct le32 nr;
	struct le64 start;
};
static_assert(sizeof(struct ddfs_metadump_run) == 16, "run");

/* ---- writing -------------------------------------------------------------------------------- */

struct ddfs_metadump_writer;

/* To fd, from its beginning. Errors are remembered: end gives the first. -ENOMEM. */
int ddfs_metadump_writer_new(
	int fd, uint64_t device_bytes, uint32_t flags, struct ddfs_metadump_writer **out);
void ddfs_metadump_writer_add(
	struct ddfs_metadump_writer *w, uint64_t blk, const uint8_t block[DDFS_BLOCK_BYTES]);
/* The writer is gone afterwards. *nr_blocks: how many were written. */
int ddfs_metadump_writer_end(struct ddfs_metadump_writer *w, uint64_t *nr_blocks);

/* ---- reading -------------------------------------------------------------------------------- */

/* Hands each run to fn. 0, what fn returned, or -errno: -EINVAL: it is none; -EOPNOTSUPP: of
 * another version; -EBADMSG: it is damaged; -ENODATA: it was cut short. head is told first. */
struct ddfs_metadump_reading {
	int (*head)(void *arg, const struct ddfs_metadump_head *h);
	int (*run)(void *arg, uint64_t start, uint32_t nr, const uint8_t *blocks);
	void *arg;
};
int ddfs_metadump_read(int fd, const struct ddfs_metadump_reading *r);

#endif
