/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes of each kind of structure on media changed, one by one: with the checksum left as it was
 * (an error or, in a copy, nothing), and with a checksum that fits (whatever it then says, no
 * crash and no hang). Each image is mounted, everything in it read, changed and removed.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/csum.h"
#include "fs/format.h"
#include "fs/mkfs.h"
#include "tests/unit/check_image.h"
#include "tests/unit/image_stage.h"
#include "tests/unit/ram.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tests/unit/tree.h"

#define SIZE	   (UINT64_C(16) << 20)
#define SUPER_SEED 0x64646673u

/* An image that is damaged and mended again and again. */
struct patient {
	struct ram ram;
	uint8_t *healthy;
	uint8_t dirty[SIZE / 4096]; /* blocks that differ, perhaps */
	struct rng rng;
};

static void note_store(void *arg, uint64_t off, size_t len)
{
	struct patient *p = arg;

	for (uint64_t b = off / 4096; b <= (off + len - 1) / 4096; b++)
		p->dirty[b] = 1;
}

static void note_drain(void *arg)
{
	(void)arg;
}

static void mend(struct patient *p)
{
	for (size_t b = 0; b < SIZE / 4096; b++) {
		if (p->dirty[b])
			memcpy(p->ram.writable + b * 4096, p->healthy + b * 4096, 4096);
		p->dirty[b] = 0;
	}
}

static void begin(struct patient *p, const struct ram_ear *ear)
{
	struct ddfs_inode *root;
	struct ddfs_fs *fs;

	memset(p, 0, sizeof(*p));
	rng_seed(&p->rng, env_number("DDFS_SEED", 1));
	ram_mkfs(&p->ram, SIZE, 4096);
	fs = ram_mount(&p->ram, NULL);
	root = ram_root(fs);
	stage_populate(root);
	ddfs_inode_put(root);
	ck_assert_int_eq(ddfs_fs_close(fs), 0);
	ck_image(&p->ram.media);
	p->healthy = malloc(SIZE);
	memcpy(p->healthy, p->ram.writable, SIZE);
	p->ram.ear = ear;
}

static void end(struct patient *p)
{
	ram_fini(&p->ram);
	free(p->healthy);
	free(p);
}

/* ---- everything that can be done to an image ------------------------------------------------ */

struct child {
	char name[256];
	size_t len;
};

struct children {
	struct child *e;
	size_t nr;
};

static int collect(void *arg, const struct ddfs_dirent *d)
{
	struct children *c = arg;

	if (d->name[0] == '.' || c->nr == 300)
		return 0;
	memcpy(c->e[c->nr].name, d->name, d->name_len);
	c->e[c->nr++].len = d->name_len;
	return 0;
}

static void use_xattrs(struct ddfs_inode *ip)
{
	static char names[70000];
	static uint8_t value[DDFS_XATTR_SIZE_MAX];
	ssize_t n = ddfs_listxattr(ip, names, sizeof(names));

	for (char *at = names; n > 0 && at < names + n; at += strlen(at) + 1)
		ddfs_getxattr(ip, at, value, sizeof(value));
	ddfs_setxattr(ip, "user.another", "value", 5, 0, false);
	ddfs_removexattr(ip, "user.large");
}

static void use_file(struct ddfs_inode *ip)
{
	static uint8_t buf[1 << 16];
	struct ddfs_attr a;

	ddfs_getattr(ip, &a);
	ddfs_pread(ip, buf, sizeof(buf), 0);
	if (a.size)
		ddfs_pread(ip, buf, sizeof(buf), a.size - 1);
	ddfs_readlink(ip, (char *)buf, sizeof(buf));
	ddfs_seek(ip, 0, SEEK_HOLE);
	ddfs_seek(ip, 5000, SEEK_DATA);
	tree_fill(ip, 6000, 9000, 'x');
	ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 16384, NULL);
	ddfs_fallocate(ip, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096, NULL);
	a.size = 4096;
	ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, NULL);
}

