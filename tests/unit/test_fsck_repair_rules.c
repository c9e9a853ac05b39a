/* SPDX-License-Identifier: BSD-3-Clause */
/* Each rule of repair by hand: one kind of damage, and what becomes of it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/csum.h"
#include "tests/unit/repair_edit.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* ---- space ---------------------------------------------------------------------------------- */

/* The bitmaps say that all is free, or nothing. */
static void bitmaps(struct healed *h, unsigned int how)
{
	const struct ddfs_super *s = (const void *)h->healthy;
	uint64_t off = ddfs_le64(s->chunk_table_off);

	for (unsigned int c = 0; c < STAGE_SIZE / DDFS_CHUNK_BYTES; c++, off += 128) {
		struct ddfs_chunk *chunk = (void *)(h->r.writable + off);

		healed_touch(h, off, sizeof(*chunk));
		memset(chunk->used, how ? 0xff : 0, sizeof(chunk->used));
		ddfs_csum_seal(edit_seed(h), off, chunk, sizeof(*chunk));
	}
}

static void descriptors(struct healed *h, unsigned int how)
{
	const struct ddfs_super *s = (const void *)h->healthy;

	edit_bytes(h, DDFS_GROUP_TABLE_OFF, ddfs_le32(s->nr_groups) * 64, how ? 0xff : 0);
}

static void pin_head(struct healed *h, unsigned int how)
{
	const struct ddfs_super *s = (const void *)h->healthy;

	edit_bytes(h, ddfs_le64(s->pins_off), 64, how ? 0xa5 : 0);
}

/* A pin of a file that does not have the blocks; a bad block behind the end. */
static void records(struct healed *h, unsigned int how)
{
	const struct ddfs_super *s = (const void *)h->healthy;
	uint64_t pins = ddfs_le64(s->pins_off), bad = ddfs_le64(s->bad_off);
	struct ddfs_pin_table head = { .nr_slots = ddfs_to32(64) };
	struct ddfs_pin_record pin = { .epoch = ddfs_to32(1),
		.ino = ddfs_to32(edit_ino(h, "file")),
		.len = ddfs_to32(1),
		.start = ddfs_to64(how ? 1000 : 2),
		.mode = ddfs_to32(3) };
	struct ddfs_bad_record rec = { .len = ddfs_to32(5), .start = ddfs_to64(4095) };

	edit_store(h, pins, &head, sizeof(head));
	edit_store(h, pins + 64, &pin, sizeof(pin));
	edit_store(h, bad, &rec, sizeof(rec));
}

/* A pin of blocks that the file has elsewhere; of blocks that one before it had. */
static void stray_pins(struct healed *h, unsigned int how)
{
	const struct ddfs_super *s = (const void *)h->healthy;
	struct ddfs_inode_disk di = edit_inode(h, "file");
	uint64_t pins = ddfs_le64(s->pins_off);
	struct ddfs_pin_table head = { .nr_slots = ddfs_to32(64) };
	struct ddfs_pin_record pin = { .epoch = ddfs_to32(1),
		.ino = di.ino,
		.gen = ddfs_to32(ddfs_le32(di.gen) + how),
		.lblk = ddfs_to32(!how),
		.len = ddfs_to32(1),
		.start = di.body.extent[0].start,
		.mode = ddfs_to32(3) };

	edit_store(h, pins, &head, sizeof(head));
	edit_store(h, pins + 64, &pin, sizeof(pin));
}

static void supers(struct healed *h, unsigned int how)
{
	edit_bytes(h, how ? STAGE_SIZE - 4096 : 0, 4096, 0x5a);
}

/* ---- names ---------------------------------------------------------------------------------- */

static void entry_to_free(struct healed *h, unsigned int how)
{
	edit_entry(h, "a", how ? 3 : 4000);
}

/* A directory with two names, in two directories or in one. */
static void named_twice(struct healed *h, unsigned int how)
{
	edit_entry(h, "pipe", how ? edit_ino(h, "a") : edit_ino(h, "dir"));
}

