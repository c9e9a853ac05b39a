/* SPDX-License-Identifier: BSD-3-Clause */
/* Repairs of what takes more to set up, or to look at: blocks of the inode table, poison, orphans,
 * lost+found, the log. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/csum.h"
#include "tests/unit/repair_edit.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

/* ---- the inode table, poison ---------------------------------------------------------------- */

/* Of a block of the inode table nothing is left; all other inodes are. */
START_TEST(table_block)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_image img;
	char what[40];
	struct rng rng;

	healed_begin(h);
	img = healed_image(h);
	for (uint32_t i = 0; i < img.nr_slots / DDFS_INODES_PER_BLOCK; i++) {
		struct harm harm = { .paths = true };
		uint64_t off = img.table_blks[i] * 4096;

		rng_seed(&rng, i + 1);
		healed_touch(h, off, 4096);
		for (unsigned int b = 0; b < 4096; b++)
			h->r.writable[off + b] = (uint8_t)rng_next(&rng);
		snprintf(what, sizeof(what), "table block %u", i);
		healed_repair(h, what);
		for (uint32_t ino = 0; ino < HEALED_INODES; ino++)
			if (ino / DDFS_INODES_PER_BLOCK == i)
				h->after[ino] = h->before[ino];
		healed_expect(h, &harm, what);
		healed_mend(h);
	}
	ddfs_image_close(&img);
	healed_end(h);
	free(h);
}
END_TEST

static void note_nodes(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	uint32_t *owner = arg;

	owner[blk] = ddfs_le32(n->owner);
}

/* Of each block the inode whose structure it is; the table's count as 0. */
static uint32_t *find_structures(struct healed *h)
{
	uint32_t *owner = malloc(STAGE_SIZE / 4096 * sizeof(*owner));
	struct ddfs_image img = healed_image(h);
	struct ddfs_image_walk walk = { .arg = owner, .node = note_nodes };
	struct ddfs_inode_disk di;

	memset(owner, 0xff, STAGE_SIZE / 4096 * sizeof(*owner));
	for (uint32_t ino = 1; ino < img.nr_slots; ino++) {
		if (ddfs_image_inode(&img, ino, &di) || ddfs_image_inode_is_free(&di))
			continue;
		if (S_ISDIR(ddfs_le16(di.mode)))
			ddfs_image_walk_names(&img, &di, &walk);
		else if (S_ISREG(ddfs_le16(di.mode)))
			ddfs_image_walk_extents(&img, &di, &walk);
		ddfs_image_walk_xattrs(&img, &di, &walk);
	}
	for (uint32_t i = 0; i < img.nr_slots / DDFS_INODES_PER_BLOCK; i++)
		owner[img.table_blks[i]] = 0;
	ddfs_image_close(&img);
	return owner;
}

static uint32_t table_index(struct healed *h, uint64_t blk)
{
	struct ddfs_image img = healed_image(h);
	uint32_t i = 0;

	while (img.table_blks[i] != blk)
		i++;
	ddfs_image_close(&img);
	return i;
}

/* A node, or a block of the table, that can't be read is left out, and its block not used. */
START_TEST(poison)
{
	struct healed *h = malloc(sizeof(*h));
	unsigned int nr = 0;
	uint32_t *owner;
	char what[40];

	healed_begin(h);
	owner = find_structures(h);
	for (uint64_t b = 0; b < STAGE_SIZE / 4096; b++) {
		struct harm harm = { .ino = { owner[b] }, .paths = true };
		uint32_t first = owner[b] ? 0 : table_index(h, b);

		if (owner[b] == UINT32_MAX)
			continue;
		nr++;
		snprintf(what, sizeof(what), "poison of block %lu", b);
		ram_poison(&h->r, b * 4096);
		healed_repair(h, what);
		for (uint32_t ino = 0; ino < HEALED_INODES && !owner[b]; ino++)
			if (ino / DDFS_INODES_PER_BLOCK == first)
				h->after[ino] = h->before[ino];
		healed_expect(h, &harm, what);
		ram_heal(&h->r, b * 4096);
		healed_mend(h);
	}
	ck_assert_uint_gt(nr, 15);
	free(owner);
	healed_end(h);
	free(h);
}
END_TEST