static void use_dir(struct ddfs_inode *dir, unsigned int depth, unsigned int *budget)
{
	struct children c = { .e = malloc(300 * sizeof(*c.e)) };

	ddfs_readdir(dir, 0, true, collect, &c);
	for (size_t i = 0; i < c.nr && *budget; i++) {
		struct ddfs_inode *ip;
		struct ddfs_entry e;

		--*budget;
		if (ddfs_lookup(dir, c.e[i].name, c.e[i].len, &e) ||
			ddfs_inode_get(ddfs_inode_fs(dir), e.attr.id, &ip))
			continue;
		if (i % 8 == 0 || depth == 0) {
			use_xattrs(ip);
			use_file(ip);
		}
		if (S_ISDIR(e.attr.mode) && depth < 4)
			use_dir(ip, depth + 1, budget);
		ddfs_inode_put(ip);
		if (ddfs_unlink(dir, c.e[i].name, c.e[i].len) == -EISDIR)
			ddfs_rmdir(dir, c.e[i].name, c.e[i].len);
	}
	tree_make(dir, "made", S_IFREG | 0644);
	tree_rename(dir, "made", dir, "moved", 0);
	free(c.e);
}

/* Returns what the mount did. */
static int use_image(struct patient *p, struct ddfs_recovery *r)
{
	struct ddfs_fs_options opt = { .log = ram_log_nothing };
	struct ddfs_inode *root;
	unsigned int budget = 400;
	struct ddfs_statfs st;
	struct ddfs_fs *fs;
	int err = ddfs_fs_open(&p->ram.media, &opt, &fs);

	if (err)
		return err;
	ddfs_fs_recovery(fs, r);
	if (!ddfs_inode_get(fs, DDFS_ID_ROOT, &root)) {
		use_dir(root, 0, &budget);
		ddfs_inode_put(root);
	}
	ddfs_fs_statfs(fs, &st);
	ddfs_fs_close(fs);
	return 0;
}

/* ---- what is damaged ------------------------------------------------------------------------ */

struct part {
	uint64_t off;
	uint32_t len;
	uint32_t seed;
};

static uint32_t seed_of(const struct patient *p)
{
	return ddfs_le32(((const struct ddfs_super *)p->healthy)->csum_seed);
}

static uint64_t table_off(const struct patient *p)
{
	const struct ddfs_inode_disk *t = (const void *)(p->healthy + DDFS_ROOT_BLOCK_OFF);

	return ddfs_le64(t->body.extent[0].start) * DDFS_BLOCK_BYTES;
}

static struct part slot(const struct patient *p, uint32_t ino)
{
	return (struct part){ table_off(p) + ino * DDFS_INODE_BYTES, DDFS_INODE_BYTES, seed_of(p) };
}

/* The first in-use inode that is one of mode's type and has (or has not) a block of xattrs. */
static struct part inode_of(const struct patient *p, uint32_t type, bool xattrs)
{
	for (uint32_t ino = DDFS_INO_FIRST;; ino++) {
		struct part at = slot(p, ino);
		const struct ddfs_inode_disk *di = (const void *)(p->healthy + at.off);

		if ((ddfs_le16(di->mode) & S_IFMT) == type && !di->xattr_root.raw == !xattrs)
			return at;
	}
}

static struct part node_of(const struct patient *p, uint16_t type, bool leaf)
{
	uint64_t off = table_off(p);
	const struct ddfs_node *n;

	do {
		off += DDFS_BLOCK_BYTES;
		ck_assert_uint_lt(off, SIZE);
		n = (const void *)(p->healthy + off);
	} while (ddfs_le16(n->type) != type || ddfs_le64(n->self) != off / DDFS_BLOCK_BYTES ||
		 !n->level != leaf);
	return (struct part){ off, DDFS_BLOCK_BYTES, seed_of(p) };
}

static struct part part_of(const struct patient *p, unsigned int kind)
{
	const struct ddfs_super *s = (const void *)p->healthy;
	uint64_t data = ddfs_le64(s->data_off) / DDFS_CHUNK_BYTES;

