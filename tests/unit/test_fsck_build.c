/* SPDX-License-Identifier: BSD-3-Clause */
/* Trees made in one go, read back by the image's walks. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/csum.h"
#include "fsck/tree_build.h"
#include "tests/unit/image_stage.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#define OWNER 77u
#define FIRST 1024u /* blocks to build in: nobody has them */

struct site {
	struct ram r;
	struct ddfs_image img;
	struct fsck_builder b;
	uint64_t next, end, nr_put;
};

static int get(void *arg, uint64_t *blk)
{
	struct site *s = arg;

	if (s->next == s->end)
		return -ENOSPC;
	*blk = s->next++;
	return 0;
}

static void put(void *arg, uint64_t blk, struct ddfs_node *n)
{
	struct site *s = arg;

	ddfs_csum_seal(s->img.seed, blk * 4096, n, sizeof(*n));
	memcpy(s->r.writable + blk * 4096, n, sizeof(*n));
	s->nr_put++;
}

static void begin(struct site *s)
{
	ram_mkfs(&s->r, STAGE_SIZE, 4096);
	ck_assert_int_eq(ddfs_image_open(&s->r.media, DDFS_IMAGE_HASH_ANY, &s->img), 0);
	s->b = (struct fsck_builder){ s, get, put };
	s->next = FIRST;
	s->end = s->img.end_block;
	s->nr_put = 0;
}

static void end(struct site *s)
{
	ddfs_image_close(&s->img);
	ram_fini(&s->r);
}

/* ---- what a walk finds ---------------------------------------------------------------------- */

struct found {
	uint64_t nr, nr_nodes, nr_faults;
	const struct fsck_extents *x;
	uint64_t last_key;
	uint8_t name_seen[8192];
};

static void node(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct found *f = arg;

	ck_assert_uint_ge(blk, FIRST);
	ck_assert_uint_eq(ddfs_le32(n->owner), OWNER);
	f->nr_nodes++;
}

static void fault(void *arg, enum ddfs_image_fault what, uint64_t blk, uint64_t from, uint64_t to)
{
	struct found *f = arg;

	(void)from;
	(void)to;
	fprintf(stderr, "block %lu: %s\n", blk, ddfs_image_fault_text(what));
	f->nr_faults++;
}

static int extent(void *arg, const struct ddfs_extent *e)
{
	struct found *f = arg;

	ck_assert_uint_lt(f->nr, f->x->nr);
	ck_assert_int_eq(memcmp(e, &f->x->e[f->nr++], sizeof(*e)), 0);
	return 0;
}

/* Names are numbers. */
static int record(void *arg, const struct ddfs_image_record *r)
{
	struct found *f = arg;
	struct ddfs_dirent_value v;
	char name[256];

	ck_assert_uint_gt(r->key, f->last_key);
	f->last_key = r->key;
	memcpy(name, r->name, r->name_len);
	name[r->name_len] = 0;
	memcpy(&v, r->value, sizeof(v));
	ck_assert_uint_eq(ddfs_le32(v.ino), strtoul(name, NULL, 10));
	ck_assert_uint_eq(f->name_seen[ddfs_le32(v.ino)]++, 0);
	f->nr++;
	return 0;
}

/* ---- extents -------------------------------------------------------------------------------- */

static const size_t nr_extents[] = { 0, 1, 4, 5, 253, 254, 255, 508, 509, 70000 };

