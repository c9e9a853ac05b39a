/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories: the entries that hold, in a new tree if there are others. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fsck/repair_priv.h"
#include "fsck/sentences.h"

struct listing {
	struct fsck_walk walk; /* first: the argument of its functions */
	struct fsck_names names;
	/* Of a search: the name, and what it leads to; or, without a name, that. */
	const char *wanted;
	uint32_t found;
	uint64_t nr_removed; /* entries that hold, and lead to nothing; of a search: found */
};

/* ---- entries -------------------------------------------------------------------------------- */

static bool name_holds(const struct ddfs_image_record *e)
{
	if (memchr(e->name, '/', e->name_len) || memchr(e->name, 0, e->name_len))
		return false;
	return e->name[0] != '.' || e->name_len > 2 || (e->name_len == 2 && e->name[1] != '.');
}

static bool orphan_name_holds(const struct ddfs_image_record *e, uint32_t ino)
{
	char name[9];

	snprintf(name, sizeof(name), "%08x", ino);
	return e->name_len == 8 && memcmp(e->name, name, 8) == 0;
}

/* Of a directory with two names the one is kept that leads to it from where it thinks to be. */
static bool is_second_name(struct fsck *f, uint32_t dir, uint32_t ino)
{
	if (f->inode[ino].named_as == FSCK_NAME_GOES && f->inode[ino].parent == dir)
		return true;
	if (!fsck_inode_has(f, ino, FSCK_NAMED_TWICE))
		return false;
	if (f->inode[ino].parent != dir)
		return true;
	f->inode[ino].parent = DDFS_INO_TABLE;
	return false;
}

/* Whether the entry stays; *type is made what it leads to. */
static bool entry_holds(struct fsck *f, uint32_t dir, const struct ddfs_image_record *e,
	uint32_t ino, uint8_t *type)
{
	bool known = ino >= DDFS_INO_FIRST && ino < f->nr_inodes && ino != dir;

	/* What is in a slot that is damaged is not known yet: whoever may be there keeps its name.
	 */
	if (!known || (!f->inode[ino].type && !fsck_inode_has(f, ino, FSCK_SLOT_BAD)))
		return false;
	if (dir == DDFS_INO_ORPHAN) {
		*type = 0;
		return orphan_name_holds(e, ino) && !fsck_inode_has(f, ino, FSCK_LOST);
	}
	if (!name_holds(e) || is_second_name(f, dir, ino))
		return false;
	if (f->inode[ino].type)
		*type = f->inode[ino].type;
	return true;
}

static int list_entry(void *arg, const struct ddfs_image_record *e)
{
	struct listing *l = arg;
	struct fsck_name n = { .key = e->key, .name_len = e->name_len, .val_len = e->val_len };
	struct ddfs_dirent_value v;
	char name[FSCK_NAME_ROOM];
	uint8_t type = e->type;

	memcpy(&v, e->value, sizeof(v));
	if (!entry_holds(l->walk.r->f, l->walk.ino, e, ddfs_le32(v.ino), &type)) {
		l->walk.nr_faults++;
		l->nr_removed++;
		fsck_tell(l->walk.r, "directory %u: the entry \"%s\" (inode %u) was removed",
			l->walk.ino, fsck_name_show(e->name, e->name_len, name), ddfs_le32(v.ino));
		return 0;
	}
	l->walk.nr_faults += type != e->type;
	n.type = type;
	return fsck_names_add(&l->names, &n, e->name, e->value);
}

/* ---- the directory -------------------------------------------------------------------------- */

static int list(struct fsck_repair *r, const struct ddfs_inode_disk *di, struct listing *l)
{
	struct ddfs_image_walk walk = { .arg = l,
		.visit = fsck_walk_visit,
		.node = fsck_walk_node,
		.record = list_entry,
		.fault = fsck_walk_fault };
	int err;

	memset(l, 0, sizeof(*l));
	err = fsck_walk_init(&l->walk, r, ddfs_le32(di->ino));
	return err ? err : ddfs_image_walk_names(r->img, di, &walk);
}

static void listing_fini(struct listing *l)
{
	fsck_walk_fini(&l->walk);
	fsck_names_fini(&l->names);
}

static int rebuild(struct fsck_repair *r, struct ddfs_inode_disk *di, struct listing *l)
{
	struct fsck_builder b = fsck_spare_builder(r, &l->walk);
	struct fsck_tree tree;
	int err = fsck_names_build(&l->names, &b, l->walk.ino, &tree);

	if (err)
		return err;
	if (l->names.nr_dropped)
		fsck_tell(r, "directory %u: %zu entries were there twice, and were removed",
			l->walk.ino, l->names.nr_dropped);
	memset(&di->body, 0, sizeof(di->body));
	di->body.root = ddfs_to64(tree.root);
	di->depth = tree.depth;
	di->nr_extents = ddfs_to16(0);
	l->walk.nr_nodes = tree.nr_nodes;
	return 0;
}

