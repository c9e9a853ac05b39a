/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of the filesystem as a whole: FORMAT.md 13.1 to 13.3, 13.12, 13.13, and the lanes. */
#include <check.h>
#include <string.h>

#include "tests/unit/fsck_rules.h"
#include "tests/unit/suite.h"

static void nothing(struct rule_stage *s)
{
	(void)s;
}

/* ---- superblocks ---------------------------------------------------------------------------- */

static void first_super(struct rule_stage *s)
{
	rule_super(s, 0)->label[0] ^= 1;
}

static void second_super(struct rule_stage *s)
{
	rule_super(s, 1)->label[0] ^= 1;
}

static void other_label(struct rule_stage *s)
{
	rule_super(s, 1)->label[0] ^= 1;
	rule_seal_super(s, 1);
}

static void add_seq(struct rule_stage *s, unsigned int which, uint64_t by)
{
	struct ddfs_super *super = rule_super(s, which);

	super->seq = ddfs_to64(ddfs_le64(super->seq) + by);
	super->mount_time.raw ^= 1;
	rule_seal_super(s, which);
}

static void first_ahead(struct rule_stage *s)
{
	add_seq(s, 0, 1);
}

static void far_ahead(struct rule_stage *s)
{
	add_seq(s, 0, 2);
}

static void second_ahead(struct rule_stage *s)
{
	add_seq(s, 1, 1);
}

static void ahead_and_other(struct rule_stage *s)
{
	rule_super(s, 0)->label[0] ^= 1;
	add_seq(s, 0, 1);
}

/* ---- root blocks ---------------------------------------------------------------------------- */

static struct ddfs_inode_disk *root_block(struct rule_stage *s, unsigned int which)
{
	return (void *)(s->r.writable +
			(which ? s->img.end_block * DDFS_BLOCK_BYTES : DDFS_ROOT_BLOCK_OFF));
}

static void set_sole(struct rule_stage *s, uint32_t sole)
{
	for (unsigned int i = 0; i < 2; i++) {
		rule_super(s, i)->sole_root_block = ddfs_to32(sole);
		rule_seal_super(s, i);
	}
}

static void second_root(struct rule_stage *s)
{
	root_block(s, 1)->uid.raw ^= 1;
}

static void first_root(struct rule_stage *s)
{
	root_block(s, 0)->uid.raw ^= 1;
}

static void other_root(struct rule_stage *s)
{
	root_block(s, 1)->uid.raw ^= 1;
	rule_seal(s, root_block(s, 1), DDFS_INODE_BYTES);
}

static void sole_first(struct rule_stage *s)
{
	second_root(s);
	set_sole(s, 1);
}

static void sole_second(struct rule_stage *s)
{
	memset(root_block(s, 0), 0, DDFS_INODE_BYTES);
	set_sole(s, 2);
}

/* ---- the inode table ------------------------------------------------------------------------ */

static void change_table(struct rule_stage *s, void (*change)(struct ddfs_inode_disk *table))
{
	for (unsigned int i = 0; i < 2; i++) {
		change(root_block(s, i));
		rule_seal(s, root_block(s, i), DDFS_INODE_BYTES);
	}
}

static void odd_size(struct ddfs_inode_disk *table)
{
	table->size = ddfs_to64(ddfs_le64(table->size) + 256);
}

static void cut_short(struct ddfs_inode_disk *table)
{
	table->size = ddfs_to64(ddfs_le64(table->size) + DDFS_BLOCK_BYTES);
}

/* Without its block 14, whose slots were never used. */
static void cut_hole(struct ddfs_inode_disk *table)
{
	struct ddfs_extent *e = table->body.extent;

	e[1].lblk = ddfs_to32(15);
	e[1].len = ddfs_to32(ddfs_le32(e[0].len) - 15);
	e[1].start = ddfs_to64(ddfs_le64(e[0].start) + 15);
	e[0].len = ddfs_to32(14);
	table->nr_extents = ddfs_to16(2);
}

static void add_block(struct ddfs_inode_disk *table)
{
	table->nr_blocks = ddfs_to64(ddfs_le64(table->nr_blocks) + 1);
}

static void table_size(struct rule_stage *s)
{
	change_table(s, odd_size);
}

static void table_short(struct rule_stage *s)
{
	change_table(s, cut_short);
}

static void table_hole(struct rule_stage *s)
{
	change_table(s, cut_hole);
}

static void table_blocks(struct rule_stage *s)
{
	change_table(s, add_block);
}

/* ---- groups, chunks, counts ----------------------------------------------------------------- */