	switch (kind) {
	case 0:
		return (struct part){ DDFS_ROOT_BLOCK_OFF, DDFS_INODE_BYTES, seed_of(p) };
	case 1:
		return (struct part){ DDFS_GROUP_TABLE_OFF, sizeof(struct ddfs_group_desc),
			seed_of(p) };
	case 2:
		return (struct part){ ddfs_le64(s->chunk_table_off) +
					      data * sizeof(struct ddfs_chunk),
			sizeof(struct ddfs_chunk), seed_of(p) };
	case 3:
		return slot(p, DDFS_INO_ROOT);
	case 4:
		return slot(p, DDFS_INO_ORPHAN);
	case 5:
		return inode_of(p, S_IFREG, true);
	case 6:
		return inode_of(p, S_IFREG, false);
	case 7:
		return inode_of(p, S_IFDIR, false);
	case 8:
		return inode_of(p, S_IFLNK, false);
	case 9:
		return inode_of(p, S_IFIFO, false);
	case 10:
		return node_of(p, DDFS_NODE_EXTENT, true);
	case 11:
		return node_of(p, DDFS_NODE_EXTENT, false);
	case 12:
		return node_of(p, DDFS_NODE_NAME_INDEX, false);
	case 13:
		return node_of(p, DDFS_NODE_NAME_LEAF, true);
	default:
		return node_of(p, DDFS_NODE_VALUE, true);
	}
}
#define NR_KINDS 15

static void change(struct patient *p, const struct part *at, uint32_t byte, bool seal)
{
	uint8_t *b = p->ram.writable + at->off + byte;

	note_store(p, at->off, at->len);
	*b = seal ? (uint8_t)rng_next(&p->rng) : *b ^ (uint8_t)(1 + rng_below(&p->rng, 255));
	if (seal)
		ddfs_csum_seal(at->seed, at->off, p->ram.writable + at->off, at->len);
}

/* All of a small structure; the heads, and samples of the rest, of a large one. */
static uint32_t next_byte(uint32_t byte, uint32_t len)
{
	return byte + (len <= 256 || byte < 96 ? 1 : 29);
}

START_TEST(damaged_part)
{
	struct patient *p = malloc(sizeof(*p));
	struct ram_ear ear = { note_store, note_drain, p };
	struct ddfs_recovery r;
	struct part at;

	begin(p, &ear);
	at = part_of(p, (unsigned int)_i);
	for (uint32_t byte = 0; byte < at.len; byte = next_byte(byte, at.len)) {
		for (unsigned int seal = 0; seal < 2; seal++) {
			change(p, &at, byte, seal);
			use_image(p, &r);
			mend(p);
		}
	}
	/* Mended, it is as good as ever. */
	ck_assert_int_eq(use_image(p, &r), 0);
	ck_image(&p->ram.media);
	end(p);
}
END_TEST

enum { FIRST = 1, SECOND = 2 };

START_TEST(damaged_super)
{
	struct part copy[] = { { 0, 4096, SUPER_SEED }, { SIZE - 4096, 4096, SUPER_SEED } };
	struct patient *p = malloc(sizeof(*p));
	struct ram_ear ear = { note_store, note_drain, p };
	struct ddfs_recovery r;
	int err;

	begin(p, &ear);
	for (uint32_t byte = 0; byte < 4096; byte = byte < 288 ? byte + 1 : byte + 37) {
		for (unsigned int which = FIRST; which <= (FIRST | SECOND); which++) {
			for (unsigned int i = 0; i < 2; i++)
				if (which & 1u << i)
					change(p, &copy[i], byte, false);
			err = use_image(p, &r);
			ck_assert_msg(err == (which == (FIRST | SECOND) ? -EUCLEAN : 0),
				"byte %u of %u: %d", byte, which, err);
			ck_assert(err || r.used_backup_super == (which == FIRST));
			mend(p);
		}
		for (unsigned int i = 0; i < 2; i++)
			change(p, &copy[i], byte, true);
		use_image(p, &r);
		mend(p);
	}
	end(p);
}
END_TEST

/* Until there is no room. */
static void fill_up(struct patient *p)
{
	struct ddfs_fs_options opt = { .log = ram_log_nothing };
	struct ddfs_fs *fs = ram_mount(&p->ram, &opt);
	struct ddfs_inode *root = ram_root(fs);
	struct ddfs_inode *ip = tree_make_get(root, "full", S_IFREG | 0644);
	uint64_t off = 0;
	ssize_t n;

	while ((n = tree_fill(ip, off, 1 << 16, 'x')) > 0)
		off += (uint64_t)n;
	ck_assert_int_eq(n, -ENOSPC);
	ddfs_inode_put(ip);
	ddfs_inode_put(root);
	ddfs_fs_close(fs);
}

