/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/repair_edit.h"

#include <check.h>
#include <string.h>

#include "fs/csum.h"

uint32_t edit_seed(const struct healed *h)
{
	return ddfs_le32(((const struct ddfs_super *)h->healthy)->csum_seed);
}

void edit_bytes(struct healed *h, uint64_t off, size_t len, int c)
{
	healed_touch(h, off, len);
	memset(h->r.writable + off, c, len);
}

void edit_store(struct healed *h, uint64_t off, void *p, size_t len)
{
	ddfs_csum_seal(edit_seed(h), off, p, len);
	healed_touch(h, off, len);
	memcpy(h->r.writable + off, p, len);
}

/* ---- inodes --------------------------------------------------------------------------------- */

uint32_t edit_ino(struct healed *h, const char *name)
{
	return edit_ino_in(h, DDFS_INO_ROOT, name);
}

struct ddfs_inode_disk edit_inode(struct healed *h, const char *name)
{
	struct ddfs_image img = healed_image(h);
	struct ddfs_inode_disk di = stage_inode(&img, name);

	ddfs_image_close(&img);
	return di;
}

void edit_put_inode(struct healed *h, const char *name, struct ddfs_inode_disk *di)
{
	struct ddfs_image img = healed_image(h);

	edit_store(h, ddfs_image_slot_off(&img, stage_find(&img, name)), di, sizeof(*di));
	ddfs_image_close(&img);
}

/* ---- entries -------------------------------------------------------------------------------- */

struct search {
	const char *name;
	uint64_t blk; /* of the leaf looked at */
	uint64_t at;  /* byte of the device at which the entry's value lies */
	uint32_t ino;
	const struct healed *h;
};

static void note_leaf(void *arg, uint64_t blk, const struct ddfs_node *n)
{
	struct search *s = arg;

	if (!n->level && !s->at)
		s->blk = blk;
}

/* Records are told behind their leaf. */
static int match(void *arg, const struct ddfs_image_record *r)
{
	struct search *s = arg;
	const uint8_t *leaf = s->h->r.writable + s->blk * 4096;
	struct ddfs_dirent_value v;

	if (r->name_len != strlen(s->name) || memcmp(r->name, s->name, r->name_len) != 0)
		return 0;
	memcpy(&v, r->value, sizeof(v));
	s->ino = ddfs_le32(v.ino);
	for (const uint8_t *p = leaf + 32; p + r->name_len + 4 <= leaf + 4096; p++)
		if (memcmp(p, r->name, r->name_len + 4u) == 0)
			s->at = s->blk * 4096 + (uint64_t)(p - leaf) + r->name_len;
	return 0;
}

static struct search find(struct healed *h, uint32_t dir, const char *name)
{
	struct search s = { .name = name, .h = h };
	struct ddfs_image_walk walk = { .arg = &s, .node = note_leaf, .record = match };
	struct ddfs_image img = healed_image(h);
	struct ddfs_inode_disk di;

	ck_assert_int_eq(ddfs_image_inode(&img, dir, &di), 0);
	ck_assert_int_eq(ddfs_image_walk_names(&img, &di, &walk), 0);
	ddfs_image_close(&img);
	ck_assert_msg(s.at, "no entry %s", name);
	return s;
}

uint32_t edit_ino_in(struct healed *h, uint32_t dir, const char *name)
{
	return find(h, dir, name).ino;
}

void edit_entry(struct healed *h, const char *name, uint32_t ino)
{
	edit_entry_in(h, DDFS_INO_ROOT, name, ino);
}

void edit_entry_in(struct healed *h, uint32_t dir, const char *name, uint32_t ino)
{
	struct search s = find(h, dir, name);
	struct ddfs_dirent_value v = { ddfs_to32(ino) };
	uint64_t leaf = s.at / 4096;

	healed_touch(h, leaf * 4096, 4096);
	memcpy(h->r.writable + s.at, &v, sizeof(v));
	stage_seal_node(&h->r, leaf);
}
