/* SPDX-License-Identifier: BSD-3-Clause */
/* Pass 4: what an inode says of its names, and the counts of what there is. */
#include <sys/stat.h>

#include "fsck/passes.h"
#include "fsck/state.h"
#include "fsck/work.h"

#define INODES_A_RANGE 4096u
#define TYPE_DIR       (S_IFDIR >> 12)

struct links {
	struct fsck *f;
	uint32_t ino;
	const struct fsck_inode *seen;
	struct ddfs_inode_disk di;
};

static bool is_fixed(uint32_t ino)
{
	return ino == DDFS_INO_ROOT || ino == DDFS_INO_ORPHAN;
}

/* Returns whether something keeps it. */
static bool check_kept(const struct links *l)
{
	uint16_t flags = l->seen->flags;

	if (l->seen->nr_names || is_fixed(l->ino))
		return true;
	if (!(flags & FSCK_ORPHAN))
		fsck_problem(l->f, false, "inode %u: no name leads to it", l->ino);
	else if (l->seen->type == TYPE_DIR && ddfs_le64(l->di.body.root))
		fsck_problem(l->f, false, "directory %u: it was removed, and is not empty", l->ino);
	else
		return true;
	fsck_inode_flag(l->f, l->ino, FSCK_LOST);
	return false;
}

static void check_parent(const struct links *l)
{
	uint32_t parent = is_fixed(l->ino) ? l->ino : l->seen->parent;

	if (l->seen->nr_names > 1) {
		fsck_problem(l->f, false, "directory %u has %u names", l->ino, l->seen->nr_names);
		fsck_inode_flag(l->f, l->ino, FSCK_NAMED_TWICE);
	} else if ((l->seen->nr_names || is_fixed(l->ino)) && ddfs_le32(l->di.parent) != parent) {
		fsck_problem(l->f, true, "directory %u: its parent is %u, and it says %u", l->ino,
			parent, ddfs_le32(l->di.parent));
		fsck_inode_flag(l->f, l->ino, FSCK_PARENT_BAD);
	}
}

static void check_nlink(const struct links *l)
{
	uint32_t want = l->seen->nr_names;

	if (l->seen->type == TYPE_DIR)
		want = want || is_fixed(l->ino) ? 2 + l->seen->nr_subdirs : 0;
	if (ddfs_le32(l->di.nlink) == want)
		return;
	fsck_problem(l->f, true, "inode %u: nlink is %u, and it has %u", l->ino,
		ddfs_le32(l->di.nlink), want);
	fsck_inode_flag(l->f, l->ino, FSCK_LINKS_BAD);
}

static void check_end(const struct links *l)
{
	uint16_t flags = l->seen->flags;

	if (flags & FSCK_BEHIND && !(flags & FSCK_ORPHAN))
		fsck_problem(l->f, false, "inode %u: it has written blocks behind its end at %llu",
			l->ino, (unsigned long long)ddfs_le64(l->di.size));
	if (!(ddfs_le32(l->di.flags) & DDFS_IFLAG_ZOMBIE) || !l->seen->nr_names)
		return;
	fsck_problem(l->f, false, "inode %u is a zombie, and has a name", l->ino);
	fsck_inode_flag(l->f, l->ino, FSCK_LINKS_BAD);
}

static void check_inode(struct fsck *f, uint32_t ino)
{
	struct links l = { .f = f, .ino = ino, .seen = &f->inode[ino] };

	if (!fsck_read_slot(f, ino, &l.di) || !check_kept(&l))
		return;
	if (l.seen->type == TYPE_DIR)
		check_parent(&l);
	check_nlink(&l);
	check_end(&l);
}

/* ---- counts --------------------------------------------------------------------------------- */

static void count(struct ddfs_fsck_result *r, const struct fsck_inode *seen, uint32_t ino)
{
	switch (seen->type << 12) {
	case S_IFREG:
		r->nr_files++;
		r->nr_fragmented += seen->flags & FSCK_SEEN ? 1 : 0;
		break;
	case S_IFDIR:
		r->nr_dirs += ino != DDFS_INO_ORPHAN;
		break;
	case S_IFLNK:
		r->nr_symlinks++;
		break;
	default:
		r->nr_others++;
	}
	r->nr_inodes += ino >= DDFS_INO_FIRST;
	r->nr_orphans += seen->flags & FSCK_ORPHAN ? 1 : 0;
}

static void add_counts(struct fsck *f, const struct ddfs_fsck_result *r)
{
	struct ddfs_fsck_result *out = f->out;

	pthread_mutex_lock(&f->say_lock);
	out->nr_files += r->nr_files;
	out->nr_fragmented += r->nr_fragmented;
	out->nr_dirs += r->nr_dirs;
	out->nr_symlinks += r->nr_symlinks;
	out->nr_others += r->nr_others;
	out->nr_inodes += r->nr_inodes;
	out->nr_orphans += r->nr_orphans;
	pthread_mutex_unlock(&f->say_lock);
}

static void check_inodes(struct fsck *f, uint64_t from, uint64_t to)
{
	struct ddfs_fsck_result r = { .nr_files = 0 };

	for (uint32_t ino = (uint32_t)from; ino < to; ino++) {
		const struct fsck_inode *seen = &f->inode[ino];

		if (!seen->type)
			continue;
		count(&r, seen, ino);
		check_inode(f, ino);
	}
	add_counts(f, &r);
}

int fsck_check_links(struct fsck *f)
{
	return fsck_work(f, 4, f->img.nr_slots, INODES_A_RANGE, check_inodes);
}
