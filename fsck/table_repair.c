/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The map of the inode table. Numbers must not shift: each slot says which it is, so a block that
 * the map has elsewhere is moved to its place, and one that is lost is looked for on the device;
 * failing that, an empty one takes its place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/media.h"
#include "fsck/repair_priv.h"

#define MAX_NUMBERS (UINT32_MAX / DDFS_INODES_PER_BLOCK) /* in blocks */
#define MIN_BLOCKS  2u					 /* the first has the fixed inodes */
#define GROW_BLOCKS 16u

/* The table's blocks, as far as they are known. */
struct table {
	struct fsck_repair *r;
	struct ddfs_inode_disk di;
	uint64_t *blk; /* 0: not known */
	uint64_t nr, cap;
	uint64_t *seen;	    /* a bit a block: the map has it */
	uint64_t nr_mapped; /* blocks of extents */
	uint64_t nr_nodes;
	uint64_t nr_faults;
	uint32_t max_gen;
	bool sure; /* the inode's checksum holds, so that its size does */
};

/* It has no holes, so no more blocks than there are. */
static uint64_t max_blocks(const struct table *t)
{
	uint64_t nr = t->r->img->end_block - t->r->img->data_block;

	return nr < MAX_NUMBERS ? nr : MAX_NUMBERS;
}

static void table_fini(struct table *t)
{
	free(t->blk);
	free(t->seen);
}

static int set_block(struct table *t, uint64_t i, uint64_t blk)
{
	if (i >= max_blocks(t))
		return 0;
	if (i >= t->cap) {
		uint64_t cap = t->cap ? t->cap * 2 : 64;
		uint64_t *b;

		while (cap <= i)
			cap *= 2;
		b = realloc(t->blk, cap * sizeof(*b));
		if (!b)
			return -ENOMEM;
		memset(b + t->cap, 0, (cap - t->cap) * sizeof(*b));
		t->blk = b;
		t->cap = cap;
	}
	t->blk[i] = blk;
	if (i >= t->nr)
		t->nr = i + 1;
	return 0;
}

/* ---- what the map says ---------------------------------------------------------------------- */

/* False: the map has it already. */
static bool see(struct table *t, uint64_t blk)
{
	bool first = !fsck_bit(t->seen, blk);

	t->seen[blk / 64] |= UINT64_C(1) << (blk % 64);
	return first;
}

static void note_node(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct table *t = arg;

	(void)n;
	see(t, blk);
	t->nr_nodes++;
}

static void note_fault(
	void *arg, enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to)
{
	struct table *t = arg;

	(void)fault;
	(void)blk;
	(void)from;
	(void)to;
	t->nr_faults++;
}

static int note_extent(void *arg, const struct ddfs_extent *e)
{
	uint64_t start = ddfs_le64(e->start), end = ddfs_le64(((struct table *)arg)->di.size);
	struct table *t = arg;
	int err = 0;

	end /= DDFS_BLOCK_BYTES;
	if (start & DDFS_EXTENT_UNWRITTEN) {
		t->nr_faults++;
		return 0;
	}
	t->nr_mapped += ddfs_le32(e->len);
	for (uint64_t i = 0; i < ddfs_le32(e->len) && !err; i++) {
		uint64_t at = ddfs_le32(e->lblk) + i;
		bool first = see(t, start + i);

		/* Rather slots that nobody asked for than some that are missed. */
		t->nr_faults += at >= end || !first;
		err = set_block(t, at, first ? start + i : 0);
	}
	return err;
}

static int read_map(struct table *t)
{
	struct ddfs_image_walk walk = {
		.arg = t, .node = note_node, .extent = note_extent, .fault = note_fault
	};
	const struct ddfs_image *img = t->r->img;
	uint64_t nr;
	int err;

	t->seen = calloc(img->nr_blocks / 64 + 1, sizeof(*t->seen));
	if (!t->seen)
		return -ENOMEM;
	t->di = img->table;
	t->sure = img->root_copy[0] == DDFS_COPY_GOOD || img->root_copy[1] == DDFS_COPY_GOOD;
	err = ddfs_image_walk_extents(img, &t->di, &walk);
	nr = ddfs_le64(t->di.size) / DDFS_BLOCK_BYTES;
	/* What is not found there is not made: see fill_holes. */
	if (!err && t->sure && nr > t->nr && nr <= max_blocks(t))
		err = set_block(t, nr - 1, 0);
	return err;
}