static void group_sum(struct rule_stage *s)
{
	rule_group(s, 0)->nr_free.raw ^= 1;
}

static void group_init(struct rule_stage *s)
{
	rule_group(s, 0)->nr_init = ddfs_to32(9);
	RULE_SEAL(s, rule_group(s, 0));
}

static void group_free(struct rule_stage *s)
{
	rule_group(s, 0)->nr_free.raw ^= 1;
	RULE_SEAL(s, rule_group(s, 0));
}

static void chunk_sum(struct rule_stage *s)
{
	rule_chunk(s, s->img.data_block)->used[7].raw ^= 1;
}

static void flip_bits(struct rule_stage *s, uint64_t blk, uint64_t bits)
{
	struct ddfs_chunk *c = rule_chunk(s, blk);
	struct ddfs_group_desc *g = rule_group(s, 0);
	uint64_t old = ddfs_le64(c->used[blk % DDFS_CHUNK_BLOCKS / 64]);
	int freed = __builtin_popcountll(old & bits) - __builtin_popcountll(~old & bits);

	c->used[blk % DDFS_CHUNK_BLOCKS / 64] = ddfs_to64(old ^ bits);
	g->nr_free = ddfs_to64(ddfs_le64(g->nr_free) + (uint64_t)(int64_t)freed);
	RULE_SEAL(s, c);
	RULE_SEAL(s, g);
}

/* The first block that is free in the first chunk of data. */
static void leak(struct rule_stage *s)
{
	const struct ddfs_chunk *c = rule_chunk(s, s->img.data_block);

	for (unsigned int i = 0; i < 8; i++)
		if (~ddfs_le64(c->used[i])) {
			flip_bits(s, s->img.data_block + i * 64,
				UINT64_C(1) << __builtin_ctzll(~ddfs_le64(c->used[i])));
			return;
		}
	ck_abort();
}

static void free_used(struct rule_stage *s)
{
	flip_bits(s, s->img.data_block, 0xff);
}

static void free_fixed(struct rule_stage *s)
{
	flip_bits(s, 0, 1);
}

static void used_inodes(struct rule_stage *s)
{
	for (unsigned int i = 0; i < 2; i++) {
		rule_super(s, i)->nr_used_inodes.raw ^= 1;
		rule_seal_super(s, i);
	}
}

