/* SPDX-License-Identifier: BSD-3-Clause */
/* A filesystem is made on a device with bad blocks. */
#include <errno.h>

#include "fs/format.h"
#include "fs/media.h"
#include "fs/mkfs.h"

/* Ranges of the device's list that are cleared at most. */
#define NR_FOUND 64u

struct piece {
	uint64_t off, end;
};

#define NR_FIXED 2u

/* Where the fixed structures lie. */
static void find_fixed(const struct ddfs_geometry *g, struct piece fixed[NR_FIXED])
{
	fixed[0] = (struct piece){ 0, g->data_off + DDFS_MKFS_TABLE_BYTES };
	fixed[1] = (struct piece){ g->device_bytes - 2 * DDFS_BLOCK_BYTES, g->device_bytes };
}

#define NR_WRITTEN 5u

/* What of it mkfs writes as a whole: the rest is written where it is used first, and large. */
static void find_written(const struct ddfs_geometry *g, struct piece written[NR_WRITTEN])
{
	written[0] = (struct piece){ 0, g->lanes_off };
	written[1] = (struct piece){ g->pins_off, g->pins_off + DDFS_BLOCK_BYTES };
	written[2] = (struct piece){ g->bad_off, g->bad_off + g->bad_bytes };
	written[3] = (struct piece){ g->data_off, g->data_off + DDFS_MKFS_TABLE_BYTES };
	written[4] = (struct piece){ g->device_bytes - 2 * DDFS_BLOCK_BYTES, g->device_bytes };
}

/* ---- what the device lists ------------------------------------------------------------------ */

struct list {
	const struct ddfs_geometry *g;
	struct piece bad[NR_FOUND];
	unsigned int nr;
	bool full;
};

static void note(struct list *l, struct piece bad)
{
	if (bad.off >= bad.end)
		return;
	if (l->nr == NR_FOUND)
		l->full = true;
	else
		l->bad[l->nr++] = bad;
}

/* Rounded to whole blocks, and of the fixed structures alone. */
static void reported(void *arg, uint64_t off, uint64_t len)
{
	uint64_t end = (off + len + DDFS_BLOCK_BYTES - 1) / DDFS_BLOCK_BYTES * DDFS_BLOCK_BYTES;
	struct piece fixed[NR_FIXED];
	struct list *l = arg;

	off -= off % DDFS_BLOCK_BYTES;
	find_fixed(l->g, fixed);
	for (unsigned int i = 0; i < NR_FIXED; i++)
		note(l, (struct piece){ off > fixed[i].off ? off : fixed[i].off,
				end < fixed[i].end ? end : fixed[i].end });
}

static int clear_listed(struct ddfs_media *m, const struct ddfs_geometry *g)
{
	struct list l = { .g = g };
	int ret;

	/* One that keeps no list may be bad nonetheless: what can't be read comes next. */
	m->ops->bad_ranges(m, reported, &l);
	ret = l.full ? -EIO : 0;
	for (unsigned int i = 0; i < l.nr; i++)
		if (m->ops->clear_poison(m, l.bad[i].off, l.bad[i].end - l.bad[i].off))
			ret = -EIO;
	return ret;
}

/* ---- what can't be read --------------------------------------------------------------------- */

static int clear_block(struct ddfs_media *m, uint64_t off)
{
	if (!m->ops->probe(m, off, DDFS_BLOCK_BYTES))
		return 0;
	if (m->ops->clear_poison(m, off, DDFS_BLOCK_BYTES) ||
		m->ops->probe(m, off, DDFS_BLOCK_BYTES))
		return -EIO;
	return 0;
}

static int clear_piece(struct ddfs_media *m, const struct piece *p)
{
	int ret = 0;

	for (uint64_t off = p->off; off < p->end; off += DDFS_BLOCK_BYTES)
		if (clear_block(m, off))
			ret = -EIO;
	return ret;
}

int ddfs_mkfs_clear(struct ddfs_media *m, const struct ddfs_geometry *g)
{
	int ret = clear_listed(m, g);
	struct piece written[NR_WRITTEN];

	find_written(g, written);
	for (unsigned int i = 0; i < NR_WRITTEN; i++)
		if (clear_piece(m, &written[i]))
			ret = -EIO;
	return ret;
}

int ddfs_mkfs_check(struct ddfs_media *m, const struct ddfs_geometry *g)
{
	struct piece written[NR_WRITTEN];

	find_written(g, written);
	for (unsigned int i = 0; i < NR_WRITTEN; i++)
		if (m->ops->probe(m, written[i].off, written[i].end - written[i].off))
			return -EIO;
	return 0;
}