START_TEST(extents)
{
	size_t nr = nr_extents[_i];
	struct fsck_extents x = { 0 };
	struct found f = { .x = &x };
	struct ddfs_image_walk walk = { &f, NULL, node, extent, NULL, fault };
	struct ddfs_inode_disk di = { .mode = ddfs_to16(S_IFREG) };
	uint64_t nr_nodes = 99;
	struct site s;

	begin(&s);
	for (size_t i = 0; i < nr; i++)
		ck_assert_int_eq(fsck_extents_add(&x, (uint32_t)i * 3, 1 + (i & 1),
					 (600 + i % 300) | (i % 5 ? 0 : DDFS_EXTENT_UNWRITTEN)),
			0);
	ck_assert_uint_eq(x.nr, nr);
	ck_assert_int_eq(fsck_extents_build(&x, &s.b, OWNER, &di, &nr_nodes), 0);
	ck_assert_int_eq(ddfs_image_walk_extents(&s.img, &di, &walk), 0);
	ck_assert_uint_eq(f.nr, nr);
	ck_assert_uint_eq(f.nr_faults, 0);
	ck_assert_uint_eq(f.nr_nodes, nr_nodes);
	ck_assert_uint_eq(s.nr_put, nr_nodes);
	ck_assert_uint_eq(di.depth == 0, nr <= DDFS_INLINE_EXTENTS);
	/* No more than it takes. */
	ck_assert_uint_le(nr_nodes, nr / 254 + nr / 254 / 254 + 3);
	fsck_extents_fini(&x);
	end(&s);
}
END_TEST

START_TEST(extents_join)
{
	struct fsck_extents x = { 0 };

	ck_assert_int_eq(fsck_extents_add(&x, 0, 2, 700), 0);
	ck_assert_int_eq(fsck_extents_add(&x, 2, 3, 702), 0);
	ck_assert_uint_eq(x.nr, 1);
	ck_assert_uint_eq(ddfs_le32(x.e[0].len), 5);
	/* Not behind it on the device; behind a hole; unwritten. */
	ck_assert_int_eq(fsck_extents_add(&x, 5, 1, 706), 0);
	ck_assert_int_eq(fsck_extents_add(&x, 7, 1, 708), 0);
	ck_assert_int_eq(fsck_extents_add(&x, 8, 1, 709 | DDFS_EXTENT_UNWRITTEN), 0);
	ck_assert_int_eq(fsck_extents_add(&x, 9, 1, 710 | DDFS_EXTENT_UNWRITTEN), 0);
	ck_assert_uint_eq(x.nr, 4);
	fsck_extents_fini(&x);
}
END_TEST

START_TEST(no_room)
{
	struct ddfs_inode_disk di = { .mode = ddfs_to16(S_IFREG) }, was = di;
	struct fsck_extents x = { 0 };
	uint64_t nr_nodes = 0;
	struct site s;

	begin(&s);
	for (uint32_t i = 0; i < 600; i++)
		ck_assert_int_eq(fsck_extents_add(&x, i * 2, 1, 600), 0);
	for (unsigned int room = 0; room < 4; room++) {
		s.next = s.end - room;
		ck_assert_int_eq(fsck_extents_build(&x, &s.b, OWNER, &di, &nr_nodes), -ENOSPC);
		ck_assert_int_eq(memcmp(&di, &was, sizeof(di)), 0);
	}
	fsck_extents_fini(&x);
	end(&s);
}
END_TEST

/* ---- names ---------------------------------------------------------------------------------- */

static void add_name(struct fsck_names *l, uint64_t key, uint32_t number, size_t len)
{
	struct ddfs_dirent_value v = { ddfs_to32(number) };
	struct fsck_name n = { .key = key, .type = 8, .val_len = sizeof(v) };
	char name[256];

	n.name_len = (uint8_t)snprintf(name, sizeof(name), "%0*u", (int)len, number);
	ck_assert_int_eq(fsck_names_add(l, &n, name, &v), 0);
}

static void check_names(struct site *s, struct fsck_names *l, uint64_t nr)
{
	struct found *f = calloc(1, sizeof(*f));
	struct ddfs_image_walk walk = { f, NULL, node, NULL, record, fault };
	struct ddfs_inode_disk di = { .mode = ddfs_to16(S_IFDIR) };
	struct fsck_tree tree;

	ck_assert_int_eq(fsck_names_build(l, &s->b, OWNER, &tree), 0);
	di.body.root = ddfs_to64(tree.root);
	di.depth = tree.depth;
	ck_assert_uint_eq(tree.root == 0, nr == 0);
	ck_assert_int_eq(ddfs_image_walk_names(&s->img, &di, &walk), 0);
	ck_assert_uint_eq(f->nr_faults, 0);
	ck_assert_uint_eq(f->nr, nr);
	ck_assert_uint_eq(f->nr_nodes, tree.nr_nodes);
	ck_assert_uint_eq(s->nr_put, tree.nr_nodes);
	fsck_names_fini(l);
	free(f);
}