/* A directory that lies in itself: its only name leads elsewhere now. */
static void cycle(struct healed *h, unsigned int how)
{
	uint32_t a = edit_ino(h, "a");

	edit_entry(h, "a", edit_ino(h, "pipe"));
	/* b, in a, is a; or its entry for c is. */
	edit_entry_in(h, how ? edit_ino_in(h, a, "b") : a, how ? "c" : "b", a);
}

static void wrong_links(struct healed *h, unsigned int how)
{
	struct ddfs_inode_disk di = edit_inode(h, how ? "a" : "file");

	di.nlink = ddfs_to32(77);
	di.parent = ddfs_to32(33);
	di.nr_blocks = ddfs_to64(1);
	edit_put_inode(h, how ? "a" : "file", &di);
}

static void root_gone(struct healed *h, unsigned int how)
{
	struct ddfs_image img = healed_image(h);

	edit_bytes(h, ddfs_image_slot_off(&img, DDFS_INO_ROOT), 256, how ? 0 : 0x77);
	ddfs_image_close(&img);
}

/* Of the root's inode the first lines are lost, not which node has its names. */
static void root_head_gone(struct healed *h, unsigned int how)
{
	struct ddfs_image img = healed_image(h);

	edit_bytes(h, ddfs_image_slot_off(&img, DDFS_INO_ROOT), how ? 128 : 64, 0x77);
	ddfs_image_close(&img);
}