/* Fixed structures that can't be read, nor made anew on this device: nothing is lost. */
START_TEST(poison_fixed)
{
	const struct ddfs_super *s;
	struct healed *h = malloc(sizeof(*h));
	struct harm harm = { .paths = false };

	healed_begin(h);
	s = (const void *)h->healthy;
	const uint64_t off[] = { 0, DDFS_ROOT_BLOCK_OFF, DDFS_GROUP_TABLE_OFF,
		ddfs_le64(s->lanes_off), ddfs_le64(s->chunk_table_off), ddfs_le64(s->pins_off),
		ddfs_le64(s->bad_off), STAGE_SIZE - 8192, STAGE_SIZE - 4096 };

	for (unsigned int i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		struct ddfs_fsck_result r;
		struct ddfs_fs *fs;

		ram_poison(&h->r, off[i]);
		ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
		ram_heal(&h->r, off[i]);
		ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
		ck_assert_uint_eq(r.nr_left, 0);
		fs = ram_mount(&h->r, NULL);
		healed_look(fs, h->after);
		ck_assert_int_eq(ddfs_fs_close(fs), 0);
		healed_expect(h, &harm, "fixed structures");
		healed_mend(h);
	}
	healed_end(h);
	free(h);
}
END_TEST

/* What was removed while it was open, and its entry lost, is an orphan again, and freed. */
START_TEST(lost_orphan)
{
	struct healed *h = malloc(sizeof(*h));
	struct harm harm = { .paths = false };
	struct ddfs_inode *root, *ip;
	struct ddfs_inode_disk di;
	struct ddfs_image img;
	struct ddfs_fs *fs;
	uint8_t *cut;

	healed_begin(h);
	fs = ram_mount(&h->r, NULL);
	root = ram_root(fs);
	ip = tree_get(root, "file");
	harm.ino[0] = edit_ino(h, "file");
	ck_assert_int_eq(ddfs_open(ip, 2, false, NULL), 0);
	ck_assert_int_eq(tree_unlink(root, "file"), 0);
	cut = malloc(STAGE_SIZE);
	memcpy(cut, h->r.writable, STAGE_SIZE);
	ddfs_release(ip);
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	memcpy(h->r.writable, cut, STAGE_SIZE);
	free(cut);
	img = healed_image(h);
	ck_assert_int_eq(ddfs_image_inode(&img, DDFS_INO_ORPHAN, &di), 0);
	edit_bytes(h, ddfs_le64(di.body.root) * 4096, 4096, 0x11);
	ddfs_image_close(&img);
	healed_repair(h, "lost orphan");
	ck_assert_uint_eq(h->result.nr_reconnected, 0);
	ck_assert_uint_eq(h->result.nr_orphans, 1);
	ck_assert_uint_eq(h->after[harm.ino[0]].hash, 0);
	harm.ino[1] = DDFS_INO_ORPHAN;
	healed_expect(h, &harm, "lost orphan");
	healed_end(h);
	free(h);
}
END_TEST

/* ---- lost+found ----------------------------------------------------------------------------- */

static void look_again(struct healed *h, struct ddfs_inode **root, struct ddfs_fs **fs)
{
	*fs = ram_mount(&h->r, NULL);
	*root = ram_root(*fs);
}

static void close_again(struct ddfs_inode *root, struct ddfs_fs *fs)
{
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
}

