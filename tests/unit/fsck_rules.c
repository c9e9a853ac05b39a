/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/fsck_rules.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/csum.h"

#define SUPER_SEED 0x64646673u
#define MAX_SAID   64u

struct report {
	char *said[MAX_SAID];
	unsigned int nr;
};

static void note(void *arg, const char *problem, bool fixed)
{
	struct report *r = arg;

	ck_assert(!fixed);
	if (r->nr < MAX_SAID)
		r->said[r->nr] = strdup(problem);
	r->nr++;
}

static void forget(struct report *r)
{
	for (unsigned int i = 0; i < r->nr && i < MAX_SAID; i++)
		free(r->said[i]);
	r->nr = 0;
}

static void on_store(void *arg, uint64_t off, size_t len)
{
	(void)arg;
	ck_abort_msg("a check stored %zu bytes at %llu", len, (unsigned long long)off);
}

static void on_drain(void *arg)
{
	(void)arg;
}

static struct ddfs_fsck_result check(struct rule_stage *s, const struct rule *rule,
	enum ddfs_fsck_mode mode, unsigned int nr_threads, struct report *report)
{
	const struct ddfs_fsck_options opt = {
		.mode = mode,
		.flags = rule->flags,
		.nr_threads = nr_threads,
		.say = note,
		.arg = report,
	};
	struct ddfs_fsck_result r;

	ck_assert_int_eq(ddfs_fsck(&s->r.media, &opt, &r), 0);
	return r;
}

static void check_words(const struct rule *rule, const struct report *r)
{
	bool found = false;

	if (!rule->words)
		ck_assert_msg(!r->nr, "%s: %s", rule->name, r->said[0]);
	else
		ck_assert_msg(r->nr, "%s: nothing was told", rule->name);
	for (unsigned int i = 0; i < r->nr && i < MAX_SAID; i++) {
		bool words = strstr(r->said[i], rule->words);

		/* No range, or no end of what is in brackets. */
		ck_assert_msg(!strstr(r->said[i], "up to 0)") && !strstr(r->said[i], ", )"),
			"%s: %s", rule->name, r->said[i]);
		ck_assert_msg(words || (rule->also && strstr(r->said[i], rule->also)), "%s: %s",
			rule->name, r->said[i]);
		found = found || words;
	}
	ck_assert_msg(found || !rule->words, "%s: it was not told", rule->name);
}

/* The same whoever looks, also how often it is told, and in which order. */
static void check_threads(struct rule_stage *s, const struct rule *rule, const struct report *one,
	const struct ddfs_fsck_result *r)
{
	struct report many = { .nr = 0 };
	struct ddfs_fsck_result other = check(s, rule, DDFS_FSCK_NO, 8, &many);

	ck_assert_msg(!memcmp(r, &other, sizeof(other)), "%s: by threads", rule->name);
	ck_assert_uint_eq(one->nr, many.nr);
	for (unsigned int i = 0; i < many.nr && i < MAX_SAID; i++)
		ck_assert_str_eq(one->said[i], many.said[i]);
	forget(&many);
}

/* What is safe is repaired by -p, and what is not is left as it is. */
static void check_preen(struct rule_stage *s, const struct rule *rule)
{
	const struct ddfs_fsck_options opt = {
		.mode = DDFS_FSCK_PREEN,
		.flags = rule->flags | DDFS_FSCK_FORCE,
		.nr_threads = 1,
	};
	struct report report = { .nr = 0 };
	struct ddfs_fsck_result r;

	ck_assert_int_eq(ddfs_fsck(&s->r.media, &opt, &r), 0);
	if (rule->words && rule->preen)
		ck_assert_msg(r.nr_fixed && !r.nr_left, "%s: %llu fixed, %llu left", rule->name,
			(unsigned long long)r.nr_fixed, (unsigned long long)r.nr_left);
	else if (rule->words)
		ck_assert_msg(!r.nr_fixed && r.nr_left, "%s is not safe", rule->name);
	r = check(s, rule, DDFS_FSCK_NO, 1, &report);
	ck_assert_msg(!r.nr_left == (!rule->words || rule->preen), "%s: after -p", rule->name);
	forget(&report);
}

void rule_try(const struct rule *rule)
{
	struct ram_ear ear = { on_store, on_drain, NULL };
	struct rule_stage *s = calloc(1, sizeof(*s));
	struct report report = { .nr = 0 };
	struct ddfs_fsck_result r;

	stage_make(&s->r);
	ck_assert_int_eq(ddfs_image_open(&s->r.media, 0, &s->img), 0);
	rule->damage(s);
	s->r.ear = &ear;
	r = check(s, rule, DDFS_FSCK_NO, 1, &report);
	check_words(rule, &report);
	ck_assert_uint_eq(r.nr_left, report.nr);
	ck_assert_uint_eq(r.nr_problems, report.nr);
	check_threads(s, rule, &report, &r);
	s->r.ear = NULL;
	check_preen(s, rule);
	forget(&report);
	ddfs_image_close(&s->img);
	ram_fini(&s->r);
	free(s);
}

