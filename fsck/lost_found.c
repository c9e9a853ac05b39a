/* SPDX-License-Identifier: BSD-3-Clause */
/* Inodes that no name leads to get one in /lost+found. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fsck/repair_priv.h"
#include "fsck/room.h"

#define MAX_NAMES 10   /* lost+found, lost+found.1 and so on */
#define COLLIDES  0xff /* in named_as: #INO is there and leads elsewhere */

struct finds {
	struct fsck_new_name *e;
	size_t nr, cap;
};

static int find_add(struct finds *l, uint32_t ino, const char *fmt, unsigned int round)
{
	struct fsck_new_name *e = fsck_room(l->e, l->nr, &l->cap, sizeof(*e));

	if (!e)
		return -ENOMEM;
	l->e = e;
	l->e[l->nr].ino = ino;
	snprintf(l->e[l->nr++].name, sizeof(l->e->name), fmt, ino, round);
	return 0;
}

/* ---- which ---------------------------------------------------------------------------------- */

static bool is_dir(const struct fsck *f, uint32_t ino)
{
	return f->inode[ino].type == S_IFDIR >> 12;
}

/* Of directories that lie in each other, the one with the least number; one that lies below
 * another that is lost is found with that. */
static bool is_top(const struct fsck *f, uint32_t ino)
{
	uint32_t at = ino, least = ino;

	if (!is_dir(f, ino) || !f->inode[ino].nr_names)
		return true;
	for (uint32_t steps = 0; steps < f->nr_inodes; steps++) {
		at = f->inode[at].parent;
		if (at == ino)
			return least == ino;
		if (at >= f->nr_inodes || !f->inode[at].nr_names)
			return false;
		if (at < least)
			least = at;
	}
	return false;
}

/* What is done with each. */
static int look_at(struct fsck_repair *r, uint32_t ino, struct finds *found, struct finds *orphans)
{
	struct fsck *f = r->f;
	struct ddfs_inode_disk di;
	int err = ddfs_image_inode(r->img, ino, &di);

	if (err || ddfs_image_inode_is_free(&di) || !is_top(f, ino))
		return 0;
	if (f->inode[ino].nr_names || fsck_inode_has(f, ino, FSCK_ORPHAN))
		return find_add(found, ino, "#%" PRIu32, 0);
	if (ddfs_le32(di.flags) & DDFS_IFLAG_ZOMBIE ||
		(!ddfs_le32(di.nlink) && !ddfs_le64(di.nr_blocks)))
		return fsck_slot_clear(r, ino, &di);
	if (f->orphans_lost && !ddfs_le32(di.nlink))
		return find_add(orphans, ino, "%08" PRIx32, 0);
	return find_add(found, ino, "#%" PRIu32, 0);
}

/* ---- the directory -------------------------------------------------------------------------- */

static uint32_t free_slot(const struct fsck_repair *r)
{
	const struct fsck *f = r->f;

	for (uint32_t ino = DDFS_INO_FIRST; ino < r->img->nr_slots; ino++)
		if (!f->inode[ino].type && !fsck_inode_has(f, ino, FSCK_SLOT_BAD) &&
			ddfs_image_slot_off(r->img, ino))
			return ino;
	return 0;
}

static int make(struct fsck_repair *r, const char *name, uint32_t *out)
{
	uint32_t ino = free_slot(r), gen, floor = ddfs_le32(r->img->table.gen);
	struct fsck_new_name entry = { .ino = ino };
	struct ddfs_inode_disk di;
	int err;

	if (!ino) {
		err = fsck_table_grow(r);
		return err ? err : -EAGAIN;
	}
	err = ddfs_image_inode(r->img, ino, &di);
	if (err)
		return err;
	gen = (ddfs_le32(di.gen) > floor ? ddfs_le32(di.gen) : floor) + 1;
	fsck_inode_begin(&di, ino, S_IFDIR | 0700, gen ? gen : 1);
	di.nlink = ddfs_to32(2);
	di.parent = ddfs_to32(DDFS_INO_ROOT);
	err = fsck_slot_store(r, ino, &di);
	if (err)
		return err;
	r->f->inode[ino].type = S_IFDIR >> 12;
	snprintf(entry.name, sizeof(entry.name), "%s", name);
	err = fsck_dir_add(r, DDFS_INO_ROOT, &entry, 1);
	*out = ino;
	return err;
}