/* Lost and found: a directory of that mode, and what is in it has its number for a name. */
START_TEST(lost_found)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_inode *root, *lf, *ip;
	struct ddfs_fsck_result r;
	struct ddfs_attr a;
	struct ddfs_fs *fs;
	char name[16];
	uint32_t file;

	healed_begin(h);
	file = edit_ino(h, "file");
	edit_entry(h, "file", edit_ino(h, "pipe"));
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
	ck_assert_uint_eq(r.nr_left, 0);
	ck_assert_uint_eq(r.nr_reconnected, 1);
	look_again(h, &root, &fs);
	lf = tree_get(root, "lost+found");
	ddfs_getattr(lf, &a);
	ck_assert_uint_eq(a.mode, S_IFDIR | 0700);
	ck_assert_uint_eq(a.uid, 0);
	snprintf(name, sizeof(name), "#%u", file);
	ip = tree_get(lf, name);
	ddfs_getattr(ip, &a);
	ck_assert_uint_eq(a.ino, file);
	ck_assert_uint_eq(a.nlink, 1);
	ddfs_inode_put(ip);
	ddfs_inode_put(lf);
	close_again(root, fs);
	healed_end(h);
	free(h);
}
END_TEST

/* A file of that name, and a name in the way, are left alone. */
START_TEST(lost_found_in_the_way)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_inode *root, *lf;
	struct ddfs_fsck_result r;
	struct ddfs_entry e;
	struct ddfs_fs *fs;
	char name[16];

	healed_begin(h);
	snprintf(name, sizeof(name), "#%u", edit_ino(h, "file"));
	look_again(h, &root, &fs);
	ck_assert_int_eq(tree_make(root, "lost+found", S_IFREG | 0600), 0);
	lf = tree_make_get(root, "lost+found.1", S_IFDIR | 0700);
	ck_assert_int_eq(tree_make(lf, name, S_IFREG | 0600), 0);
	ddfs_inode_put(lf);
	close_again(root, fs);
	edit_entry(h, "file", edit_ino(h, "pipe"));
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
	ck_assert_uint_eq(r.nr_left, 0);
	ck_assert_uint_eq(r.nr_reconnected, 1);
	look_again(h, &root, &fs);
	lf = tree_get(root, "lost+found.1");
	ck_assert_int_eq(ddfs_lookup(lf, name, strlen(name), &e), 0);
	ck_assert_uint_eq(e.attr.size, 0);
	ddfs_inode_put(lf);
	close_again(root, fs);
	healed_repair(h, "in the way");
	healed_end(h);
	free(h);
}
END_TEST

/* No slot is free for lost+found: the table grows. */
START_TEST(lost_found_needs_a_slot)
{
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_inode *root;
	struct ddfs_image img;
	struct ddfs_fsck_result r;
	struct ddfs_fs *fs;
	uint32_t nr_slots;
	char name[16];

	healed_begin(h);
	img = healed_image(h);
	nr_slots = img.nr_slots;
	ddfs_image_close(&img);
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_NO, &r), 0);
	look_again(h, &root, &fs);
	for (uint64_t i = DDFS_INO_FIRST + r.nr_inodes; i < nr_slots; i++) {
		snprintf(name, sizeof(name), "fill %lu", i);
		ck_assert_int_eq(tree_make(root, name, S_IFREG | 0600), 0);
	}
	close_again(root, fs);
	img = healed_image(h);
	ck_assert_uint_eq(nr_slots, img.nr_slots);
	ddfs_image_close(&img);
	edit_entry(h, "file", edit_ino(h, "pipe"));
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_YES, &r), 0);
	ck_assert_uint_eq(r.nr_left, 0);
	ck_assert_uint_eq(r.nr_reconnected, 1);
	ck_assert_uint_gt(r.nr_slots, nr_slots);
	healed_repair(h, "no slot");
	healed_end(h);
	free(h);
}
END_TEST

/* ---- lanes, modes --------------------------------------------------------------------------- */