/* ---- what is there -------------------------------------------------------------------------- */

static uint64_t super_off(unsigned int which)
{
	return which ? STAGE_SIZE - DDFS_BLOCK_BYTES : 0;
}

struct ddfs_super *rule_super(struct rule_stage *s, unsigned int which)
{
	return (void *)(s->r.writable + super_off(which));
}

void rule_seal_super(struct rule_stage *s, unsigned int which)
{
	ddfs_csum_seal(SUPER_SEED, super_off(which), rule_super(s, which), DDFS_BLOCK_BYTES);
}

void rule_seal(struct rule_stage *s, void *p, size_t len)
{
	ddfs_csum_seal(s->img.seed, (uint64_t)((uint8_t *)p - s->r.writable), p, len);
}

struct ddfs_inode_disk *rule_inode(struct rule_stage *s, uint32_t ino)
{
	return (void *)(s->r.writable + ddfs_image_slot_off(&s->img, ino));
}

struct ddfs_inode_disk *rule_find(struct rule_stage *s, const char *name)
{
	uint32_t ino = stage_find(&s->img, name);

	ck_assert_msg(ino, "%s", name);
	return rule_inode(s, ino);
}

struct ddfs_node *rule_node(struct rule_stage *s, uint64_t blk)
{
	return (void *)(s->r.writable + blk * DDFS_BLOCK_BYTES);
}

struct ddfs_chunk *rule_chunk(struct rule_stage *s, uint64_t blk)
{
	return (void *)(s->r.writable + ddfs_le64(s->img.super.chunk_table_off) +
			blk / DDFS_CHUNK_BLOCKS * sizeof(struct ddfs_chunk));
}

struct ddfs_group_desc *rule_group(struct rule_stage *s, unsigned int nr)
{
	return (void *)(s->r.writable + DDFS_GROUP_TABLE_OFF + nr * sizeof(struct ddfs_group_desc));
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool find_in(struct ddfs_node *leaf, const char *name, struct rule_record *out)
{
	struct ddfs_name_slot *slot = (void *)leaf->payload;

	for (unsigned int i = 0; i < ddfs_le16(leaf->nr); i++) {
		struct ddfs_name_record *r = (void *)((uint8_t *)leaf + ddfs_le16(slot[i].off));

		if (!ddfs_le16(slot[i].off) || r->name_len != strlen(name) ||
			memcmp(r + 1, name, r->name_len) != 0)
			continue;
		*out = (struct rule_record){ leaf, &slot[i], r };
		return true;
	}
	return false;
}

struct rule_record rule_record_find(struct rule_stage *s, uint64_t root, const char *name)
{
	struct ddfs_node *n = rule_node(s, root);
	const struct ddfs_name_ref *ref = (const void *)n->payload;
	struct rule_record r = { .leaf = NULL };

	if (!n->level)
		find_in(n, name, &r);
	for (unsigned int i = 0; n->level && i < ddfs_le16(n->nr) && !r.leaf; i++)
		r = rule_record_find(s, ddfs_le64(ref[i].child), name);
	return r;
}

uint32_t rule_record_ino(const struct rule_record *r)
{
	struct ddfs_dirent_value v;

	memcpy(&v, (uint8_t *)(r->record + 1) + r->record->name_len, sizeof(v));
	return ddfs_le32(v.ino);
}

void rule_record_set(struct rule_record *r, uint32_t ino, uint8_t type)
{
	struct ddfs_dirent_value v = { ddfs_to32(ino) };

	memcpy((uint8_t *)(r->record + 1) + r->record->name_len, &v, sizeof(v));
	r->record->type = type;
}

void rule_record_kill(struct rule_record *r)
{
	struct ddfs_node *leaf = r->leaf;
	struct ddfs_name_slot *slot = (void *)leaf->payload;
	unsigned int nr = ddfs_le16(leaf->nr);

	leaf->live = ddfs_to16((uint16_t)(ddfs_le16(leaf->live) - ddfs_le16(r->slot->len)));
	r->slot->off = ddfs_to16(0);
	while (nr && !ddfs_le16(slot[nr - 1].off))
		nr--;
	leaf->nr = ddfs_to16((uint16_t)nr);
}