static void orphans_gone(struct healed *h, unsigned int how)
{
	struct ddfs_image img = healed_image(h);

	edit_bytes(h, ddfs_image_slot_off(&img, DDFS_INO_ORPHAN), 256, how ? 0 : 0x77);
	ddfs_image_close(&img);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void size_absurd(struct healed *h, unsigned int how)
{
	struct ddfs_inode_disk di = edit_inode(h, "extents");

	di.size = ddfs_to64(how ? UINT64_MAX : UINT64_C(1) << 50);
	edit_put_inode(h, "extents", &di);
}

/* Written blocks far behind the end stay the file's. */
static void size_short(struct healed *h, unsigned int how)
{
	struct ddfs_inode_disk di = edit_inode(h, "extents");

	di.size = ddfs_to64(how);
	edit_put_inode(h, "extents", &di);
}

/* "inline" has the blocks of "file", or the root of the map of "extents". */
static void shared(struct healed *h, unsigned int how)
{
	struct ddfs_inode_disk di = edit_inode(h, "inline"), file = edit_inode(h, "file");
	struct ddfs_inode_disk extents = edit_inode(h, "extents");

	di.nr_extents = ddfs_to16(1);
	di.body.extent[0] = file.body.extent[0];
	di.size = ddfs_to64(4096);
	if (how)
		di.body.extent[0] =
			(struct ddfs_extent){ .len = ddfs_to32(1), .start = extents.body.root };
	edit_put_inode(h, "inline", &di);
}

/* Two files with one map. */
static void shared_map(struct healed *h, unsigned int how)
{
	struct ddfs_inode_disk di = edit_inode(h, "inline"), extents = edit_inode(h, "extents");

	(void)how;
	di.depth = extents.depth;
	di.body = extents.body;
	di.nr_extents = ddfs_to16(0);
	edit_put_inode(h, "inline", &di);
}

static void link_size(struct healed *h, unsigned int how)
{
	struct ddfs_inode_disk di = edit_inode(h, how ? "link" : "short link");

	di.size = ddfs_to64(how ? 20 : 1000);
	edit_put_inode(h, how ? "link" : "short link", &di);
}

/* A flag that can be neither set nor cleared there keeps a name for ever; a checksum that fails as
 * well is no reason to keep it. */
static void frozen(struct healed *h, unsigned int how)
{
	static const char *const names[] = { "link", "pipe", "short link" };

	for (unsigned int i = 0; i < 3; i++) {
		struct ddfs_inode_disk di = edit_inode(h, names[i]);
		struct ddfs_image img = healed_image(h);

		di.flags = ddfs_to32(0x30);
		edit_put_inode(h, names[i], &di);
		h->r.writable[ddfs_image_slot_off(&img, edit_ino(h, names[i]))] ^= how;
		ddfs_image_close(&img);
	}
}

/* ---- all of them ---------------------------------------------------------------------------- */

struct rule {
	const char *name;
	void (*damage)(struct healed *h, unsigned int how);
	const char *harmed[3]; /* in the root */
	bool paths;
};

static const struct rule rules[] = {
	{ "bitmaps", bitmaps, { 0 }, false },
	{ "descriptors", descriptors, { 0 }, false },
	{ "pin head", pin_head, { 0 }, false },
	{ "records", records, { 0 }, false },
	{ "stray pins", stray_pins, { 0 }, false },
	{ "supers", supers, { 0 }, false },
	{ "entry to a free inode", entry_to_free, { 0 }, true },
	{ "named twice", named_twice, { 0 }, true },
	{ "cycle", cycle, { 0 }, true },
	{ "links", wrong_links, { 0 }, false },
	{ "root", root_gone, { 0 }, true },
	{ "head of the root", root_head_gone, { 0 }, false },
	{ "orphans", orphans_gone, { 0 }, false },
	{ "absurd size", size_absurd, { 0 }, false },
	{ "short size", size_short, { "extents" }, false },
	{ "shared", shared, { "inline" }, false },
	{ "shared map", shared_map, { "inline", "extents" }, false },
	{ "symlink's size", link_size, { 0 }, false },
	{ "frozen", frozen, { 0 }, false },
};
#define NR_RULES (sizeof(rules) / sizeof(rules[0]))

START_TEST(rule)
{
	struct healed *h = malloc(sizeof(*h));
	const struct rule *r = &rules[_i / 2];
	struct harm harm = { .paths = r->paths };
	char what[60];

	snprintf(what, sizeof(what), "%s %d", r->name, _i % 2);
	healed_begin(h);
	for (unsigned int i = 0; i < 3 && r->harmed[i]; i++)
		harm.ino[i] = edit_ino(h, r->harmed[i]);
	/* A root that is made anew is another. */
	harm.ino[3] = r->damage == root_gone || r->damage == root_head_gone ? DDFS_INO_ROOT : 0;
	r->damage(h, (unsigned int)_i % 2);
	healed_repair(h, what);
	ck_assert_msg(h->result.nr_problems, "%s: nothing was found", what);
	healed_expect(h, &harm, what);
	healed_end(h);
	free(h);
}
END_TEST

/* Two directories that lie in each other, and one with a lower number that leads to the one of
 * them with the higher. */
START_TEST(cycle_with_a_tail)
{
	struct healed *h = malloc(sizeof(*h));
	struct harm harm = { .paths = true };
	uint32_t low, one, two, back;
	struct ddfs_inode *root, *outer, *inner;
	struct ddfs_fs *fs;

	healed_begin(h);
	fs = ram_mount(&h->r, NULL);
	root = ram_root(fs);
	ck_assert_int_eq(tree_make(root, "low", S_IFDIR | 0700), 0);
	outer = tree_make_get(root, "one", S_IFDIR | 0700);
	inner = tree_make_get(outer, "two", S_IFDIR | 0700);
	ck_assert_int_eq(tree_make(inner, "back", S_IFDIR | 0700), 0);
	ck_assert_int_eq(tree_make(inner, "tail", S_IFDIR | 0700), 0);
	ddfs_inode_put(inner);
	ddfs_inode_put(outer);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	low = edit_ino(h, "low");
	one = edit_ino(h, "one");
	two = edit_ino_in(h, one, "two");
	back = edit_ino_in(h, two, "back");
	ck_assert(low < one && one < two);
	edit_entry(h, "low", edit_ino_in(h, two, "tail"));
	edit_entry_in(h, two, "tail", low);
	edit_entry(h, "one", back);
	edit_entry_in(h, two, "back", one);
	healed_repair(h, "cycle with a tail");
	ck_assert_uint_eq(h->result.nr_reconnected, 1);
	healed_expect(h, &harm, "cycle with a tail");
	healed_end(h);
	free(h);
}
END_TEST

/* A bit of a slot is wrong, in what says that it is one, its type, its map or its checksum: all is
 * as it was. */
START_TEST(bit_of_slot)
{
	static const char *const names[] = { "file", "extents", "dir", "short link", "pipe" };
	static const unsigned int bits[] = { 3, 4 * 8 + 1, 6 * 8 + 3, 6 * 8 + 12, 6 * 8 + 14,
		6 * 8 + 15, 8 * 8, 24 * 8, 32 * 8 + 50, 114 * 8 + 2, 128 * 8 + 70, 128 * 8 + 5 };
	struct healed *h = malloc(sizeof(*h));
	struct harm harm = { .paths = false };
	char what[60];

	healed_begin(h);
	for (unsigned int i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		struct ddfs_image img = healed_image(h);
		uint32_t ino = _i < 5 ? edit_ino(h, names[_i]) : DDFS_INO_ROOT;
		uint64_t off = ddfs_image_slot_off(&img, ino);

		ddfs_image_close(&img);
		snprintf(what, sizeof(what), "inode %u, bit %u", ino, bits[i]);
		healed_touch(h, off, DDFS_INODE_BYTES);
		h->r.writable[off + bits[i] / 8] ^= (uint8_t)(1u << bits[i] % 8);
		healed_repair(h, what);
		healed_expect(h, &harm, what);
		healed_mend(h);
	}
	healed_end(h);
	free(h);
}
END_TEST

/* A root block that can't be made readable: once the superblock says so, that is no damage. */
START_TEST(sole_root)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_fsck_result r;

	healed_begin(h);
	ram_poison(&h->r, _i ? STAGE_SIZE - 8192 : DDFS_ROOT_BLOCK_OFF);
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
	ck_assert_uint_eq(r.nr_left, 0);
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_NO, &r), 0);
	ck_assert_uint_eq(r.nr_problems, 0);
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
	ck_assert_uint_eq(r.nr_problems, 0);
	ram_heal(&h->r, _i ? STAGE_SIZE - 8192 : DDFS_ROOT_BLOCK_OFF);
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
	ck_assert_uint_eq(r.nr_left, 0);
	healed_repair(h, "sole root block");
	healed_end(h);
	free(h);
}
END_TEST

