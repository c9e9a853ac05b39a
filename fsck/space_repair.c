/* SPDX-License-Identifier: BSD-3-Clause */
/* Bitmaps and group descriptors, from what is claimed. */
#include <errno.h>
#include <string.h>

#include "fsck/repair_priv.h"

struct group {
	uint64_t first, last; /* chunks */
	uint64_t off;	      /* of the descriptor */
	struct ddfs_group_desc desc;
	bool holds;
};

static struct group group_get(const struct fsck_repair *r, uint32_t nr)
{
	const struct ddfs_image *img = r->img;
	uint64_t per = ddfs_le32(img->super.group_chunks);
	struct group g = { .first = nr * per, .last = (nr + 1) * per };

	if (g.last > img->nr_chunks)
		g.last = img->nr_chunks;
	g.off = DDFS_GROUP_TABLE_OFF + nr * sizeof(g.desc);
	g.holds = !ddfs_image_read(img, g.off, &g.desc, sizeof(g.desc)) &&
		  ddfs_image_sum_holds(img, g.off, &g.desc, sizeof(g.desc)) &&
		  ddfs_le32(g.desc.nr_init) <= g.last - g.first;
	if (!g.holds)
		memset(&g.desc, 0, sizeof(g.desc));
	return g;
}

/* ---- what is in use ------------------------------------------------------------------------- */

/* Of block 64 * i and the 63 behind it. */
static uint64_t claimed_word(const struct fsck_repair *r, uint64_t i)
{
	const struct ddfs_image *img = r->img;
	uint64_t word = r->f->claimed[i] | (r->taken ? r->taken[i] : 0);

	for (unsigned int b = 0; b < 64; b++)
		if (i * 64 + b < img->data_block || i * 64 + b >= img->end_block)
			word |= UINT64_C(1) << b;
	return word;
}

static uint64_t inner_word(const struct fsck_repair *r, uint64_t i)
{
	bool inside = i * 64 >= r->img->data_block && (i + 1) * 64 <= r->img->end_block;

	return inside ? r->f->claimed[i] | (r->taken ? r->taken[i] : 0) : claimed_word(r, i);
}

static struct ddfs_chunk chunk_wanted(
	const struct fsck_repair *r, uint64_t chunk, uint64_t *nr_used)
{
	struct ddfs_chunk c = { 0 };

	for (unsigned int i = 0; i < 8; i++) {
		uint64_t word = inner_word(r, chunk * 8 + i);

		c.used[i] = ddfs_to64(word);
		*nr_used += (unsigned int)__builtin_popcountll(word);
	}
	return c;
}

/* Whether any block is in use that an unwritten entry does not have as such. */
static bool needs_entry(const struct fsck_repair *r, uint64_t chunk)
{
	uint64_t first = chunk * DDFS_CHUNK_BLOCKS / 64;

	for (uint64_t i = first; i < first + DDFS_CHUNK_BLOCKS / 64; i++)
		if (r->f->claimed[i] | (r->taken ? r->taken[i] : 0))
			return true;
	return false;
}

/* ---- repairs -------------------------------------------------------------------------------- */

/* A fixed block that can't be made readable is left as it is. */
static int store_fixed(struct fsck_repair *r, uint64_t off, void *p, size_t len)
{
	int err = fsck_fixed_store(r, off, p, len);

	return err == -ENODATA ? 0 : err;
}

static int repair_chunk(struct fsck_repair *r, uint64_t chunk, uint64_t *nr_used)
{
	struct ddfs_chunk want = chunk_wanted(r, chunk, nr_used), now;
	uint64_t off = ddfs_le64(r->img->super.chunk_table_off) + chunk * sizeof(want);

	if (!ddfs_image_read(r->img, off, &now, sizeof(now)) &&
		ddfs_image_sum_holds(r->img, off, &now, sizeof(now)) && !ddfs_le32(now.flags) &&
		memcmp(now.used, want.used, sizeof(now.used)) == 0)
		return 0;
	return store_fixed(r, off, &want, sizeof(want));
}