static bool is_readable(const struct table *t, uint64_t blk)
{
	struct ddfs_media *m = t->r->f->media;

	return !m->ops->probe(m, blk * DDFS_BLOCK_BYTES, DDFS_BLOCK_BYTES);
}

/* A block that can't be read is lost. */
static void drop_unreadable(struct table *t)
{
	for (uint64_t i = 0; i < t->nr; i++) {
		if (!t->blk[i] || is_readable(t, t->blk[i]))
			continue;
		fsck_bad_note(t->r, t->blk[i]);
		t->blk[i] = 0;
	}
}

static bool all_readable(const struct table *t)
{
	for (uint64_t i = 0; i < t->nr; i++)
		if (t->blk[i] && !is_readable(t, t->blk[i]))
			return false;
	return true;
}

static bool has_hole(const struct table *t)
{
	for (uint64_t i = 0; i < t->nr; i++)
		if (!t->blk[i])
			return true;
	return !t->nr;
}

/* ---- what the slots say --------------------------------------------------------------------- */

struct candidate {
	uint64_t index;	      /* in the table */
	unsigned int nr_used; /* slots */
	uint32_t max_gen;
};

/* Whether the block is one of the table: a slot says so, and none says otherwise. */
static bool is_of_table(const struct ddfs_image *img, uint64_t blk, struct candidate *c)
{
	struct ddfs_inode_disk di[DDFS_INODES_PER_BLOCK];
	uint64_t off = blk * DDFS_BLOCK_BYTES;
	bool found = false;

	if (ddfs_image_read(img, off, di, sizeof(di)))
		return false;
	memset(c, 0, sizeof(*c));
	for (unsigned int i = 0; i < DDFS_INODES_PER_BLOCK; i++, off += DDFS_INODE_BYTES) {
		uint32_t ino = ddfs_le32(di[i].ino), gen = ddfs_le32(di[i].gen);

		if (ddfs_le16(di[i].magic) != DDFS_INODE_MAGIC ||
			ino % DDFS_INODES_PER_BLOCK != i ||
			!ddfs_image_sum_holds(img, off, &di[i], sizeof(di[i])))
			continue;
		if (found && c->index != ino / DDFS_INODES_PER_BLOCK)
			return false;
		found = true;
		c->index = ino / DDFS_INODES_PER_BLOCK;
		c->nr_used += ddfs_le16(di[i].mode) != 0;
		c->max_gen = gen > c->max_gen ? gen : c->max_gen;
	}
	return found;
}

static bool can_have(const struct table *t, uint64_t i)
{
	return i < max_blocks(t) && (i < t->nr || !t->sure);
}

/* Where block i of the map belongs: i, unless its slots name another place, and those of the block
 * there do not. */
static uint64_t place_of(const struct table *t, uint64_t i)
{
	const struct ddfs_image *img = t->r->img;
	struct candidate c, there;

	if (!t->blk[i] || !is_of_table(img, t->blk[i], &c) || c.index == i || !can_have(t, c.index))
		return i;
	if (c.index < t->nr && t->blk[c.index] && is_of_table(img, t->blk[c.index], &there) &&
		there.index == c.index)
		return i;
	return c.index;
}

static bool has_stray(const struct table *t)
{
	for (uint64_t i = 0; i < t->nr; i++)
		if (place_of(t, i) != i)
			return true;
	return false;
}

/* With each exchange one more is where it belongs. */
static int move_strays(struct table *t)
{
	uint64_t to, blk;

	for (uint64_t i = 0; i < t->nr; i++) {
		while ((to = place_of(t, i)) != i) {
			int err = to < t->nr ? 0 : set_block(t, to, 0);

			if (err)
				return err;
			blk = t->blk[to];
			t->blk[to] = t->blk[i];
			t->blk[i] = blk;
		}
	}
	return 0;
}

