/* SPDX-License-Identifier: BSD-3-Clause */
/* Metadumps of memory that can't be read in places: all else is there. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fsck/fsck.h"
#include "tests/unit/image_patient.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"
#include "tools/ddfs_metadump.h"
#include "tools/ddfs_metadump_collect.h"
#include "tools/ddfs_metadump_scramble.h"

/* A dump, and what restoring it gives. */
struct dumped {
	struct ram r;
	uint64_t *done, *seen;
	struct ddfs_collect c;
	uint64_t nr_written, nr_restored, nr_lost, nr_made;
};

static int check_head(void *arg, const struct ddfs_metadump_head *h)
{
	const struct dumped *d = arg;

	ck_assert_uint_eq(ddfs_le64(h->device_bytes), d->r.media.size);
	return 0;
}

static int restore_run(void *arg, uint64_t start, uint32_t nr, const uint8_t *blocks)
{
	struct dumped *d = arg;

	memcpy(d->r.writable + start * DDFS_BLOCK_BYTES, blocks, nr * (size_t)DDFS_BLOCK_BYTES);
	d->nr_restored += nr;
	return 0;
}

static void dump(struct dumped *d, const struct ddfs_image *img, bool scramble)
{
	struct ddfs_metadump_reading reading = { check_head, restore_run, d };
	uint64_t size = img->media->size;
	int fd = memfd_create("metadump", MFD_CLOEXEC);

	memset(d, 0, sizeof(*d));
	ram_init(&d->r, size, 4096);
	d->c = (struct ddfs_collect){ .img = img,
		.from = img,
		.done = calloc(size / 4096, 8),
		.seen = calloc(size / 4096, 8) };
	ck_assert_int_eq(ddfs_metadump_writer_new(fd, size, 0, &d->c.to), 0);
	if (scramble)
		ck_assert_int_eq(ddfs_scramble_new(img, &d->c.scramble), 0);
	ck_assert_int_eq(ddfs_collect_fixed(&d->c), 0);
	ddfs_collect_inodes(&d->c);
	ck_assert_int_eq(ddfs_metadump_writer_end(d->c.to, &d->nr_written), 0);
	if (scramble) {
		d->nr_lost = ddfs_scramble_nr_lost(d->c.scramble);
		d->nr_made = ddfs_scramble_nr_made(d->c.scramble);
	}
	ddfs_scramble_delete(d->c.scramble);
	lseek(fd, 0, SEEK_SET);
	ck_assert_int_eq(ddfs_metadump_read(fd, &reading), 0);
	ck_assert_uint_eq(d->nr_restored, d->nr_written);
	close(fd);
}

static void dump_fini(struct dumped *d)
{
	free(d->c.done);
	free(d->c.seen);
	ram_fini(&d->r);
}

/* What a walk of the same inode finds in another image. */
static struct found walk_in(struct ram *r, uint32_t ino, enum tree tree)
{
	struct ddfs_inode_disk di;
	struct found f = { 0 };
	struct ddfs_image img;

	ck_assert_int_eq(ddfs_image_open(&r->media, 0, &img), 0);
	ck_assert_int_eq(ddfs_image_inode(&img, ino, &di), 0);
	ck_assert_int_eq(patient_walk(&img, &di, tree, &f), 0);
	ddfs_image_close(&img);
	return f;
}

static const struct {
	const char *name;
	enum tree tree;
} trees[] = { { "extents", EXTENTS }, { "dir", NAMES }, { "file", XATTRS } };

START_TEST(whole)
{
	bool scramble = _i / 3;
	struct found f;
	struct patient p;
	struct dumped d;

	patient_begin(&p, trees[_i % 3].name, trees[_i % 3].tree);
	dump(&d, &p.img, scramble);
	ck_assert_uint_eq(d.c.nr_unreadable, 0);
	ck_assert_uint_eq(d.c.nr_left_out, 0);
	f = walk_in(&d.r, p.ino, p.tree);
	ck_assert_uint_eq(f.faults, 0);
	ck_assert_uint_eq(f.nr, p.healthy.nr);
	ck_assert_uint_eq(f.nr_nodes, p.healthy.nr_nodes);
	dump_fini(&d);
	patient_end(&p);
}
END_TEST