static void listen_for_controls(void *arg, const char *problem, bool fixed)
{
	unsigned int *nr = arg;

	(void)fixed;
	for (; *problem; problem++)
		ck_assert_int_ge(*problem & 0xff, ' ');
	++*nr;
}

/* Names are told, also when they go, such that a terminal obeys none of them. */
START_TEST(names_told)
{
	static const char name[] = "a\033]0;title\007b";
	unsigned int nr = 0;
	struct ddfs_fsck_options opt = {
		.mode = DDFS_FSCK_YES, .nr_threads = 1, .say = listen_for_controls, .arg = &nr
	};
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_fsck_result r;
	struct ddfs_inode *root;
	struct ddfs_fs *fs;

	healed_begin(h);
	fs = ram_mount(&h->r, NULL);
	root = ram_root(fs);
	ck_assert_int_eq(tree_make(root, name, S_IFREG | 0600), 0);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	edit_entry(h, name, 4000);
	ck_assert_int_eq(ddfs_fsck(&h->r.media, &opt, &r), 0);
	ck_assert_uint_eq(r.nr_left, 0);
	ck_assert_uint_gt(nr, 1);
	healed_end(h);
	free(h);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "rules", rule, 2 * NR_RULES },
		{ "bit of a slot", bit_of_slot, 6 },
		{ "names that are told", names_told, 0 },
		{ "sole root block", sole_root, 2 },
		{ "cycle with a tail", cycle_with_a_tail, 0 },
	};

	return suite_run("fsck_repair_rules", cases, sizeof(cases) / sizeof(cases[0]));
}
