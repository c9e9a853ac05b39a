/* SPDX-License-Identifier: BSD-3-Clause */
/* Before the first round: what there is two of, the log, the inode table. */
#include <errno.h>
#include <string.h>

#include "fs/media.h"
#include "fs/super.h"
#include "fsck/repair_priv.h"

/* But for the checksum, which differs by place. */
static bool reads_as(const struct ddfs_image *img, uint64_t off, const void *want, size_t len)
{
	uint8_t now[DDFS_BLOCK_BYTES];

	return !ddfs_image_read(img, off, now, len) &&
	       memcmp(now + sizeof(struct le32), (const uint8_t *)want + sizeof(struct le32),
		       len - sizeof(struct le32)) == 0;
}

static int repair_supers(struct fsck_repair *r)
{
	struct ddfs_image *img = r->img;
	const struct ddfs_super *s = &img->super;
	uint64_t second = ddfs_super_backup_off(ddfs_le64(s->device_bytes));
	const enum ddfs_image_copy *c = img->super_copy;

	if (c[0] == DDFS_COPY_GOOD && c[1] == DDFS_COPY_GOOD &&
		reads_as(img, DDFS_SUPER_OFF, s, sizeof(*s)) &&
		reads_as(img, second, s, sizeof(*s)))
		return 0;
	fsck_problem(r->f, true, "the %s superblock %s",
		c[0] == DDFS_COPY_GOOD ? "second" : "first",
		c[0] == DDFS_COPY_GOOD && c[1] == DDFS_COPY_GOOD ? "is older than the other"
								 : "is damaged");
	if (!fsck_may(r->f, FSCK_KIND_SUPER, "Write both superblocks and root blocks anew?"))
		return 0;
	return fsck_super_store(r);
}

/* Of two that hold and differ, the one that knows the table better. */
static void choose_root(struct fsck_repair *r, uint64_t second, struct ddfs_inode_disk *di)
{
	const enum ddfs_image_copy *c = r->img->root_copy;
	struct ddfs_inode_disk other;

	if (c[0] == DDFS_COPY_GOOD && c[1] == DDFS_COPY_GOOD &&
		!ddfs_image_read(r->img, second, &other, sizeof(other)) &&
		fsck_table_score(r, &other) > fsck_table_score(r, di))
		*di = other;
}

/* One that can't be made readable, as the superblock has known since that was tried. */
static bool is_out_of_use(const struct fsck_repair *r, const uint64_t off[2])
{
	uint32_t sole = ddfs_le32(r->img->super.sole_root_block);
	struct ddfs_media *m = r->f->media;

	return sole && m->ops->probe(m, off[2 - sole], DDFS_BLOCK_BYTES);
}

/* If none holds, that is damage of the table. */
static int repair_roots(struct fsck_repair *r)
{
	const uint64_t off[2] = { DDFS_ROOT_BLOCK_OFF, r->img->end_block * DDFS_BLOCK_BYTES };
	const enum ddfs_image_copy *c = r->img->root_copy;
	struct ddfs_inode_disk di = r->img->table;
	int err;

	if ((c[0] != DDFS_COPY_GOOD && c[1] != DDFS_COPY_GOOD) || is_out_of_use(r, off))
		return 0;
	if (c[0] == DDFS_COPY_GOOD && c[1] == DDFS_COPY_GOOD &&
		reads_as(r->img, off[0], &di, sizeof(di)) &&
		reads_as(r->img, off[1], &di, sizeof(di)))
		return 0;
	fsck_problem(r->f, true, "one of the two root blocks is damaged, or older than the other");
	if (!fsck_may(r->f, FSCK_KIND_SUPER, "Write both superblocks and root blocks anew?"))
		return 0;
	choose_root(r, off[1], &di);
	err = fsck_slot_store(r, DDFS_INO_TABLE, &di);
	return err == -ENODATA ? 0 : err;
}

/* Each step sees what the ones before have stored. */
static int step(struct fsck *f, int (*repair)(struct fsck_repair *r))
{
	unsigned int flags = f->opt->flags & DDFS_FSCK_HASH_ANY ? DDFS_IMAGE_HASH_ANY : 0;
	struct ddfs_image img;
	struct fsck_repair r = { .f = f, .img = &img };
	int err = ddfs_image_open(f->media, flags, &img);

	if (err)
		return err;
	err = repair(&r);
	fsck_repair_fini(&r);
	ddfs_image_close(&img);
	return err;
}

int fsck_repair_start(struct fsck *f)
{
	int (*const steps[])(struct fsck_repair *) = { repair_supers, fsck_lanes_repair,
		repair_roots, fsck_table_repair };
	int err = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !err; i++)
		err = step(f, steps[i]);
	return err;
}
