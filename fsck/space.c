/* SPDX-License-Identifier: BSD-3-Clause */
/* Pass 5: the bitmaps and the counts, against what inodes have. */
#include <string.h>

#include "fsck/passes.h"
#include "fsck/state.h"
#include "fsck/work.h"

#define WORDS (DDFS_CHUNK_BLOCKS / 64)

struct group {
	struct fsck *f;
	uint32_t nr;
	uint64_t first, end; /* chunks */
	uint64_t nr_free;
	bool unknown; /* of some chunk, what is used */
};

/* ---- chunks --------------------------------------------------------------------------------- */

/* Blocks of the word that are fixed structures. */
static uint64_t fixed_bits(const struct ddfs_image *img, uint64_t word)
{
	uint64_t blk = word * 64;

	if (blk < img->data_block)
		return ~UINT64_C(0);
	if (blk + 64 <= img->end_block)
		return 0;
	return blk >= img->end_block ? ~UINT64_C(0) : ~UINT64_C(0) << (img->end_block - blk);
}

static void say_run(struct fsck *f, uint64_t from, uint64_t to, bool used)
{
	if (to - from == 1)
		fsck_problem(f, true,
			used ? "block %llu is marked as used, and belongs to nobody"
			     : "block %llu is marked as free, and belongs to somebody",
			(unsigned long long)from);
	else
		fsck_problem(f, true,
			used ? "blocks %llu to %llu are marked as used, and belong to nobody"
			     : "blocks %llu to %llu are marked as free, and belong to somebody",
			(unsigned long long)from, (unsigned long long)to - 1);
	fsck_whole_flag(f, FSCK_WHOLE_BITMAP);
}

static bool bit(const uint64_t map[WORDS], unsigned int i)
{
	return i < DDFS_CHUNK_BLOCKS && map[i / 64] >> (i % 64) & 1;
}

/* Runs of blocks that are all wrong in the same way. */
static void say_wrong(
	struct fsck *f, uint64_t chunk, const uint64_t wrong[WORDS], const uint64_t used[WORDS])
{
	unsigned int from = 0, i;

	for (i = 0; i <= DDFS_CHUNK_BLOCKS; i++) {
		if (from < i && (!bit(wrong, i) || bit(used, i) != bit(used, from)))
			say_run(f, chunk * DDFS_CHUNK_BLOCKS + from, chunk * DDFS_CHUNK_BLOCKS + i,
				bit(used, from));
		else if (bit(wrong, i))
			continue;
		from = bit(wrong, i) ? i : i + 1;
	}
}

static void compare(struct group *g, uint64_t chunk, const uint64_t used[WORDS])
{
	bool unsure = g->f->whole & FSCK_WHOLE_UNSURE;
	uint64_t wrong[WORDS], any = 0;

	for (unsigned int i = 0; i < WORDS; i++) {
		uint64_t word = chunk * WORDS + i;
		uint64_t owned = atomic_load_explicit(&g->f->claimed[word], memory_order_relaxed) |
				 fixed_bits(&g->f->img, word);

		/* An owner that is not known may own what nobody seems to. */
		wrong[i] = (used[i] ^ owned) & (unsure ? owned : ~UINT64_C(0));
		any |= wrong[i];
		g->nr_free += (unsigned int)__builtin_popcountll(~used[i]);
	}
	if (any)
		say_wrong(g->f, chunk, wrong, used);
}

/* False: what is used can't be told. */
static bool read_chunk(struct group *g, uint64_t chunk, uint64_t used[WORDS])
{
	const struct ddfs_image *img = &g->f->img;
	uint64_t off = ddfs_le64(img->super.chunk_table_off) + chunk * sizeof(struct ddfs_chunk);
	struct ddfs_chunk c;

	if (ddfs_image_read(img, off, &c, sizeof(c))) {
		fsck_problem(g->f, false, "the bitmap of chunk %llu can't be read",
			(unsigned long long)chunk);
	} else if (!ddfs_image_sum_holds(img, off, &c, sizeof(c))) {
		fsck_problem(g->f, false, "the bitmap of chunk %llu fails its checksum",
			(unsigned long long)chunk);
	} else {
		for (unsigned int i = 0; i < WORDS; i++)
			used[i] = ddfs_le64(c.used[i]);
		return true;
	}
	fsck_whole_flag(g->f, FSCK_WHOLE_BITMAP);
	g->unknown = true;
	return false;
}

