/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "fs/csum.h"
#include "tools/ddfs_metadump.h"

struct ddfs_metadump_writer {
	int fd;
	int err;
	ZSTD_CCtx *zstd;
	uint64_t nr_blocks;
	uint32_t crc; /* of all runs' checksums */
	/* The run that is being collected. */
	uint64_t start;
	uint32_t nr;
	uint8_t blocks[DDFS_METADUMP_RUN_MAX][DDFS_BLOCK_BYTES];
	uint8_t out[1 << 16];
};

static void store(struct ddfs_metadump_writer *w, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len && !w->err) {
		ssize_t n = write(w->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			w->err = n < 0 ? -errno : -EIO;
			return;
		}
		p += n;
		len -= (size_t)n;
	}
}

/* Returns once all has been taken; at the end, once all is out. */
static void compress(
	struct ddfs_metadump_writer *w, const void *bytes, size_t len, ZSTD_EndDirective mode)
{
	ZSTD_inBuffer in = { bytes, len, 0 };
	size_t left = 1;

	while (!w->err && (mode == ZSTD_e_end ? left != 0 : in.pos < in.size)) {
		ZSTD_outBuffer out = { w->out, sizeof(w->out), 0 };

		left = ZSTD_compressStream2(w->zstd, &out, &in, mode);
		if (ZSTD_isError(left))
			w->err = -ENOMEM;
		else
			store(w, w->out, out.pos);
	}
}

static void put_run(struct ddfs_metadump_writer *w)
{
	uint32_t crc = ddfs_crc32c(DDFS_METADUMP_SEED, w->blocks, w->nr * sizeof(w->blocks[0]));
	struct ddfs_metadump_run run = { ddfs_to32(crc), ddfs_to32(w->nr), ddfs_to64(w->start) };

	if (!w->nr)
		return;
	compress(w, &run, sizeof(run), ZSTD_e_continue);
	compress(w, w->blocks, w->nr * sizeof(w->blocks[0]), ZSTD_e_continue);
	w->crc = ddfs_crc32c(w->crc, &run, sizeof(run));
	w->nr = 0;
}

static void put_head(struct ddfs_metadump_writer *w, uint64_t device_bytes, uint32_t flags)
{
	struct ddfs_metadump_head h = {
		.version = ddfs_to32(DDFS_METADUMP_VERSION),
		.magic = ddfs_to64(DDFS_METADUMP_MAGIC),
		.flags = ddfs_to32(flags),
		.block_bytes = ddfs_to32(DDFS_BLOCK_BYTES),
		.device_bytes = ddfs_to64(device_bytes),
	};

	ddfs_csum_seal(DDFS_METADUMP_SEED, 0, &h, sizeof(h));
	store(w, &h, sizeof(h));
}

int ddfs_metadump_writer_new(
	int fd, uint64_t device_bytes, uint32_t flags, struct ddfs_metadump_writer **out)
{
	struct ddfs_metadump_writer *w = calloc(1, sizeof(*w));

	if (w)
		w->zstd = ZSTD_createCCtx();
	if (!w || !w->zstd) {
		free(w);
		return -ENOMEM;
	}
	w->fd = fd;
	w->crc = DDFS_METADUMP_SEED;
	put_head(w, device_bytes, flags);
	*out = w;
	return 0;
}

void ddfs_metadump_writer_add(
	struct ddfs_metadump_writer *w, uint64_t blk, const uint8_t block[DDFS_BLOCK_BYTES])
{
	if (w->nr && (blk != w->start + w->nr || w->nr == DDFS_METADUMP_RUN_MAX))
		put_run(w);
	if (!w->nr)
		w->start = blk;
	memcpy(w->blocks[w->nr++], block, DDFS_BLOCK_BYTES);
	w->nr_blocks++;
}

int ddfs_metadump_writer_end(struct ddfs_metadump_writer *w, uint64_t *nr_blocks)
{
	struct ddfs_metadump_run end = { .start = ddfs_to64(w->nr_blocks) };
	int err;

	put_run(w);
	end.crc = ddfs_to32(w->crc);
	compress(w, &end, sizeof(end), ZSTD_e_end);
	err = w->err;
	if (!err)
		*nr_blocks = w->nr_blocks;
	ZSTD_freeCCtx(w->zstd);
	free(w);
	return err;
}
