/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of the tables of pins and of bad blocks: FORMAT.md 13.14, 13.15. */
#include <check.h>
#include <string.h>

#include "tests/unit/fsck_rules.h"
#include "tests/unit/suite.h"

/* ---- pins ----------------------------------------------------------------------------------- */

static struct ddfs_pin_table *pins(struct rule_stage *s)
{
	return (void *)(s->r.writable + ddfs_le64(s->img.super.pins_off));
}

static void pin_head(struct rule_stage *s)
{
	pins(s)->nr_slots.raw ^= 1;
}

static void pin_slots(struct rule_stage *s)
{
	pins(s)->nr_slots = ddfs_to32(1023);
	RULE_SEAL(s, pins(s));
	pins(s)->nr_slots = ddfs_to32(1024);
	RULE_SEAL(s, pins(s));
}

/* In slot 3, of "file", whose first block is start. */
static struct ddfs_pin_record *add_pin(struct rule_stage *s)
{
	struct ddfs_pin_record *r = (struct ddfs_pin_record *)(pins(s) + 1) + 3;
	const struct ddfs_inode_disk *di = rule_find(s, "file");

	pins(s)->nr_slots = ddfs_to32(64);
	RULE_SEAL(s, pins(s));
	*r = (struct ddfs_pin_record){ .epoch = ddfs_to32(1),
		.ino = di->ino,
		.gen = di->gen,
		.len = ddfs_to32(2),
		.start = di->body.extent[0].start,
		.mode = ddfs_to32(3) };
	RULE_SEAL(s, r);
	return r;
}

/* Three: in the table they are in another order than in the file, and two have blocks in common. */
static void pin_good(struct rule_stage *s)
{
	const struct ddfs_extent *e = &rule_find(s, "file")->body.extent[1];
	struct ddfs_pin_record *r = add_pin(s);

	r[-1] = *r;
	r[-1].lblk = ddfs_to32(1);
	r[-1].start = ddfs_to64(ddfs_le64(r->start) + 1);
	r[-1].len = ddfs_to32(1);
	RULE_SEAL(s, r - 1);
	r[-2] = *r;
	r[-2].lblk = e->lblk;
	r[-2].start = ddfs_to64(ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN);
	r[-2].len = e->len;
	RULE_SEAL(s, r - 2);
}

static void pin_torn(struct rule_stage *s)
{
	add_pin(s)->start = ddfs_to64(1);
}

static void pin_stray(struct rule_stage *s)
{
	struct ddfs_pin_record *r = add_pin(s);

	r->len = ddfs_to32(ddfs_le32(rule_find(s, "file")->body.extent[0].len) + 1);
	RULE_SEAL(s, r);
}

static void pin_elsewhere(struct rule_stage *s)
{
	struct ddfs_pin_record *r = add_pin(s);

	r->lblk = ddfs_to32(1);
	r->len = ddfs_to32(1);
	RULE_SEAL(s, r);
}

static void pin_of_earlier(struct rule_stage *s)
{
	struct ddfs_pin_record *r = add_pin(s);

	r->gen = ddfs_to32(ddfs_le32(r->gen) + 1);
	RULE_SEAL(s, r);
}

static void pin_of_dir(struct rule_stage *s)
{
	struct ddfs_pin_record *r = add_pin(s);

	r->ino = rule_find(s, "dir")->ino;
	RULE_SEAL(s, r);
}

static void pin_nowhere(struct rule_stage *s)
{
	struct ddfs_pin_record *r = add_pin(s);

	r->start = ddfs_to64(s->img.end_block - 1);
	RULE_SEAL(s, r);
}

static void pin_mode(struct rule_stage *s)
{
	struct ddfs_pin_record *r = add_pin(s);

	r->mode = ddfs_to32(4);
	RULE_SEAL(s, r);
}

/* ---- bad blocks ----------------------------------------------------------------------------- */

static struct ddfs_bad_record *add_bad(struct rule_stage *s, uint64_t start)
{
	struct ddfs_bad_record *r = (void *)(s->r.writable + ddfs_le64(s->img.super.bad_off));

	r[7].len = ddfs_to32(2);
	r[7].start = ddfs_to64(start);
	RULE_SEAL(s, &r[7]);
	return &r[7];
}

static void bad_good(struct rule_stage *s)
{
	add_bad(s, s->img.nr_blocks - 2);
}

static void bad_behind(struct rule_stage *s)
{
	add_bad(s, s->img.nr_blocks - 1);
}

static void bad_torn(struct rule_stage *s)
{
	add_bad(s, 0)->start = ddfs_to64(s->img.nr_blocks);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static const struct rule rules[] = {
	{ "pins: head", pin_head, "pin table's head fails", 0, true, NULL },
	{ "pins: slots", pin_slots, "pin table's head has more", 0, true, NULL },
	{ "pins: a good one", pin_good, NULL, 0, false, NULL },
	{ "pins: torn", pin_torn, NULL, 0, false, NULL },
	{ "pins: stray", pin_stray, "pin record 3", 0, true, NULL },
	{ "pins: stray, allowed", pin_stray, NULL, DDFS_FSCK_STRAY_PINS, false, NULL },
	{ "pins: elsewhere in the file", pin_elsewhere, "pin record 3", 0, true, NULL },
	{ "pins: of an earlier file", pin_of_earlier, "pin record 3", 0, true, NULL },
	{ "pins: of a directory", pin_of_dir, "pin record 3", 0, true, NULL },
	{ "pins: nowhere", pin_nowhere, "cannot be", 0, true, NULL },
	{ "pins: mode", pin_mode, "no known mode", 0, true, NULL },
	{ "bad: a good one", bad_good, NULL, 0, false, NULL },
	{ "bad: behind the device", bad_behind, "bad blocks", 0, true, NULL },
	{ "bad: torn", bad_torn, NULL, 0, false, NULL },
};
#define NR_RULES ((int)(sizeof(rules) / sizeof(rules[0])))

START_TEST(broken_rule)
{
	rule_try(&rules[_i]);
}
END_TEST

int main(void)
{
	const struct suite_case cases[] = { { "rules of the tables", broken_rule, NR_RULES } };

	return suite_run("fsck_check_tables", cases, 1);
}