static void check_chunks(struct group *g, uint64_t nr_init)
{
	uint64_t used[WORDS];

	for (uint64_t c = g->first; c < g->end && !fsck_is_ending(g->f); c++) {
		if (c < g->first + nr_init) {
			if (!read_chunk(g, c, used))
				continue;
		} else {
			/* one that the table does not have yet */
			for (unsigned int i = 0; i < WORDS; i++)
				used[i] = fixed_bits(&g->f->img, c * WORDS + i);
		}
		compare(g, c, used);
	}
}

/* ---- groups --------------------------------------------------------------------------------- */

static const char *desc_fault(
	const struct group *g, uint64_t off, const struct ddfs_group_desc *d, bool readable)
{
	if (!readable)
		return "can't be read";
	if (!ddfs_image_sum_holds(&g->f->img, off, d, sizeof(*d)))
		return "fails its checksum";
	if (ddfs_le32(d->nr_init) > g->end - g->first)
		return "has more bitmaps than chunks";
	return NULL;
}

static void check_group(struct group *g)
{
	uint64_t off = DDFS_GROUP_TABLE_OFF + g->nr * sizeof(struct ddfs_group_desc);
	bool clean = ddfs_le32(g->f->img.super.state) == DDFS_STATE_CLEAN;
	struct ddfs_group_desc d;
	const char *fault =
		desc_fault(g, off, &d, !ddfs_image_read(&g->f->img, off, &d, sizeof(d)));

	if (fault) {
		fsck_problem(g->f, false, "the descriptor of group %u %s", g->nr, fault);
		fsck_whole_flag(g->f, FSCK_WHOLE_GROUP);
		return;
	}
	check_chunks(g, ddfs_le32(d.nr_init));
	if (!clean || g->unknown || ddfs_le64(d.nr_free) == g->nr_free)
		return;
	fsck_problem(g->f, true, "group %u: nr_free is %llu, and it has %llu", g->nr,
		(unsigned long long)ddfs_le64(d.nr_free), (unsigned long long)g->nr_free);
	fsck_whole_flag(g->f, FSCK_WHOLE_COUNT);
}

static void check_groups(struct fsck *f, uint64_t from, uint64_t to)
{
	uint64_t per = ddfs_le32(f->img.super.group_chunks), nr_free = 0;

	for (uint64_t i = from; i < to; i++) {
		struct group g = { .f = f, .nr = (uint32_t)i, .first = i * per };

		g.end = g.first + per < f->img.nr_chunks ? g.first + per : f->img.nr_chunks;
		check_group(&g);
		nr_free += g.nr_free;
	}
	pthread_mutex_lock(&f->say_lock);
	f->out->nr_free += nr_free;
	pthread_mutex_unlock(&f->say_lock);
}

int fsck_check_space(struct fsck *f)
{
	return fsck_work(f, 5, ddfs_le32(f->img.super.nr_groups), 1, check_groups);
}

/* ---- inodes --------------------------------------------------------------------------------- */

static void say_count(struct fsck *f, const char *what, uint64_t is, uint64_t has)
{
	fsck_problem(f, true, "%s is %llu, and should be %llu", what, (unsigned long long)is,
		(unsigned long long)has);
	fsck_whole_flag(f, FSCK_WHOLE_COUNT);
}

void fsck_check_counts(struct fsck *f)
{
	const struct ddfs_super *s = &f->img.super;
	uint32_t first = ddfs_le32(s->first_free_inode), ino = DDFS_INO_FIRST;

	/* A slot that fails its checksum counts as in use. */
	while (ino < f->img.nr_slots &&
		(f->inode[ino].type || fsck_inode_has(f, ino, FSCK_SLOT_BAD)))
		ino++;
	if (ddfs_le32(s->state) != DDFS_STATE_CLEAN || f->whole & FSCK_WHOLE_UNSURE)
		return;
	if (ddfs_le32(s->nr_used_inodes) != f->out->nr_inodes)
		say_count(f, "nr_used_inodes", ddfs_le32(s->nr_used_inodes), f->out->nr_inodes);
	if (first > ino && ino < f->img.nr_slots)
		say_count(f, "first_free_inode", first, ino);
}