static void first_free(struct rule_stage *s)
{
	for (unsigned int i = 0; i < 2; i++) {
		rule_super(s, i)->first_free_inode = ddfs_to32(s->img.nr_slots);
		rule_seal_super(s, i);
	}
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static void set_state(struct rule_stage *s, uint32_t state)
{
	for (unsigned int i = 0; i < 2; i++) {
		rule_super(s, i)->state = ddfs_to32(state);
		rule_seal_super(s, i);
	}
}

struct lane {
	struct ddfs_lane_header head;
	struct ddfs_lane_record record;
	uint8_t bytes[64];
};

/* Makes the label of both superblocks another would be damage; this is the group's descriptor, with
 * a count that is wrong, or only not durable yet. */
static struct lane *commit(struct rule_stage *s, uint64_t state)
{
	struct lane *l =
		(void *)(s->r.writable + ddfs_le64(s->img.super.lanes_off) + 2 * DDFS_LANE_BYTES);

	memset(l, 0, sizeof(*l));
	memcpy(l->bytes, rule_group(s, 0), sizeof(l->bytes));
	l->record.off = ddfs_to64(DDFS_GROUP_TABLE_OFF);
	l->record.len = ddfs_to32(sizeof(l->bytes));
	l->head.nr_bytes = ddfs_to32(sizeof(*l) - sizeof(l->head));
	l->head.nr_records = ddfs_to32(1);
	l->head.state = ddfs_to64(state);
	RULE_SEAL(s, l);
	return l;
}

/* What is damage without the lane: the check sees what a mount would. */
static void lane_committed(struct rule_stage *s)
{
	commit(s, DDFS_LANE_COMMITTED);
	memset(rule_group(s, 0), 0xff, sizeof(struct ddfs_group_desc));
	set_state(s, DDFS_STATE_MOUNTED);
}

static void lane_torn(struct rule_stage *s)
{
	commit(s, DDFS_LANE_COMMITTED)->bytes[3] ^= 1;
	set_state(s, DDFS_STATE_MOUNTED);
}

static void lane_clean(struct rule_stage *s)
{
	commit(s, DDFS_LANE_COMMITTED);
}

static void lane_state(struct rule_stage *s)
{
	commit(s, 7);
	set_state(s, DDFS_STATE_MOUNTED);
}

static void lane_outside(struct rule_stage *s)
{
	struct lane *l = commit(s, DDFS_LANE_COMMITTED);

	l->record.off = ddfs_to64(STAGE_SIZE - 8);
	RULE_SEAL(s, l);
	set_state(s, DDFS_STATE_MOUNTED);
}

/* Into itself: what follows would be another record than the one that was looked at. */
static void lane_itself(struct rule_stage *s)
{
	struct lane *l = commit(s, DDFS_LANE_COMMITTED);

	l->record.off = ddfs_to64((uint64_t)((uint8_t *)&l->record - s->r.writable));
	RULE_SEAL(s, l);
	set_state(s, DDFS_STATE_MOUNTED);
}

/* What a crash leaves. */
static void first_torn(struct rule_stage *s)
{
	set_state(s, DDFS_STATE_MOUNTED);
	first_super(s);
}

static void second_torn(struct rule_stage *s)
{
	set_state(s, DDFS_STATE_MOUNTED);
	second_super(s);
}

/* What is valid only when clean. */
static void unclean_counts(struct rule_stage *s)
{
	group_free(s);
	used_inodes(s);
	set_state(s, DDFS_STATE_MOUNTED);
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct rule rules[] = {
	{ "nothing", nothing, NULL, 0, false, NULL },
	{ "first superblock", first_super, "first superblock fails", 0, true, NULL },
	{ "second superblock", second_super, "second superblock fails", 0, true, NULL },
	{ "first superblock torn", first_torn, NULL, 0, false, NULL },
	{ "second superblock torn", second_torn, NULL, 0, false, NULL },
	{ "superblocks differ", other_label, "superblocks differ", 0, true, NULL },
	{ "first superblock written", first_ahead, NULL, 0, false, NULL },
	{ "superblocks two apart", far_ahead, "superblocks differ", 0, true, NULL },
	{ "second superblock written", second_ahead, NULL, 0, false, NULL },
	{ "one ahead, other label", ahead_and_other, "superblocks differ", 0, true, NULL },
	{ "first root block", first_root, "first root block fails", 0, true, NULL },
	{ "second root block", second_root, "second root block fails", 0, true, NULL },
	{ "root blocks differ", other_root, "root blocks differ", 0, true, NULL },
	{ "sole first", sole_first, NULL, 0, false, NULL },
	{ "sole second", sole_second, NULL, 0, false, NULL },
	{ "table: size", table_size, "can't have", 0, false, NULL },
	{ "table: short", table_short, "slots, and blocks for", 0, false, NULL },
	{ "table: hole", table_hole, "has a hole", 0, false, NULL },
	{ "table: nr_blocks", table_blocks, "nr_blocks", 0, true, NULL },
	{ "group: checksum", group_sum, "descriptor of group 0 fails", 0, false, NULL },
	{ "group: nr_init", group_init, "descriptor of group 0 has more", 0, false, NULL },
	{ "group: nr_free", group_free, "nr_free", 0, true, NULL },
	{ "chunk: checksum", chunk_sum, "bitmap of chunk 1 fails", 0, false, NULL },
	{ "leak", leak, "marked as used", 0, true, NULL },
	{ "used is free", free_used, "marked as free", 0, true, NULL },
	{ "fixed is free", free_fixed, "block 0 is marked as free", 0, true, NULL },
	{ "nr_used_inodes", used_inodes, "nr_used_inodes", 0, true, NULL },
	{ "first_free_inode", first_free, "first_free_inode", 0, true, NULL },
	{ "lane: committed", lane_committed, NULL, 0, false, NULL },
	{ "lane: torn", lane_torn, NULL, 0, false, NULL },
	{ "lane: when clean", lane_clean, "lane 2 of the log is not empty", 0, false, NULL },
	{ "lane: state", lane_state, "lane 2 of the log holds what cannot be", 0, false, NULL },
	{ "lane: outside", lane_outside, "lane 2 of the log holds what cannot be", 0, false, NULL },
	{ "lane: into the log", lane_itself, "lane 2 of the log holds what cannot be", 0, false,
		NULL },
	{ "unclean: counts", unclean_counts, NULL, 0, false, NULL },
};
#define NR_RULES ((int)(sizeof(rules) / sizeof(rules[0])))

START_TEST(broken_rule)
{
	rule_try(&rules[_i]);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = { { "rules of the whole", broken_rule, NR_RULES } };

	return suite_run("fsck_check_whole", cases, 1);
}