/* A name that leads to something else is left alone. -EAGAIN: in the next round. */
static int get(struct fsck_repair *r, uint32_t *out)
{
	char name[24] = "lost+found";

	for (unsigned int i = 1; i <= MAX_NAMES; i++) {
		int err = fsck_dir_find(r, DDFS_INO_ROOT, name, out);

		if (err == -ENOENT)
			return make(r, name, out);
		if (err)
			return err;
		if (*out < r->f->nr_inodes && is_dir(r->f, *out))
			return 0;
		snprintf(name, sizeof(name), "lost+found.%u", i);
	}
	return -EEXIST;
}

/* ---- their names ---------------------------------------------------------------------------- */

static int note_collision(void *arg, const struct ddfs_image_record *e)
{
	struct fsck *f = arg;
	char name[16] = "";
	uint32_t ino;

	if (e->name_len >= sizeof(name) || e->name[0] != '#')
		return 0;
	memcpy(name, e->name, e->name_len);
	if (sscanf(name + 1, "%" SCNu32, &ino) == 1 && ino < f->nr_inodes)
		f->inode[ino].named_as = COLLIDES;
	return 0;
}

static int choose_names(struct fsck_repair *r, uint32_t dir, struct finds *l)
{
	struct ddfs_image_walk walk = { .arg = r->f, .record = note_collision };
	struct ddfs_inode_disk di;
	int err = ddfs_image_inode(r->img, dir, &di);

	if (!err)
		err = ddfs_image_walk_names(r->img, &di, &walk);
	for (size_t i = 0; i < l->nr && !err; i++)
		if (r->f->inode[l->e[i].ino].named_as == COLLIDES)
			snprintf(l->e[i].name, sizeof(l->e[i].name), "#%" PRIu32 ".%u", l->e[i].ino,
				r->f->round + 1);
	return err;
}

/* A directory is told where it is; one that lay in itself no longer does. */
static int set_parent(struct fsck_repair *r, uint32_t ino, uint32_t parent)
{
	struct fsck_inode *i = &r->f->inode[ino];
	struct ddfs_inode_disk di;
	int err;

	if (!is_dir(r->f, ino))
		return 0;
	if (i->nr_names) {
		i->named_as = FSCK_NAME_GOES;
		err = fsck_inode_mend(r, i->parent);
		if (err)
			return err;
	}
	err = ddfs_image_inode(r->img, ino, &di);
	if (err)
		return err;
	di.parent = ddfs_to32(parent);
	return fsck_slot_store(r, ino, &di);
}

static int connect(struct fsck_repair *r, struct finds *l)
{
	uint32_t dir;
	int err = get(r, &dir);

	if (err == -EAGAIN)
		return 0;
	if (!err)
		err = choose_names(r, dir, l);
	if (!err)
		err = fsck_dir_add(r, dir, l->e, l->nr);
	for (size_t i = 0; i < l->nr && !err; i++) {
		fsck_tell(
			r, "inode %u was connected as %s in lost+found", l->e[i].ino, l->e[i].name);
		r->f->out->nr_reconnected++;
		err = set_parent(r, l->e[i].ino, dir);
	}
	return err;
}

int fsck_lost_repair(struct fsck_repair *r)
{
	struct finds found = { 0 }, orphans = { 0 };
	struct fsck *f = r->f;
	bool removed = false;
	int err = 0;

	for (uint32_t ino = DDFS_INO_FIRST; ino < r->img->nr_slots && !err; ino++) {
		if (!fsck_inode_has(f, ino, FSCK_LOST))
			continue;
		if (!fsck_may(f, FSCK_KIND_LOST, "Connect what no name leads to in /lost+found?"))
			break;
		removed |= fsck_inode_has(f, ino, FSCK_ORPHAN);
		err = look_at(r, ino, &found, &orphans);
	}
	if (!err && orphans.nr)
		err = fsck_dir_add(r, DDFS_INO_ORPHAN, orphans.e, orphans.nr);
	if (!err && found.nr)
		err = connect(r, &found);
	if (!err && removed)
		err = fsck_inode_mend(r, DDFS_INO_ORPHAN);
	free(found.e);
	free(orphans.e);
	return err == -ENOSPC || err == -EEXIST || err == -EUCLEAN ? 0 : err;
}