static bool map_is_sound(const struct table *t)
{
	const struct ddfs_inode_disk *di = &t->di;

	return t->sure && !t->nr_faults && t->nr >= MIN_BLOCKS && !has_hole(t) && all_readable(t) &&
	       !has_stray(t) && ddfs_le16(di->magic) == DDFS_INODE_MAGIC &&
	       ddfs_le32(di->ino) == DDFS_INO_TABLE && S_ISREG(ddfs_le16(di->mode)) &&
	       ddfs_le64(di->size) == t->nr * DDFS_BLOCK_BYTES;
}

static bool count_is_right(const struct table *t)
{
	return ddfs_le64(t->di.nr_blocks) == t->nr_mapped + t->nr_nodes;
}

/* ---- the search ----------------------------------------------------------------------------- */

static bool is_better(const struct table *t, const struct candidate *c)
{
	struct candidate present;

	if (!c->nr_used || !can_have(t, c->index))
		return false;
	return c->index >= t->nr || !t->blk[c->index] ||
	       !is_of_table(t->r->img, t->blk[c->index], &present) || present.nr_used < c->nr_used;
}

/* Fills holes; what the map says is not overruled. */
static int search(struct table *t)
{
	const struct ddfs_image *img = t->r->img;
	uint64_t nr = t->nr;
	uint8_t *known = calloc(nr / 8 + 1, 1);
	struct candidate c;
	int err = known ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < nr && !err; i++)
		if (t->blk[i])
			known[i / 8] |= (uint8_t)(1u << i % 8);
	for (uint64_t blk = img->data_block; blk < img->end_block && !err; blk++) {
		if (!is_of_table(img, blk, &c))
			continue;
		t->max_gen = c.max_gen > t->max_gen ? c.max_gen : t->max_gen;
		if ((c.index < nr && known[c.index / 8] >> c.index % 8 & 1) || !is_better(t, &c))
			continue;
		err = set_block(t, c.index, blk);
	}
	free(known);
	return err;
}

/* ---- the new map ---------------------------------------------------------------------------- */

static int put_empty(struct table *t, uint64_t i)
{
	struct ddfs_media *m = t->r->f->media;
	uint64_t blk;
	int err = fsck_spare_get(t->r, &blk);

	if (!err)
		err = fsck_mark(t->r);
	if (err)
		return err;
	m->ops->set(m, blk * DDFS_BLOCK_BYTES, 0, DDFS_BLOCK_BYTES);
	t->r->changed = true;
	return set_block(t, i, blk);
}

static int fill_holes(struct table *t)
{
	int err = 0;

	while (t->nr && !t->blk[t->nr - 1])
		t->nr--;
	while (t->nr < MIN_BLOCKS && !err)
		err = put_empty(t, t->nr);
	for (uint64_t i = 0; i < t->nr && !err; i++) {
		if (t->blk[i])
			continue;
		fsck_tell(t->r, "inodes %llu to %llu are lost",
			(unsigned long long)i * DDFS_INODES_PER_BLOCK,
			(unsigned long long)(i + 1) * DDFS_INODES_PER_BLOCK - 1);
		err = put_empty(t, i);
	}
	return err;
}

static int store_map(struct table *t)
{
	struct fsck_builder b = fsck_spare_builder(t->r, NULL);
	uint32_t gen = ddfs_le32(t->di.gen);
	struct fsck_extents x = { 0 };
	int err = 0;

	if (!t->sure)
		fsck_inode_begin(&t->di, DDFS_INO_TABLE, S_IFREG | 0600, 0);
	for (uint64_t i = 0; i < t->nr && !err; i++)
		err = fsck_extents_add(&x, (uint32_t)i, 1, t->blk[i]);
	if (!err)
		err = fsck_extents_build(&x, &b, DDFS_INO_TABLE, &t->di, &t->nr_nodes);
	fsck_extents_fini(&x);
	if (err)
		return err;
	t->di.magic = ddfs_to16(DDFS_INODE_MAGIC);
	t->di.mode = ddfs_to16(S_IFREG | 0600);
	t->di.ino = ddfs_to32(DDFS_INO_TABLE);
	t->di.nlink = ddfs_to32(1);
	/* No generation of a slot that is lost is given again. */
	t->di.gen = ddfs_to32(t->sure && gen > t->max_gen ? gen : t->max_gen);
	t->di.size = ddfs_to64(t->nr * DDFS_BLOCK_BYTES);
	t->di.nr_blocks = ddfs_to64(t->nr + t->nr_nodes);
	return fsck_slot_store(t->r, DDFS_INO_TABLE, &t->di);
}