/* So that what is free is counted. */
static void mark_mounted(struct patient *p)
{
	const uint64_t offs[] = { 0, SIZE - 4096 };

	for (unsigned int i = 0; i < 2; i++) {
		struct ddfs_super *s = (struct ddfs_super *)(p->ram.writable + offs[i]);

		note_store(p, offs[i], sizeof(*s));
		s->state = ddfs_to32(DDFS_STATE_MOUNTED);
		ddfs_csum_seal(SUPER_SEED, offs[i], s, sizeof(*s));
	}
}

/* A bitmap with a good checksum that has the fixed structures as free: nobody gets them. */
START_TEST(fixed_as_free)
{
	struct patient *p = malloc(sizeof(*p));
	struct ram_ear ear = { note_store, note_drain, p };
	struct ddfs_probe probe;
	struct part at;

	begin(p, &ear);
	at = part_of(p, 2);
	at.off = ddfs_le64(((const struct ddfs_super *)p->healthy)->chunk_table_off);
	note_store(p, at.off, at.len);
	memset(p->ram.writable + at.off + 64, 0, 64);
	ddfs_csum_seal(at.seed, at.off, p->ram.writable + at.off, at.len);
	mark_mounted(p);
	fill_up(p);
	ck_assert(ddfs_probe_super(p->ram.media.base, &probe));
	end(p);
}
END_TEST

/* Every slot is looked at by some calls: there are not more than the device could hold. */
START_TEST(endless_table)
{
	struct part copy[] = { { DDFS_ROOT_BLOCK_OFF, DDFS_INODE_BYTES, 0 },
		{ SIZE - 8192, DDFS_INODE_BYTES, 0 } };
	struct patient *p = malloc(sizeof(*p));
	struct ram_ear ear = { note_store, note_drain, p };
	struct ddfs_recovery r;

	begin(p, &ear);
	for (unsigned int i = 0; i < 2; i++) {
		struct ddfs_inode_disk *di = (void *)(p->ram.writable + copy[i].off);

		note_store(p, copy[i].off, copy[i].len);
		di->size = ddfs_to64(SIZE);
		ddfs_csum_seal(seed_of(p), copy[i].off, di, sizeof(*di));
	}
	ck_assert_int_eq(use_image(p, &r), -EUCLEAN);
	end(p);
}
END_TEST

/* A map of which two references lead to one leaf: what lies behind the second is no hole. */
START_TEST(shared_leaf)
{
	struct patient *p = malloc(sizeof(*p));
	struct ram_ear ear = { note_store, note_drain, p };
	const struct ddfs_inode_disk *di;
	struct ddfs_extent_ref *ref;
	struct ddfs_node *n;
	struct ddfs_inode *ip;
	struct ddfs_fs *fs;
	struct part at;
	uint8_t byte;

	begin(p, &ear);
	at = node_of(p, DDFS_NODE_EXTENT, false);
	note_store(p, at.off, at.len);
	n = (void *)(p->ram.writable + at.off);
	ref = (void *)n->payload;
	ref[1].child = ref[0].child;
	ddfs_csum_seal(at.seed, at.off, n, at.len);
	di = (const void *)(p->healthy + slot(p, ddfs_le32(n->owner)).off);
	fs = ram_mount(&p->ram, &(struct ddfs_fs_options){ .log = ram_log_nothing });
	ck_assert_int_eq(
		ddfs_inode_get(fs, (uint64_t)ddfs_le32(di->gen) << 32 | ddfs_le32(di->ino), &ip),
		0);
	ck_assert_int_eq(ddfs_pread(ip, &byte, 1, 0), 1);
	ck_assert_int_eq(
		ddfs_pread(ip, &byte, 1, (uint64_t)ddfs_le32(ref[1].lblk) << 12), -EUCLEAN);
	ddfs_inode_put(ip);
	ddfs_fs_close(fs);
	end(p);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "superblocks", damaged_super, 0 },
		{ "other structures", damaged_part, NR_KINDS },
		{ "fixed structures as free", fixed_as_free, 0 },
		{ "an inode table larger than the device", endless_table, 0 },
		{ "a leaf that is referred to twice", shared_leaf, 0 },
	};

	return suite_run("fs_damage", cases, sizeof(cases) / sizeof(cases[0]));
}
