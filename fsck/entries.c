/* SPDX-License-Identifier: BSD-3-Clause */
/* Pass 2: the directories, and what their entries lead to. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fsck/body.h"
#include "fsck/passes.h"
#include "fsck/sentences.h"
#include "fsck/work.h"

#define TYPE_DIR       (S_IFDIR >> 12)
#define INODES_A_RANGE 4096u
#define NAMES_A_HASH   128u

/* The names of one hash so far, which lie side by side: there is none twice. */
struct same {
	uint64_t hash;
	unsigned int nr;
	struct {
		uint8_t len;
		uint8_t bytes[255];
	} name[NAMES_A_HASH];
};

static bool was_seen(struct same *s, const struct ddfs_image_record *r)
{
	if (s->hash != r->key >> 7)
		s->nr = 0;
	s->hash = r->key >> 7;
	for (unsigned int i = 0; i < s->nr; i++)
		if (s->name[i].len == r->name_len &&
			memcmp(s->name[i].bytes, r->name, r->name_len) == 0)
			return true;
	if (s->nr < NAMES_A_HASH) {
		s->name[s->nr].len = r->name_len;
		memcpy(s->name[s->nr++].bytes, r->name, r->name_len);
	}
	return false;
}

static void say_entry(struct fsck_body *b, const struct ddfs_image_record *r, const char *fault)
{
	char name[FSCK_NAME_ROOM];

	fsck_problem(b->f, false, "directory %u: entry \"%s\" %s", b->ino,
		fsck_name_show(r->name, r->name_len, name), fault);
	fsck_inode_flag(b->f, b->ino, FSCK_ENTRIES_BAD);
}

static bool name_holds(const struct ddfs_image_record *r)
{
	if (memchr(r->name, '/', r->name_len) || memchr(r->name, 0, r->name_len))
		return false;
	return r->name[0] != '.' || r->name_len > 2 || (r->name_len == 2 && r->name[1] != '.');
}

/* The least one, so that it does not depend on who comes first. */
static void note_parent(struct fsck_inode *inode, uint32_t parent)
{
	uint32_t old = 0;

	while ((!old || parent < old) &&
		!atomic_compare_exchange_weak(&inode->parent, &old, parent))
		;
}

static void note_name(struct fsck_body *b, const struct ddfs_image_record *r, uint32_t ino)
{
	struct fsck_inode *to = &b->f->inode[ino];

	atomic_fetch_add(&to->nr_names, 1);
	to->named_as = r->type;
	if (to->type == TYPE_DIR) {
		note_parent(to, b->ino);
		atomic_fetch_add(&b->f->inode[b->ino].nr_subdirs, 1);
	}
}

static void check_entry(struct fsck_body *b, const struct ddfs_image_record *r, uint32_t ino)
{
	const struct fsck_inode *to = &b->f->inode[ino];

	if (!name_holds(r))
		say_entry(b, r, "is no name of a file");
	else if (to->type && to->type != r->type)
		say_entry(b, r, "claims another type than its inode has");
	/* For now it has this name: that it has no other is another problem. */
	note_name(b, r, ino);
}

static void check_orphan(struct fsck_body *b, const struct ddfs_image_record *r, uint32_t ino)
{
	char name[9];

	snprintf(name, sizeof(name), "%08x", ino);
	if (r->name_len != 8 || memcmp(r->name, name, 8) || r->type)
		say_entry(b, r, "of the orphans is not called like its inode");
	fsck_inode_flag(b->f, ino, FSCK_ORPHAN);
}

static int note_record(void *arg, const struct ddfs_image_record *r)
{
	struct ddfs_dirent_value v;
	struct fsck_body *b = arg;
	uint32_t ino;

	if (was_seen(b->arg, r)) {
		say_entry(b, r, "is there twice");
		return 0;
	}
	memcpy(&v, r->value, sizeof(v));
	ino = ddfs_le32(v.ino);
	if (ino < DDFS_INO_FIRST || ino >= b->f->img.nr_slots ||
		(!b->f->inode[ino].type && !fsck_inode_has(b->f, ino, FSCK_SLOT_BAD)))
		say_entry(b, r, "leads to no inode");
	else if (b->ino == DDFS_INO_ORPHAN)
		check_orphan(b, r, ino);
	else
		check_entry(b, r, ino);
	return 0;
}

static void check_dir(struct fsck *f, uint32_t ino, const struct ddfs_inode_disk *di)
{
	struct same same;
	struct fsck_body b = {
		.f = f,
		.ino = ino,
		.di = di,
		.part = "its tree of names",
		.flag = FSCK_NAMES_BAD,
		.arg = &same,
	};
	struct ddfs_image_walk walk = fsck_body_walk(&b);

	same.nr = 0; /* the names are filled in as they come */
	same.hash = 0;
	walk.record = note_record;
	ddfs_image_walk_names(&f->img, di, &walk);
	if (!b.faults && ddfs_le64(di->size) != b.nr_blocks * DDFS_BLOCK_BYTES) {
		fsck_problem(f, true, "directory %u: size is %llu, and it has %llu", ino,
			(unsigned long long)ddfs_le64(di->size),
			(unsigned long long)b.nr_blocks * DDFS_BLOCK_BYTES);
		fsck_inode_flag(f, ino, FSCK_COUNT_BAD);
	}
	fsck_body_xattrs(&b);
	fsck_body_count(&b);
}

static void check_dirs(struct fsck *f, uint64_t from, uint64_t to)
{
	struct ddfs_inode_disk di;

	for (uint32_t ino = (uint32_t)from; ino < to; ino++)
		if (f->inode[ino].type == TYPE_DIR && fsck_read_slot(f, ino, &di) &&
			!fsck_is_ending(f))
			check_dir(f, ino, &di);
}

int fsck_check_entries(struct fsck *f)
{
	return fsck_work(f, 2, f->img.nr_slots, INODES_A_RANGE, check_dirs);
}