static const unsigned int nr_names[] = { 0, 1, 2, 100, 1000, 8000 };

START_TEST(names)
{
	struct fsck_names l = { 0 };
	struct rng rng;
	struct site s;

	begin(&s);
	rng_seed(&rng, 5);
	for (uint32_t i = 0; i < nr_names[_i]; i++)
		add_name(&l, (rng_next(&rng) >> 1 & ~UINT64_C(127)) | 128, i,
			1 + rng_below(&rng, 255));
	check_names(&s, &l, nr_names[_i]);
	end(&s);
}
END_TEST

/* Names of one hash: 128 at most, in one leaf, whatever number they had. */
START_TEST(names_of_one_hash)
{
	struct fsck_names l = { 0 };
	struct site s;

	begin(&s);
	for (uint32_t i = 0; i < 70; i++)
		add_name(&l, 128 * 9 + (i < 3 ? 5 : i), i, 3);
	for (uint32_t i = 70; i < 100; i++)
		add_name(&l, 128 * 10, i, 3);
	check_names(&s, &l, 100);
	end(&s);
}
END_TEST

START_TEST(names_that_do_not_fit)
{
	struct fsck_names l = { 0 };
	struct site s;

	begin(&s);
	/* 24 bytes and a slot of 8 each: 127 fit into a leaf's 4064; of 150 some are dropped. */
	for (uint32_t i = 0; i < 150; i++)
		add_name(&l, 128 * 9 + i % 128, i, 3);
	for (uint32_t i = 150; i < 160; i++)
		add_name(&l, 128 * 20 + i % 128, i, 3);
	/* Once more: the first is kept. */
	add_name(&l, 128 * 20 + 99, 155, 3);
	check_names(&s, &l, 127 + 10);
	end(&s);
}
END_TEST

/* ---- values --------------------------------------------------------------------------------- */

static const uint32_t value_len[] = { 1, 4055, 4056, 4057, 9000, 65536 };

START_TEST(values)
{
	uint32_t len = value_len[_i];
	uint8_t *value = malloc(len), *back = malloc(len);
	struct ddfs_image_record r = { .type = 1, .val_len = sizeof(struct ddfs_xattr_ref) };
	struct ddfs_xattr_ref ref;
	uint64_t nr_nodes = 0;
	struct site s;

	begin(&s);
	for (uint32_t i = 0; i < len; i++)
		value[i] = (uint8_t)(i * 11 + i / 256);
	ck_assert_int_eq(fsck_value_build(value, len, &s.b, OWNER, &ref, &nr_nodes), 0);
	ck_assert_uint_eq(nr_nodes, (len + 4055) / 4056);
	r.value = (const uint8_t *)&ref;
	ck_assert_int_eq(ddfs_image_xattr_value(&s.img, &r, back, len), 0);
	ck_assert_int_eq(memcmp(back, value, len), 0);
	free(value);
	free(back);
	end(&s);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "extents", extents, sizeof(nr_extents) / sizeof(nr_extents[0]) },
		{ "extents join", extents_join, 0 },
		{ "no room", no_room, 0 },
		{ "names", names, sizeof(nr_names) / sizeof(nr_names[0]) },
		{ "names of one hash", names_of_one_hash, 0 },
		{ "names that do not fit", names_that_do_not_fit, 0 },
		{ "values", values, sizeof(value_len) / sizeof(value_len[0]) },
	};

	return suite_run("fsck_build", cases, sizeof(cases) / sizeof(cases[0]));
}
