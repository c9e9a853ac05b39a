/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

/* Inode numbers have 32 bits. */
#define MAX_TABLE_BLOCKS (UINT32_MAX / DDFS_INODES_PER_BLOCK)

static enum ddfs_image_copy read_copy(
	const struct ddfs_image *img, uint64_t off, struct ddfs_inode_disk *out)
{
	if (ddfs_image_read(img, off, out, sizeof(*out)))
		return DDFS_COPY_UNREADABLE;
	return ddfs_image_sum_holds(img, off, out, sizeof(*out)) ? DDFS_COPY_GOOD : DDFS_COPY_BAD;
}

/* Rather one whose checksum fails than none: the nodes that it leads to have their own. */
static void choose_copy(struct ddfs_image *img)
{
	const uint64_t off[2] = { DDFS_ROOT_BLOCK_OFF, img->end_block * DDFS_BLOCK_BYTES };
	uint32_t sole = ddfs_le32(img->super.sole_root_block);
	enum ddfs_image_copy best = DDFS_COPY_ABSENT;
	struct ddfs_inode_disk di;

	for (unsigned int i = 0; i < 2; i++) {
		enum ddfs_image_copy *c = &img->root_copy[i];

		*c = DDFS_COPY_ABSENT;
		if (sole && sole != i + 1)
			continue;
		*c = read_copy(img, off[i], &di);
		if (*c < best && *c != DDFS_COPY_UNREADABLE) {
			img->table = di;
			best = *c;
		}
	}
}

/* A walk over the table's map: first how long it is, then what it maps. */
struct map {
	uint64_t limit; /* blocks that the inode says it has */
	uint64_t nr;
	uint64_t *blks; /* NULL the first time */
};

static int note_extent(void *arg, const struct ddfs_extent *e)
{
	uint64_t lblk = ddfs_le32(e->lblk), start = ddfs_le64(e->start);
	uint64_t end = lblk + ddfs_le32(e->len);
	struct map *m = arg;

	if (end > m->limit)
		end = m->limit;
	if (start & DDFS_EXTENT_UNWRITTEN || lblk >= end)
		return 0;
	if (!m->blks)
		m->nr = end;
	else
		for (uint64_t i = lblk; i < end; i++)
			m->blks[i] = start + (i - lblk);
	return 0;
}

int ddfs_image_table_open(struct ddfs_image *img)
{
	struct map m = { .limit = MAX_TABLE_BLOCKS };
	struct ddfs_image_walk walk = { .arg = &m, .extent = note_extent };
	uint64_t nr;

	choose_copy(img);
	/* It has no holes, so no more blocks than there are. */
	if (img->end_block - img->data_block < m.limit)
		m.limit = img->end_block - img->data_block;
	nr = ddfs_le64(img->table.size) / DDFS_BLOCK_BYTES;
	if (nr < m.limit)
		m.limit = nr;
	ddfs_image_walk_extents(img, &img->table, &walk);
	if (!m.nr)
		return 0;
	m.blks = calloc(m.nr, sizeof(*m.blks));
	if (!m.blks)
		return -ENOMEM;
	ddfs_image_walk_extents(img, &img->table, &walk);
	img->table_blks = m.blks;
	img->nr_slots = (uint32_t)m.nr * DDFS_INODES_PER_BLOCK;
	return 0;
}