/* What the inodes found lead to is not to be used for the table; the image has the new one. */
static int use(struct table *t)
{
	struct ddfs_image *img = t->r->img;
	int err;

	free(img->table_blks);
	img->table_blks = calloc(t->nr + 1, sizeof(*img->table_blks));
	img->nr_slots = 0;
	if (!img->table_blks)
		return -ENOMEM;
	if (t->nr)
		memcpy(img->table_blks, t->blk, t->nr * sizeof(*t->blk));
	img->nr_slots = (uint32_t)t->nr * DDFS_INODES_PER_BLOCK;
	err = fsck_taken_collect(t->r);
	for (uint64_t i = 0; i < t->nr && !err; i++)
		if (t->blk[i])
			fsck_take(t->r, t->blk[i], 1);
	return err;
}

static int make_anew(struct table *t)
{
	struct fsck *f = t->r->f;
	int err;

	fsck_problem(f, false, "the inode table's own inode or map is damaged");
	if (f->opt->mode == DDFS_FSCK_PREEN ||
		!fsck_may(f, FSCK_KIND_TABLE, "Make the map of the inode table anew?"))
		return 0;
	drop_unreadable(t);
	err = move_strays(t);
	if (!err && (has_hole(t) || !t->sure))
		err = search(t);
	if (!err)
		err = use(t);
	if (!err)
		err = fill_holes(t);
	return err ? err : store_map(t);
}

static int correct_count(struct table *t)
{
	fsck_problem(t->r->f, true, "the inode table has %llu blocks, and says %llu",
		(unsigned long long)(t->nr_mapped + t->nr_nodes),
		(unsigned long long)ddfs_le64(t->di.nr_blocks));
	if (!fsck_may(t->r->f, FSCK_KIND_TABLE, "Make the map of the inode table anew?"))
		return 0;
	t->di.nr_blocks = ddfs_to64(t->nr_mapped + t->nr_nodes);
	return fsck_slot_store(t->r, DDFS_INO_TABLE, &t->di);
}

int fsck_table_repair(struct fsck_repair *r)
{
	struct table t = { .r = r };
	int err = read_map(&t);

	if (!err && !map_is_sound(&t))
		err = make_anew(&t);
	else if (!err && !count_is_right(&t))
		err = correct_count(&t);
	table_fini(&t);
	return err == -ENOSPC ? 0 : err;
}

static bool is_zero(const struct ddfs_image *img, uint64_t blk)
{
	static const uint8_t zeroes[DDFS_BLOCK_BYTES];
	uint8_t block[DDFS_BLOCK_BYTES];

	return !ddfs_image_read(img, blk * DDFS_BLOCK_BYTES, block, sizeof(block)) &&
	       memcmp(block, zeroes, sizeof(block)) == 0;
}

int64_t fsck_table_score(struct fsck_repair *r, const struct ddfs_inode_disk *di)
{
	struct ddfs_image img = *r->img;
	struct fsck_repair as = { .f = r->f, .img = &img };
	struct table t = { .r = &as };
	struct candidate c;
	int64_t score = 0;

	img.table = *di;
	if (!read_map(&t)) {
		for (uint64_t i = 0; i < t.nr; i++) {
			if (t.blk[i] && is_of_table(&img, t.blk[i], &c) && c.index == i)
				score++;
			else if (!t.blk[i] || !is_zero(&img, t.blk[i]))
				score--;
		}
		score -= !map_is_sound(&t) || !count_is_right(&t);
	}
	table_fini(&t);
	return score;
}

int fsck_table_grow(struct fsck_repair *r)
{
	struct table t = { .r = r };
	int err = read_map(&t);
	uint64_t nr = t.nr;

	for (uint64_t i = nr; i < nr + GROW_BLOCKS && !err; i++)
		err = put_empty(&t, i);
	if (err == -ENOSPC && t.nr > nr)
		err = 0;
	if (!err)
		err = store_map(&t);
	table_fini(&t);
	return err;
}