int fsck_dir_mend(struct fsck_repair *r, struct ddfs_inode_disk *di, uint64_t *nr_blocks)
{
	struct listing l;
	int err = list(r, di, &l);

	if (!err && (l.walk.nr_faults || (!ddfs_le64(di->body.root) && di->depth))) {
		err = rebuild(r, di, &l);
		if (ddfs_le32(di->ino) == DDFS_INO_ORPHAN && l.walk.nr_faults > l.nr_removed)
			r->f->orphans_lost = true;
	}
	if (!err) {
		di->size = ddfs_to64(l.walk.nr_nodes * DDFS_BLOCK_BYTES);
		*nr_blocks += l.walk.nr_nodes;
	}
	listing_fini(&l);
	return err;
}

/* ---- names that are added ------------------------------------------------------------------- */

static int add_name(struct fsck_repair *r, struct listing *l, const struct fsck_new_name *name)
{
	struct ddfs_dirent_value v = { ddfs_to32(name->ino) };
	size_t len = strlen(name->name);
	struct fsck_name n = { .key = ddfs_image_name_hash(r->img, name->name, len),
		.type = l->walk.ino == DDFS_INO_ORPHAN ? 0 : r->f->inode[name->ino].type,
		.name_len = (uint8_t)len,
		.val_len = sizeof(v) };

	return fsck_names_add(&l->names, &n, name->name, &v);
}

int fsck_dir_add(struct fsck_repair *r, uint32_t dir, const struct fsck_new_name *names, size_t nr)
{
	struct ddfs_inode_disk di;
	struct listing l = { 0 };
	int err = ddfs_image_inode(r->img, dir, &di);
	uint64_t was;

	if (err || !S_ISDIR(ddfs_le16(di.mode)))
		return 0;
	err = list(r, &di, &l);
	was = ddfs_le64(di.size) / DDFS_BLOCK_BYTES;
	for (size_t i = 0; i < nr && !err; i++)
		err = add_name(r, &l, &names[i]);
	if (!err)
		err = rebuild(r, &di, &l);
	if (!err) {
		di.size = ddfs_to64(l.walk.nr_nodes * DDFS_BLOCK_BYTES);
		di.nr_blocks = ddfs_to64(ddfs_le64(di.nr_blocks) - was + l.walk.nr_nodes);
		err = fsck_slot_store(r, dir, &di);
	}
	if (err)
		r->nr_waiting = 0;
	listing_fini(&l);
	return err;
}

/* ---- searches ------------------------------------------------------------------------------- */

static int match_entry(void *arg, const struct ddfs_image_record *e)
{
	struct ddfs_dirent_value v;
	struct listing *l = arg;

	if (e->name_len != strlen(l->wanted) || memcmp(e->name, l->wanted, e->name_len) != 0)
		return 0;
	memcpy(&v, e->value, sizeof(v));
	l->found = ddfs_le32(v.ino);
	return 0;
}

static int match_ino(void *arg, const struct ddfs_image_record *e)
{
	struct ddfs_dirent_value v;
	struct listing *l = arg;

	memcpy(&v, e->value, sizeof(v));
	l->nr_removed += ddfs_le32(v.ino) == l->found;
	return 0;
}

bool fsck_dir_has(struct fsck_repair *r, uint32_t dir, uint32_t ino)
{
	struct listing l = { .found = ino };
	struct ddfs_image_walk walk = { .arg = &l, .record = match_ino };
	struct ddfs_inode_disk di;

	return dir && dir != ino && !ddfs_image_inode(r->img, dir, &di) &&
	       S_ISDIR(ddfs_le16(di.mode)) && !ddfs_image_walk_names(r->img, &di, &walk) &&
	       l.nr_removed;
}

int fsck_dir_find(struct fsck_repair *r, uint32_t dir, const char *name, uint32_t *ino)
{
	struct listing l = { .wanted = name };
	struct ddfs_image_walk walk = { .arg = &l, .record = match_entry };
	struct ddfs_inode_disk di;
	int err = ddfs_image_inode(r->img, dir, &di);

	if (!err && S_ISDIR(ddfs_le16(di.mode)))
		err = ddfs_image_walk_names(r->img, &di, &walk);
	if (err)
		return err;
	if (!l.found)
		return -ENOENT;
	*ino = l.found;
	return 0;
}
