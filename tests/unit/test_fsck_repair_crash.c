/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power cuts during a repair: at every fence, with all, none and some of the lines stored since the
 * one before. The next repair loses nothing that this one, left alone, keeps.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/repair_parts.h"
#include "tests/unit/suite.h"

#define LINE  64u
#define LINES (STAGE_SIZE / LINE)

/* Cuts at a fence that keep some of the lines. */
#define NR_SOME 4u

/* Blocks that differ from the healthy image, as a cut leaves them. */
struct cut {
	uint32_t *blk;
	uint8_t *bytes;
	size_t nr;
};

struct theatre {
	struct healed h;
	struct rng rng;
	struct ram_ear ear;
	uint8_t *durable;
	uint8_t stored[LINES]; /* since the last fence */
	uint64_t nr_stored;
	struct cut *cut;
	size_t nr_cuts, cap_cuts;
};

/* ---- cuts ----------------------------------------------------------------------------------- */

enum which { NONE, ALL, SOME };

static bool survives(struct theatre *t, enum which which)
{
	return which == ALL || (which == SOME && rng_below(&t->rng, 2));
}

static void block_after(struct theatre *t, size_t blk, enum which which, uint8_t *out)
{
	for (unsigned int i = 0; i < 4096 / LINE; i++) {
		size_t line = blk * (4096 / LINE) + i;
		bool now = t->stored[line] && survives(t, which);
		const uint8_t *from = now ? t->h.r.writable : t->durable;

		memcpy(out + i * LINE, from + line * LINE, LINE);
	}
}

static void take_cut(struct theatre *t, enum which which)
{
	struct cut c = { 0 };

	for (size_t b = 0; b < STAGE_SIZE / 4096; b++)
		c.nr += t->h.dirty[b];
	c.blk = malloc(c.nr * sizeof(*c.blk));
	c.bytes = malloc(c.nr * 4096);
	c.nr = 0;
	for (size_t b = 0; b < STAGE_SIZE / 4096; b++) {
		if (!t->h.dirty[b])
			continue;
		block_after(t, b, which, c.bytes + c.nr * 4096);
		c.blk[c.nr++] = (uint32_t)b;
	}
	if (t->nr_cuts == t->cap_cuts) {
		t->cap_cuts = t->cap_cuts ? t->cap_cuts * 2 : 64;
		t->cut = realloc(t->cut, t->cap_cuts * sizeof(*t->cut));
	}
	t->cut[t->nr_cuts++] = c;
}

static void on_store(void *arg, uint64_t off, size_t len)
{
	struct theatre *t = arg;

	t->h.ear.store(&t->h, off, len);
	t->nr_stored++;
	for (uint64_t l = off / LINE; l <= (off + len - 1) / LINE; l++)
		t->stored[l] = 1;
}

static void on_drain(void *arg)
{
	struct theatre *t = arg;

	if (!t->nr_stored)
		return;
	for (unsigned int i = NONE; i < SOME + NR_SOME; i++)
		take_cut(t, i < SOME ? i : SOME);
	for (size_t l = 0; l < LINES; l++)
		if (t->stored[l])
			memcpy(t->durable + l * LINE, t->h.r.writable + l * LINE, LINE);
	memset(t->stored, 0, sizeof(t->stored));
	t->nr_stored = 0;
}

static void apply(struct theatre *t, const struct cut *c)
{
	for (size_t i = 0; i < c->nr; i++) {
		memcpy(t->h.r.writable + c->blk[i] * UINT64_C(4096), c->bytes + i * 4096, 4096);
		t->h.dirty[c->blk[i]] = 1;
	}
}

static void forget_cuts(struct theatre *t)
{
	for (size_t i = 0; i < t->nr_cuts; i++) {
		free(t->cut[i].blk);
		free(t->cut[i].bytes);
	}
	t->nr_cuts = 0;
}

/* ---- the test ------------------------------------------------------------------------------- */

/* What a repair that was not interrupted kept is kept. */
static void compare(struct theatre *t, const struct seen_inode *kept, const char *what)
{
	for (uint32_t ino = 1; ino < HEALED_INODES; ino++) {
		const struct seen_inode *now = &t->h.after[ino];

		if (!kept[ino].hash || !t->h.before[ino].hash)
			continue;
		ck_assert_msg(now->hash, "%s: inode %u is lost", what, ino);
		ck_assert_msg(
			kept[ino].hash != t->h.before[ino].hash || now->hash == kept[ino].hash,
			"%s: inode %u has changed", what, ino);
	}
}

