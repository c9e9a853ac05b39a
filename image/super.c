/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/super.h"

#include <errno.h>
#include <string.h>

#include "fs/csum.h"
#include "fs/media.h"
#include "image/image.h"

#define SUPER_SEED 0x64646673u
#define MIN_BYTES  (UINT64_C(16) << 20)
#define MAX_BYTES  (UINT64_C(16) << 40)

static enum ddfs_image_copy read_copy(
	const struct ddfs_image *img, uint64_t off, struct ddfs_super *out)
{
	if (off > img->media->size || img->media->size - off < sizeof(*out))
		return DDFS_COPY_ABSENT;
	if (ddfs_image_read(img, off, out, sizeof(*out)))
		return DDFS_COPY_UNREADABLE;
	if (ddfs_le64(out->magic) != DDFS_SUPER_MAGIC ||
		!ddfs_csum_holds(SUPER_SEED, off, out, sizeof(*out)))
		return DDFS_COPY_BAD;
	return DDFS_COPY_GOOD;
}

/* bytes: of the device, by the first copy or, if that does not hold, by its size. */
static enum ddfs_image_copy read_second(
	const struct ddfs_image *img, uint64_t bytes, struct ddfs_super *out)
{
	enum ddfs_image_copy c;

	if (bytes < MIN_BYTES)
		return DDFS_COPY_ABSENT;
	c = read_copy(img, bytes - sizeof(*out), out);
	return c == DDFS_COPY_GOOD && ddfs_le64(out->device_bytes) != bytes ? DDFS_COPY_BAD : c;
}

static int choose(struct ddfs_image *img)
{
	uint64_t bytes = img->media->size & ~(uint64_t)(DDFS_CHUNK_BYTES - 1);
	struct ddfs_super first, second;
	bool a, b;

	img->super_copy[0] = read_copy(img, DDFS_SUPER_OFF, &first);
	a = img->super_copy[0] == DDFS_COPY_GOOD;
	img->super_copy[1] = read_second(img, a ? ddfs_le64(first.device_bytes) : bytes, &second);
	b = img->super_copy[1] == DDFS_COPY_GOOD;
	if (!a && !b)
		return -EUCLEAN;
	img->super = !a || (b && ddfs_le64(second.seq) > ddfs_le64(first.seq)) ? second : first;
	return 0;
}

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static bool sizes_hold(const struct ddfs_super *s)
{
	uint64_t bytes = ddfs_le64(s->device_bytes), chunks = bytes / DDFS_CHUNK_BYTES;
	uint64_t per = ddfs_le32(s->group_chunks), unit = ddfs_le64(s->dax_unit_bytes);
	uint32_t groups = ddfs_le32(s->nr_groups), lanes = ddfs_le32(s->nr_lanes);

	return ddfs_le32(s->block_bytes) == DDFS_BLOCK_BYTES &&
	       ddfs_le32(s->chunk_bytes) == DDFS_CHUNK_BYTES &&
	       ddfs_le32(s->inode_bytes) == DDFS_INODE_BYTES &&
	       ddfs_le32(s->lane_bytes) == DDFS_LANE_BYTES && bytes >= MIN_BYTES &&
	       bytes <= MAX_BYTES && bytes % DDFS_CHUNK_BYTES == 0 && lanes &&
	       lanes <= DDFS_MAX_LANES && groups && groups <= DDFS_MAX_GROUPS &&
	       is_power_of_two(per) && groups * per >= chunks && (groups - 1) * per < chunks &&
	       is_power_of_two(unit) && unit >= DDFS_BLOCK_BYTES && unit <= bytes &&
	       ddfs_le32(s->sole_root_block) <= 2;
}

/* A region from off on, aligned, behind what ends at *end and not behind limit; moves *end. */
static bool follows(uint64_t *end, uint64_t off, uint64_t len, uint64_t align, uint64_t limit)
{
	if (off < *end || off % align || off > limit || len > limit - off)
		return false;
	*end = off + len;
	return true;
}

/* None, or with a count for every block. */
static bool pagemap_holds(const struct ddfs_super *s, uint64_t *end)
{
	uint64_t off = ddfs_le64(s->pagemap_off), bytes = ddfs_le64(s->pagemap_bytes);

	if (!(ddfs_le64(s->feature_compat) & DDFS_COMPAT_PAGEMAP_ON_DEVICE))
		return !off && !bytes;
	return bytes % DDFS_BLOCK_BYTES == 0 && bytes >= ddfs_le64(s->device_bytes) / 1024 &&
	       follows(end, off, bytes, DDFS_BLOCK_BYTES, ddfs_le64(s->data_off));
}

static bool regions_hold(const struct ddfs_super *s)
{
	uint64_t bytes = ddfs_le64(s->device_bytes), data = ddfs_le64(s->data_off);
	uint64_t pins_bytes = ddfs_le64(s->pins_bytes);
	uint64_t end =
		DDFS_GROUP_TABLE_OFF + ddfs_le32(s->nr_groups) * sizeof(struct ddfs_group_desc);

	return data < bytes && data % DDFS_CHUNK_BYTES == 0 &&
	       follows(&end, ddfs_le64(s->lanes_off),
		       ddfs_le32(s->nr_lanes) * (uint64_t)DDFS_LANE_BYTES, DDFS_BLOCK_BYTES,
		       data) &&
	       follows(&end, ddfs_le64(s->chunk_table_off),
		       bytes / DDFS_CHUNK_BYTES * sizeof(struct ddfs_chunk), DDFS_BLOCK_BYTES,
		       data) &&
	       pagemap_holds(s, &end) && pins_bytes && pins_bytes <= DDFS_PINS_BYTES_MAX &&
	       pins_bytes % DDFS_BLOCK_BYTES == 0 &&
	       follows(&end, ddfs_le64(s->pins_off), pins_bytes, DDFS_BLOCK_BYTES, data) &&
	       ddfs_le64(s->bad_bytes) == DDFS_BAD_BYTES &&
	       follows(&end, ddfs_le64(s->bad_off), DDFS_BAD_BYTES, DDFS_BLOCK_BYTES, data);
}

int ddfs_image_super_open(struct ddfs_image *img)
{
	const struct ddfs_super *s = &img->super;
	int err = choose(img);

	if (err)
		return err;
	if (ddfs_le32(s->version) != DDFS_VERSION_MEDIA ||
		ddfs_le64(s->feature_incompat) & ~DDFS_INCOMPAT_KNOWN)
		return -EOPNOTSUPP;
	if (!sizes_hold(s) || !regions_hold(s))
		return -EUCLEAN;
	if (ddfs_le64(s->device_bytes) > img->media->size)
		return -EFBIG;
	img->seed = ddfs_le32(s->csum_seed);
	img->nr_blocks = ddfs_le64(s->device_bytes) / DDFS_BLOCK_BYTES;
	img->nr_chunks = ddfs_le64(s->device_bytes) / DDFS_CHUNK_BYTES;
	img->data_block = ddfs_le64(s->data_off) / DDFS_BLOCK_BYTES;
	img->end_block = img->nr_blocks - 2;
	return 0;
}