/* Each node of a tree by itself. The root of a value's chain takes the rest of it along. */
START_TEST(poisoned_nodes)
{
	bool scramble = _i / 3;
	struct patient p;

	patient_begin(&p, trees[_i % 3].name, trees[_i % 3].tree);
	for (unsigned int i = 0; i < p.healthy.nr_nodes; i++) {
		struct found before = { 0 }, f;
		struct dumped d;

		ram_poison(&p.r, p.healthy.node[i] * DDFS_BLOCK_BYTES);
		ck_assert_int_eq(patient_walk(&p.img, p.di, p.tree, &before), 0);
		dump(&d, &p.img, scramble);
		ck_assert_uint_eq(d.c.nr_unreadable, 1);
		f = walk_in(&d.r, p.ino, p.tree);
		ck_assert_uint_eq(f.faults, BIT(NODE));
		ck_assert_uint_eq(f.nr, before.nr);
		dump_fini(&d);
		ram_heal(&p.r, p.healthy.node[i] * DDFS_BLOCK_BYTES);
	}
	patient_end(&p);
}
END_TEST

/* The first of each pair, the group table, the log, the chunk table, a block of inodes. */
START_TEST(poisoned_fixed)
{
	bool scramble = _i;
	struct patient p;
	struct found f;
	struct dumped d;

	patient_begin(&p, "extents", EXTENTS);
	ram_poison(&p.r, 0);
	ram_poison(&p.r, DDFS_ROOT_BLOCK_OFF);
	ram_poison(&p.r, DDFS_GROUP_TABLE_OFF);
	ram_poison(&p.r, ddfs_le64(p.img.super.lanes_off));
	ram_poison(&p.r, ddfs_le64(p.img.super.chunk_table_off));
	ram_poison(&p.r, p.img.table_blks[7] * DDFS_BLOCK_BYTES);
	ddfs_image_close(&p.img);
	ck_assert_int_eq(ddfs_image_open(&p.r.media, 0, &p.img), 0);
	dump(&d, &p.img, scramble);
	/* Scrambled, lanes are not there, and a superblock that does not hold is left out. */
	ck_assert_uint_eq(d.c.nr_unreadable, scramble ? 4 : 6);
	ck_assert_uint_eq(d.c.nr_left_out, scramble ? 1 : 0);
	f = walk_in(&d.r, p.ino, EXTENTS);
	ck_assert_uint_eq(f.faults, 0);
	ck_assert_uint_eq(f.nr, STAGE_EXTENTS);
	dump_fini(&d);
	patient_end(&p);
}
END_TEST

static const char secret[] = "what is in the file ";

static bool has_secret(const struct dumped *d)
{
	return memmem(d->r.writable, STAGE_SIZE, secret, sizeof(secret) - 1);
}

/* Both root blocks fail their checksums, and say that the data of a file is of the inode table. */
START_TEST(data_taken_for_inodes)
{
	bool scramble = _i;
	struct ddfs_inode_disk di;
	struct patient p;
	struct dumped d;
	uint64_t data;

	patient_begin(&p, "extents", EXTENTS);
	data = p.img.end_block - 4;
	for (size_t at = 0; at + sizeof(secret) < 4 * DDFS_BLOCK_BYTES; at += sizeof(secret) - 1)
		memcpy(p.r.writable + data * DDFS_BLOCK_BYTES + at, secret, sizeof(secret) - 1);
	di = p.img.table;
	di.body.extent[0] = (struct ddfs_extent){ ddfs_to32(0), ddfs_to32(4), ddfs_to64(data) };
	memcpy(p.r.writable + DDFS_ROOT_BLOCK_OFF, &di, sizeof(di));
	memcpy(p.r.writable + p.img.end_block * DDFS_BLOCK_BYTES, &di, sizeof(di));
	ddfs_image_close(&p.img);
	ck_assert_int_eq(ddfs_image_open(&p.r.media, 0, &p.img), 0);
	ck_assert_uint_ge(p.img.nr_slots, 4 * DDFS_INODES_PER_BLOCK);
	dump(&d, &p.img, scramble);
	ck_assert(!has_secret(&d));
	ck_assert_uint_ge(d.c.nr_left_out, 4);
	dump_fini(&d);
	patient_end(&p);
}
END_TEST

