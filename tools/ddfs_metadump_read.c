/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "fs/csum.h"
#include "tools/ddfs_metadump.h"

struct reader {
	int fd;
	const struct ddfs_metadump_reading *r;
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer in;
	bool frame_over;
	uint64_t nr_blocks, limit; /* read; and of the device */
	uint32_t crc;
	uint8_t blocks[DDFS_METADUMP_RUN_MAX * DDFS_BLOCK_BYTES];
	uint8_t buf[1 << 16];
};

/* As much as there is up to len. */
static ssize_t load(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (uint8_t *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int refill(struct reader *rd)
{
	ssize_t n = load(rd->fd, rd->buf, sizeof(rd->buf));

	if (n <= 0)
		return n < 0 ? (int)n : -ENODATA;
	rd->in = (ZSTD_inBuffer){ rd->buf, (size_t)n, 0 };
	return 0;
}

/* The next len bytes of the frame. */
static int expand(struct reader *rd, void *to, size_t len)
{
	ZSTD_outBuffer out = { to, len, 0 };

	while (out.pos < len) {
		size_t left;
		int err;

		if (rd->frame_over)
			return -EBADMSG;
		err = rd->in.pos == rd->in.size ? refill(rd) : 0;
		if (err)
			return err;
		left = ZSTD_decompressStream(rd->zstd, &out, &rd->in);
		if (ZSTD_isError(left))
			return -EBADMSG;
		rd->frame_over = !left;
	}
	return 0;
}

/* Nothing may follow, in the frame or behind it. */
static int check_over(struct reader *rd)
{
	uint8_t byte;
	int err;

	while (!rd->frame_over) {
		ZSTD_outBuffer out = { &byte, 1, 0 };
		size_t left;

		err = rd->in.pos == rd->in.size ? refill(rd) : 0;
		if (err)
			return err;
		left = ZSTD_decompressStream(rd->zstd, &out, &rd->in);
		if (ZSTD_isError(left) || out.pos)
			return -EBADMSG;
		rd->frame_over = !left;
	}
	if (rd->in.pos < rd->in.size)
		return -EBADMSG;
	err = refill(rd);
	return err == -ENODATA ? 0 : err ? err : -EBADMSG;
}

static int read_run(struct reader *rd, const struct ddfs_metadump_run *run)
{
	uint64_t start = ddfs_le64(run->start);
	uint32_t nr = ddfs_le32(run->nr);
	size_t len = nr * (size_t)DDFS_BLOCK_BYTES;
	int err;

	if (nr > DDFS_METADUMP_RUN_MAX || start >= rd->limit || nr > rd->limit - start)
		return -EBADMSG;
	err = expand(rd, rd->blocks, len);
	if (err)
		return err;
	if (ddfs_crc32c(DDFS_METADUMP_SEED, rd->blocks, len) != ddfs_le32(run->crc))
		return -EBADMSG;
	rd->crc = ddfs_crc32c(rd->crc, run, sizeof(*run));
	rd->nr_blocks += nr;
	return rd->r->run(rd->r->arg, start, nr, rd->blocks);
}

static int read_runs(struct reader *rd)
{
	struct ddfs_metadump_run run;
	int err;

	for (;;) {
		err = expand(rd, &run, sizeof(run));
		if (err)
			return err;
		if (!ddfs_le32(run.nr))
			break;
		err = read_run(rd, &run);
		if (err)
			return err;
	}
	if (ddfs_le64(run.start) != rd->nr_blocks || ddfs_le32(run.crc) != rd->crc)
		return -EBADMSG;
	return check_over(rd);
}

static int read_head(struct reader *rd)
{
	struct ddfs_metadump_head h;
	ssize_t n = load(rd->fd, &h, sizeof(h));

	if (n < 0)
		return (int)n;
	if (n < (ssize_t)sizeof(h) || ddfs_le64(h.magic) != DDFS_METADUMP_MAGIC)
		return -EINVAL;
	if (ddfs_le32(h.version) != DDFS_METADUMP_VERSION)
		return -EOPNOTSUPP;
	if (!ddfs_csum_holds(DDFS_METADUMP_SEED, 0, &h, sizeof(h)) ||
		ddfs_le32(h.block_bytes) != DDFS_BLOCK_BYTES)
		return -EBADMSG;
	rd->limit = ddfs_le64(h.device_bytes) / DDFS_BLOCK_BYTES;
	return rd->r->head(rd->r->arg, &h);
}

int ddfs_metadump_read(int fd, const struct ddfs_metadump_reading *r)
{
	struct reader *rd = calloc(1, sizeof(*rd));
	int err = -ENOMEM;

	if (rd)
		rd->zstd = ZSTD_createDCtx();
	if (rd && rd->zstd) {
		rd->fd = fd;
		rd->r = r;
		rd->crc = DDFS_METADUMP_SEED;
		err = read_head(rd);
		if (!err)
			err = read_runs(rd);
	}
	if (rd)
		ZSTD_freeDCtx(rd->zstd);
	free(rd);
	return err;
}