/* Repairs the damaged image, listening; then each of the cuts. */
static void cut_everywhere(struct theatre *t, const char *what)
{
	struct seen_inode *kept = malloc(sizeof(t->h.after));
	struct ddfs_fsck_result r;
	char text[160];

	memcpy(t->durable, t->h.r.writable, STAGE_SIZE);
	t->h.r.ear = &t->ear;
	ck_assert_int_eq(healed_fsck(&t->h, DDFS_FSCK_YES, &r), 0);
	t->h.r.ear = &t->h.ear;
	healed_repair(&t->h, what);
	memcpy(kept, t->h.after, sizeof(t->h.after));
	for (size_t i = 0; i < t->nr_cuts; i++) {
		healed_mend(&t->h);
		apply(t, &t->cut[i]);
		snprintf(text, sizeof(text), "%s, cut %zu of %zu", what, i, t->nr_cuts);
		healed_repair(&t->h, text);
		compare(t, kept, text);
	}
	forget_cuts(t);
	healed_mend(&t->h);
	free(kept);
}

/* Some structures at once. */
static void damage(struct theatre *t)
{
	struct part at[3];
	uint64_t nr = 1 + rng_below(&t->rng, 3);

	for (uint64_t i = 0; i < nr; i++)
		at[i] = part_get(&t->h, (unsigned int)rng_below(&t->rng, NR_PARTS));
	for (uint64_t i = 0; i < nr; i++)
		part_change(&t->h, &t->rng, &at[i], (uint32_t)rng_below(&t->rng, at[i].len),
			rng_below(&t->rng, 2), 1 + (uint32_t)rng_below(&t->rng, 100));
}

static uint64_t begin(struct theatre *t)
{
	memset(t, 0, sizeof(*t));
	healed_begin(&t->h);
	t->durable = malloc(STAGE_SIZE);
	t->ear = (struct ram_ear){ on_store, on_drain, t };
	return env_number("DDFS_SEEDS", 2);
}

static void end(struct theatre *t)
{
	free(t->cut);
	free(t->durable);
	healed_end(&t->h);
	free(t);
}

#define NR_LOOPS 2

START_TEST(cut_repair)
{
	struct theatre *t = malloc(sizeof(*t));
	uint64_t nr = begin(t);
	char what[80];

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t seed = env_number("DDFS_SEED", 1) + (uint64_t)_i * nr + i;

		rng_seed(&t->rng, seed);
		snprintf(what, sizeof(what), "seed %lu", seed);
		damage(t);
		cut_everywhere(t, what);
	}
	end(t);
}
END_TEST

/* The head of one structure is lost. */
START_TEST(cut_repair_of_part)
{
	struct theatre *t = malloc(sizeof(*t));
	struct part at;
	char what[80];

	begin(t);
	rng_seed(&t->rng, (uint64_t)_i + 1);
	at = part_get(&t->h, (unsigned int)_i);
	snprintf(what, sizeof(what), "kind %d", _i);
	part_change(&t->h, &t->rng, &at, 0, false, 64);
	cut_everywhere(t, what);
	end(t);
}
END_TEST

/* One superblock is lost, as a crash that tears it does: a cut must not tear the other, too. */
START_TEST(cut_repair_of_super)
{
	struct theatre *t = malloc(sizeof(*t));
	uint64_t off = _i ? STAGE_SIZE - 4096 : 0;

	begin(t);
	rng_seed(&t->rng, 1);
	healed_touch(&t->h, off, 4096);
	memset(t->h.r.writable + off, 0x5a, 4096);
	cut_everywhere(t, _i ? "second superblock" : "first superblock");
	end(t);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "cuts during a repair", cut_repair, NR_LOOPS },
		{ "cuts during that of a part", cut_repair_of_part, NR_PARTS },
		{ "cuts during that of a superblock", cut_repair_of_super, 2 },
	};

	return suite_run("fsck_repair_crash", cases, sizeof(cases) / sizeof(cases[0]));
}