static uint64_t nr_to_init(const struct fsck_repair *r, const struct group *g)
{
	uint64_t nr = g->last - g->first;

	while (nr > ddfs_le32(g->desc.nr_init) && !needs_entry(r, g->first + nr - 1))
		nr--;
	return nr;
}

static uint64_t nr_fixed(const struct fsck_repair *r, uint64_t chunk)
{
	uint64_t nr = 0, data = r->img->data_block / DDFS_CHUNK_BLOCKS;

	if (chunk < data)
		nr = DDFS_CHUNK_BLOCKS;
	else if (chunk + 1 == r->img->nr_chunks)
		nr = r->img->nr_blocks - r->img->end_block;
	return nr;
}

/* Entries first: those behind nr_init mean nothing until it counts them. */
static int repair_group(struct fsck_repair *r, struct group *g)
{
	uint64_t nr_init = nr_to_init(r, g), nr_used = 0;
	struct ddfs_group_desc want = { 0 };
	int err = 0;

	for (uint64_t c = g->first; c < g->last && !err; c++) {
		if (c - g->first < nr_init)
			err = repair_chunk(r, c, &nr_used);
		else
			nr_used += nr_fixed(r, c);
	}
	if (err)
		return err;
	want.nr_init = ddfs_to32((uint32_t)nr_init);
	want.nr_free = ddfs_to64((g->last - g->first) * DDFS_CHUNK_BLOCKS - nr_used);
	if (g->holds && want.nr_init.raw == g->desc.nr_init.raw &&
		want.nr_free.raw == g->desc.nr_free.raw)
		return 0;
	err = fsck_drain(r);
	return err ? err : store_fixed(r, g->off, &want, sizeof(want));
}

int fsck_space_repair(struct fsck_repair *r)
{
	struct fsck *f = r->f;
	bool wrong = f->whole & (FSCK_WHOLE_GROUP | FSCK_WHOLE_BITMAP | FSCK_WHOLE_COUNT |
					FSCK_WHOLE_PINS | FSCK_WHOLE_BAD | FSCK_WHOLE_PAGEMAP);
	/* What is damaged, and was not repaired, keeps its blocks. */
	int err = f->whole & FSCK_WHOLE_UNSURE ? fsck_taken_collect(r) : 0;

	if (err || !wrong || !fsck_may(f, FSCK_KIND_SPACE, "Correct bitmaps, counts and tables?"))
		return err;
	for (uint32_t i = 0; i < ddfs_le32(r->img->super.nr_groups); i++) {
		struct group g = group_get(r, i);

		err = repair_group(r, &g);
		if (err)
			return err;
	}
	err = fsck_pins_repair(r);
	if (!err)
		err = fsck_bad_repair(r);
	/* The superblock's counts, and the page map, mean something when it is clean alone. */
	if (!err && f->whole & (FSCK_WHOLE_COUNT | FSCK_WHOLE_PAGEMAP) && !f->marked) {
		r->changed = true;
		err = fsck_mark(r);
	}
	return err ? err : fsck_drain(r);
}

int fsck_counts_store(struct fsck_repair *r)
{
	struct fsck *f = r->f;
	uint32_t nr_used = 0, first_free = 0;

	for (uint32_t i = 0; i < ddfs_le32(r->img->super.nr_groups); i++) {
		struct group g = group_get(r, i);
		int err = repair_group(r, &g);

		if (err)
			return err;
	}
	for (uint32_t ino = DDFS_INO_FIRST; ino < r->img->nr_slots; ino++) {
		nr_used += f->inode[ino].type != 0;
		if (!f->inode[ino].type && !first_free)
			first_free = ino;
	}
	r->img->super.nr_used_inodes = ddfs_to32(nr_used);
	r->img->super.first_free_inode =
		ddfs_to32(first_free			      ? first_free
			  : r->img->nr_slots > DDFS_INO_FIRST ? r->img->nr_slots
							      : DDFS_INO_FIRST);
	return fsck_drain(r);
}
