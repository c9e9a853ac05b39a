/* SPDX-License-Identifier: BSD-3-Clause */
/* What is bad, and whose it is, for who asks. */
#include <stdlib.h>

#include "fs/alloc_priv.h"
#include "fs/bad.h"
#include "fs/core.h"

static void add(struct ddfs_bad_told *t, struct ddfs_bad_range piece)
{
	if (t->nr == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct ddfs_bad_range *p = realloc(t->piece, cap * sizeof(*p));

		if (!p) {
			t->error = -ENOMEM;
			return;
		}
		t->piece = p;
		t->cap = cap;
	}
	t->piece[t->nr++] = piece;
}

/* What of piece i is outside of [from, to) becomes pieces of its own. */
static void cut_piece(struct ddfs_bad_told *t, size_t i, uint64_t from, uint64_t to)
{
	struct ddfs_bad_range piece = t->piece[i], rest = piece;
	uint64_t end = piece.device_off + piece.len;

	if (to < end) {
		rest.device_off = to;
		rest.len = end - to;
		add(t, rest);
	}
	if (from > piece.device_off) {
		rest.device_off = piece.device_off;
		rest.len = from - piece.device_off;
		add(t, rest);
	} else {
		from = piece.device_off;
	}
	t->piece[i].device_off = from;
	t->piece[i].len = (to < end ? to : end) - from;
}

void ddfs_bad_claim(
	struct ddfs_bad_told *t, struct ddfs_range r, const struct ddfs_bad_range *owner)
{
	uint64_t from = ddfs_block_off(r.start), to = from + ddfs_block_off(r.len);

	for (size_t i = 0; i < t->nr; i++) {
		struct ddfs_bad_range *p = &t->piece[i];

		if (p->kind != DDFS_BAD_UNKNOWN || p->device_off >= to ||
			p->device_off + p->len <= from)
			continue;
		cut_piece(t, i, from, to);
		p = &t->piece[i];
		p->kind = owner->kind;
		p->id = owner->id;
		p->off = owner->kind == DDFS_BAD_DATA ? owner->off + (p->device_off - from) : 0;
	}
}

/* The runs from byte `after` on; more of them than max are not asked for. */
static void load(struct ddfs_fs *fs, struct ddfs_bad_told *t, uint64_t after, uint32_t max)
{
	struct ddfs_rangeset *known = &fs->bad.known;

	pthread_mutex_lock(&fs->bad.lock);
	for (size_t i = 0; i < known->nr && t->nr < max; i++) {
		uint64_t from = ddfs_block_off(known->run[i].start);
		uint64_t to = from + ddfs_block_off(known->run[i].len);

		if (from < after)
			from = after;
		if (from < to)
			add(t, (struct ddfs_bad_range){ .device_off = from,
				       .len = to - from,
				       .kind = DDFS_BAD_UNKNOWN,
				       .since = known->run[i].since });
	}
	pthread_mutex_unlock(&fs->bad.lock);
}

static void claim_fixed(struct ddfs_fs *fs, struct ddfs_bad_told *t)
{
	struct ddfs_bad_range fixed = { .kind = DDFS_BAD_FIXED };

	ddfs_bad_claim(t, (struct ddfs_range){ 0, fs->data_block }, &fixed);
	ddfs_bad_claim(
		t, (struct ddfs_range){ fs->end_block, fs->nr_blocks - fs->end_block }, &fixed);
}

static void claim_kept(struct ddfs_fs *fs, struct ddfs_bad_told *t)
{
	struct ddfs_bad_range kept = { .kind = DDFS_BAD_FREE };
	const struct ddfs_rangeset *s = &fs->bad.kept;

	pthread_mutex_lock(&fs->bad.lock);
	for (size_t i = 0; i < s->nr; i++)
		ddfs_bad_claim(t, (struct ddfs_range){ s->run[i].start, s->run[i].len }, &kept);
	pthread_mutex_unlock(&fs->bad.lock);
}

/* A mount that does not write keeps none; and what was just noted is not kept yet. */
static void claim_free(struct ddfs_fs *fs, struct ddfs_bad_told *t)
{
	struct ddfs_bad_range free = { .kind = DDFS_BAD_FREE };

	for (size_t i = 0; i < t->nr; i++) {
		uint64_t first = t->piece[i].device_off >> DDFS_BLOCK_SHIFT;
		uint64_t nr = t->piece[i].len >> DDFS_BLOCK_SHIFT;

		for (uint64_t n = 0; n < nr && t->piece[i].kind == DDFS_BAD_UNKNOWN; n++)
			if (ddfs_alloc_is_free(fs, first + n))
				ddfs_bad_claim(t, (struct ddfs_range){ first + n, 1 }, &free);
	}
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = ((const struct ddfs_bad_range *)a)->device_off;
	uint64_t y = ((const struct ddfs_bad_range *)b)->device_off;

	return x < y ? -1 : x > y;
}

static bool joins(const struct ddfs_bad_range *a, const struct ddfs_bad_range *b)
{
	return a->device_off + a->len == b->device_off && a->kind == b->kind && a->id == b->id &&
	       (a->kind != DDFS_BAD_DATA || a->off + a->len == b->off);
}

/* In order, joined again where nothing keeps them apart. Returns how many. */
static uint32_t tell(struct ddfs_bad_told *t, struct ddfs_bad_range *out, uint32_t max)
{
	uint32_t nr = 0;

	if (t->nr)
		qsort(t->piece, t->nr, sizeof(*t->piece), by_place);
	for (size_t i = 0; i < t->nr; i++) {
		if (nr && joins(&out[nr - 1], &t->piece[i]))
			out[nr - 1].len += t->piece[i].len;
		else if (nr == max)
			break;
		else
			out[nr++] = t->piece[i];
	}
	return nr;
}

int ddfs_bad_list(struct ddfs_fs *fs, uint64_t after, struct ddfs_bad_range *out, uint32_t max,
	uint64_t *nr_blocks)
{
	struct ddfs_bad_told t = { 0 };
	uint32_t nr;

	*nr_blocks = ddfs_bad_count(fs);
	load(fs, &t, after, max);
	claim_fixed(fs, &t);
	claim_kept(fs, &t);
	if (t.nr)
		ddfs_bad_find_owners(fs, &t);
	claim_free(fs, &t);
	nr = t.error ? 0 : tell(&t, out, max);
	free(t.piece);
	return t.error ? t.error : (int)nr;
}