static void put_lane(struct healed *h, uint64_t state, bool holds)
{
	const struct ddfs_super *s = (const void *)h->healthy;
	struct {
		struct ddfs_lane_header head;
		struct ddfs_lane_record rec;
		struct ddfs_inode_disk di;
	} lane = { .head = { .nr_bytes = ddfs_to32(272), .state = ddfs_to64(state) } };
	struct ddfs_image img = healed_image(h);
	uint64_t off = ddfs_le64(s->lanes_off) + DDFS_LANE_BYTES;

	lane.rec.off = ddfs_to64(ddfs_image_slot_off(&img, edit_ino(h, "file")));
	lane.rec.len = ddfs_to32(sizeof(lane.di));
	lane.di = edit_inode(h, "file");
	lane.di.uid = ddfs_to32(4711);
	ddfs_csum_seal(edit_seed(h), ddfs_le64(lane.rec.off), &lane.di, sizeof(lane.di));
	ddfs_image_close(&img);
	edit_store(h, off, &lane, sizeof(lane));
	h->r.writable[off] ^= !holds;
}

static void set_mounted(struct ddfs_super *s)
{
	s->state = ddfs_to32(DDFS_STATE_MOUNTED);
}

static uint32_t uid_of(struct healed *h, const char *name)
{
	return ddfs_le32(edit_inode(h, name).uid);
}

/* Committed, torn, of no known state: what a preen may, and what the rest does. */
START_TEST(lanes)
{
	static const struct {
		uint64_t state;
		bool holds;
		uint32_t uid, nr_replayed;
		bool safe;
	} cases[] = { { 1, true, 4711, 1, true }, { 1, false, 0, 0, true },
		{ 7, true, 0, 0, false } };
	struct healed *h = malloc(sizeof(*h));
	struct ddfs_fsck_result r;

	healed_begin(h);
	healed_touch(h, 0, 4096);
	healed_touch(h, STAGE_SIZE - 4096, 4096);
	stage_change_super(&h->r, set_mounted);
	put_lane(h, cases[_i].state, cases[_i].holds);
	ck_assert_int_eq(healed_fsck(h, DDFS_FSCK_PREEN, &r), 0);
	ck_assert_uint_eq(r.nr_left == 0, cases[_i].safe);
	ck_assert_uint_eq(r.nr_lanes_replayed, cases[_i].nr_replayed);
	ck_assert_uint_eq(uid_of(h, "file"), cases[_i].uid);
	healed_repair(h, "lanes");
	healed_end(h);
	free(h);
}
END_TEST

static bool answer(void *arg, const char *question)
{
	bool *yes = arg;

	ck_assert_uint_gt(strlen(question), 10);
	return *yes;
}

/* Asked, and told no, nothing is stored but the mark that it is not clean. */
START_TEST(asks)
{
	struct healed *h = malloc(sizeof(*h));
	bool yes = false;
	struct ddfs_fsck_options opt = {
		.mode = DDFS_FSCK_ASK, .nr_threads = 1, .ask = answer, .arg = &yes
	};
	struct ddfs_fsck_result r;

	healed_begin(h);
	edit_entry(h, "file", edit_ino(h, "pipe"));
	edit_bytes(h, STAGE_SIZE - 4096, 4096, 0x5a);
	h->nr_stores = 0;
	ck_assert_int_eq(ddfs_fsck(&h->r.media, &opt, &r), 0);
	ck_assert_uint_gt(r.nr_left, 0);
	ck_assert_uint_eq(h->nr_stores, 0);
	yes = true;
	ck_assert_int_eq(ddfs_fsck(&h->r.media, &opt, &r), 0);
	ck_assert_uint_eq(r.nr_left, 0);
	ck_assert_uint_eq(r.nr_reconnected, 1);
	healed_end(h);
	free(h);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "blocks of the table", table_block, 0 },
		{ "poison", poison, 0 },
		{ "poison of fixed structures", poison_fixed, 0 },
		{ "lost orphan", lost_orphan, 0 },
		{ "lost+found", lost_found, 0 },
		{ "lost+found in the way", lost_found_in_the_way, 0 },
		{ "lost+found needs a slot", lost_found_needs_a_slot, 0 },
		{ "lanes", lanes, 3 },
		{ "asks", asks, 0 },
	};

	return suite_run("fsck_repair_cases", cases, sizeof(cases) / sizeof(cases[0]));
}
