/* SPDX-License-Identifier: BSD-3-Clause */
/* Link counts, and where directories think to be. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fsck/repair_priv.h"

static void correct_dir(const struct fsck *f, uint32_t ino, struct ddfs_inode_disk *di)
{
	const struct fsck_inode *i = &f->inode[ino];
	bool fixed = ino == DDFS_INO_ROOT || ino == DDFS_INO_ORPHAN;

	di->nlink = ddfs_to32(fixed || i->nr_names ? 2 + i->nr_subdirs : 0);
	if (fixed)
		di->parent = ddfs_to32(ino);
	else if (i->nr_names)
		di->parent = ddfs_to32(i->parent);
}

static int correct(struct fsck_repair *r, uint32_t ino)
{
	struct ddfs_inode_disk di, was;
	int err = ddfs_image_inode(r->img, ino, &di);

	if (err || ddfs_image_inode_is_free(&di))
		return 0;
	was = di;
	if (S_ISDIR(ddfs_le16(di.mode)))
		correct_dir(r->f, ino, &di);
	else
		di.nlink = ddfs_to32(r->f->inode[ino].nr_names);
	/* What has a name is no zombie. */
	if (r->f->inode[ino].nr_names)
		di.flags = ddfs_to32(ddfs_le32(di.flags) & ~DDFS_IFLAG_ZOMBIE);
	if (memcmp(&di, &was, sizeof(di)) == 0)
		return 0;
	err = fsck_slot_store(r, ino, &di);
	return err == -EUCLEAN ? 0 : err;
}

int fsck_links_repair(struct fsck_repair *r)
{
	struct fsck *f = r->f;
	int err = 0;

	for (uint32_t ino = 1; ino < r->img->nr_slots && !err && !fsck_is_ending(f); ino++) {
		if (!fsck_inode_has(f, ino, FSCK_LINKS_BAD | FSCK_PARENT_BAD))
			continue;
		if (!fsck_may(f, FSCK_KIND_LINKS, "Correct link counts and parents?"))
			return 0;
		err = correct(r, ino);
	}
	return err;
}