/* Of a slot whose checksum fails, what says that it is one is kept, and no more. */
START_TEST(slot_taken_for_another)
{
	struct patient p;
	struct dumped d;
	uint8_t *slot;

	patient_begin(&p, "extents", EXTENTS);
	slot = p.r.writable + ddfs_image_slot_off(&p.img, p.ino);
	memcpy(slot, secret, sizeof(secret) - 1);
	memcpy(slot + 128, secret, sizeof(secret) - 1);
	dump(&d, &p.img, true);
	ck_assert(!has_secret(&d));
	ck_assert_uint_eq(d.c.nr_left_out, 1);
	dump_fini(&d);
	patient_end(&p);
}
END_TEST

/* ---- a large directory ---------------------------------------------------------------------- */

#define LARGE_SIZE  (UINT64_C(64) << 20)
#define LARGE_NAMES 20000u

/* Names of one file, of 8 to 50 bytes, some of 4 or 5, some of 250. */
static void make_large(struct ram *r)
{
	struct ddfs_inode *root, *dir, *ip;
	struct ddfs_fs *fs;
	char name[256];

	ram_mkfs(r, LARGE_SIZE, 4096);
	fs = ram_mount(r, NULL);
	root = ram_root(fs);
	dir = tree_make_get(root, "large", S_IFDIR | 0700);
	ip = tree_make_get(root, "file", S_IFREG | 0600);
	for (unsigned int i = 0; i < LARGE_NAMES; i++) {
		int len = i % 1000 == 7 ? 250 : i % 100 == 3 ? 4 : 8 + (int)(i * 7 % 43);

		len = snprintf(name, sizeof(name), "%0*x", len, i);
		ck_assert_int_eq(
			ddfs_link(ip, dir, name, (size_t)len, &(struct ddfs_entry){ 0 }), 0);
	}
	ddfs_inode_put(ip);
	ddfs_inode_put(dir);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
}

static int count_name(void *arg, const struct ddfs_image_record *rec)
{
	unsigned int *nr = arg;

	(void)rec;
	++*nr;
	return 0;
}

static unsigned int nr_names(const struct ddfs_image *img)
{
	unsigned int nr = 0;
	struct ddfs_image_walk walk = { .arg = &nr, .record = count_name };
	struct ddfs_inode_disk dir = stage_inode(img, "large");

	ck_assert_uint_gt(dir.depth, 0);
	ck_assert_int_eq(ddfs_image_walk_names(img, &dir, &walk), 0);
	return nr;
}

static void say(void *arg, const char *problem, bool fixed)
{
	(void)arg;
	(void)fixed;
	fprintf(stderr, "  %s\n", problem);
}

/* All names are others, and for each no more than a few had to be made up. */
START_TEST(large_directory)
{
	struct ddfs_fsck_options opt = { .mode = DDFS_FSCK_NO, .nr_threads = 1, .say = say };
	struct ddfs_fsck_result result;
	struct ddfs_image img;
	struct dumped d;
	struct ram r;

	make_large(&r);
	ck_assert_int_eq(ddfs_image_open(&r.media, 0, &img), 0);
	ck_assert_uint_eq(nr_names(&img), LARGE_NAMES);
	dump(&d, &img, true);
	ddfs_image_close(&img);
	ck_assert_uint_eq(d.nr_lost, 0);
	ck_assert_uint_lt(d.nr_made, 10 * LARGE_NAMES);
	ck_assert_int_eq(ddfs_fsck(&d.r.media, &opt, &result), 0);
	ck_assert_uint_eq(result.nr_problems, 0);
	dump_fini(&d);
	ram_fini(&r);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "whole", whole, 6 },
		{ "poisoned nodes", poisoned_nodes, 6 },
		{ "poisoned fixed structures", poisoned_fixed, 2 },
		{ "data taken for inodes", data_taken_for_inodes, 2 },
		{ "slot taken for another", slot_taken_for_another, 0 },
		{ "large directory", large_directory, 0 },
	};

	return suite_run("metadump", cases, sizeof(cases) / sizeof(*cases));
}
