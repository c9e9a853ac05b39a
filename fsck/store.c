/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fs/csum.h"
#include "fs/media.h"
#include "fs/super.h"
#include "fsck/repair_priv.h"

void fsck_tell(struct fsck_repair *r, const char *fmt, ...)
{
	const struct ddfs_fsck_options *opt = r->f->opt;
	char text[512];
	va_list ap;

	if (!opt->say)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&r->f->say_lock);
	opt->say(opt->arg, text, true);
	pthread_mutex_unlock(&r->f->say_lock);
}

int fsck_drain(struct fsck_repair *r)
{
	struct ddfs_media *m = r->f->media;

	return m->ops->drain(m) ? -EIO : 0;
}

static bool is_readable(struct ddfs_media *m, uint64_t off)
{
	return !m->ops->probe(m, off, DDFS_BLOCK_BYTES);
}

/* Where the device can't clear it, storing whole lines may. */
static int heal_block(struct fsck_repair *r, uint64_t off)
{
	struct ddfs_media *m = r->f->media;

	m->ops->clear_poison(m, off, DDFS_BLOCK_BYTES);
	m->ops->set(m, off, 0, DDFS_BLOCK_BYTES);
	if (fsck_drain(r))
		return -EIO;
	if (!is_readable(m, off))
		return -ENODATA;
	fsck_tell(r, "block %llu could not be read; it was cleared",
		(unsigned long long)off / DDFS_BLOCK_BYTES);
	return 0;
}

int fsck_make_readable(struct fsck_repair *r, uint64_t off, uint64_t len)
{
	uint64_t at = off - off % DDFS_BLOCK_BYTES;

	int err = 0;

	for (; at < off + len && !err; at += DDFS_BLOCK_BYTES)
		if (!is_readable(r->f->media, at))
			err = heal_block(r, at);
	return err;
}

static void store(struct fsck_repair *r, uint32_t seed, uint64_t off, void *p, size_t len)
{
	ddfs_csum_seal(seed, off, p, len);
	r->f->media->ops->copy(r->f->media, off, p, len);
	r->changed = true;
	r->f->out->stored = true;
}

/* ---- superblocks ---------------------------------------------------------------------------- */

static bool is_current(const struct fsck_repair *r, uint64_t off)
{
	struct ddfs_media *m = r->f->media;
	struct ddfs_super now;

	return !m->ops->copy_out(m, &now, off, sizeof(now)) &&
	       ddfs_csum_holds(DDFS_SUPER_SEED, off, &now, sizeof(now)) &&
	       ddfs_le64(now.seq) == ddfs_le64(r->img->super.seq);
}

/* One whole at every moment: the other follows once the one is durable, and the last to go is not
 * the only one that holds. */
int fsck_super_store(struct fsck_repair *r)
{
	struct ddfs_super *s = &r->img->super;
	const uint64_t off[2] = { DDFS_SUPER_OFF,
		ddfs_super_backup_off(ddfs_le64(s->device_bytes)) };
	unsigned int begin = is_current(r, off[0]) && !is_current(r, off[1]), nr_stored = 0;

	s->seq = ddfs_to64(ddfs_le64(s->seq) + 1);
	for (unsigned int n = 0; n < 2; n++) {
		unsigned int i = n ^ begin;
		int err = fsck_make_readable(r, off[i], sizeof(*s));

		if (err == -ENODATA)
			continue;
		if (err)
			return err;
		store(r, DDFS_SUPER_SEED, off[i], s, sizeof(*s));
		if (fsck_drain(r))
			return -EIO;
		nr_stored++;
	}
	return nr_stored ? 0 : -EIO;
}

int fsck_mark(struct fsck_repair *r)
{
	struct ddfs_super *s = &r->img->super;

	if (r->f->marked)
		return 0;
	r->f->marked = true;
	r->f->out->stored = true; /* soon */
	if (ddfs_le32(s->state) == DDFS_STATE_MOUNTED)
		return 0;
	s->state = ddfs_to32(DDFS_STATE_MOUNTED);
	return fsck_super_store(r);
}

/* ---- other fixed structures, inodes --------------------------------------------------------- */

int fsck_fixed_store(struct fsck_repair *r, uint64_t off, void *p, size_t len)
{
	int err = fsck_mark(r);

	if (!err)
		err = fsck_make_readable(r, off, len);
	if (!err)
		store(r, r->img->seed, off, p, len);
	return err;
}

int fsck_zero(struct fsck_repair *r, uint64_t off, size_t len)
{
	int err = fsck_mark(r);

	if (!err)
		r->f->media->ops->set(r->f->media, off, 0, len);
	r->changed = true;
	return err;
}

/* Whichever of the two can be; one that can't is left out of use. */
static int store_root_blocks(struct fsck_repair *r, struct ddfs_inode_disk *di)
{
	const uint64_t off[2] = { DDFS_ROOT_BLOCK_OFF, r->img->end_block * DDFS_BLOCK_BYTES };
	struct ddfs_super *s = &r->img->super;
	uint8_t block[DDFS_BLOCK_BYTES] = { 0 };
	uint32_t sole = 0;
	int err;

	for (unsigned int i = 0; i < 2; i++) {
		err = fsck_make_readable(r, off[i], sizeof(block));
		if (err && (err != -ENODATA || sole))
			return err;
		if (err) {
			sole = 2 - i;
			continue;
		}
		ddfs_csum_seal(r->img->seed, off[i], di, sizeof(*di));
		memcpy(block, di, sizeof(*di));
		r->f->media->ops->copy(r->f->media, off[i], block, sizeof(block));
		r->changed = true;
		err = fsck_drain(r);
		if (err)
			return err;
	}
	r->img->table = *di;
	if (ddfs_le32(s->sole_root_block) == sole)
		return 0;
	s->sole_root_block = ddfs_to32(sole);
	return fsck_super_store(r);
}

int fsck_slot_store(struct fsck_repair *r, uint32_t ino, struct ddfs_inode_disk *di)
{
	uint64_t off = ddfs_image_slot_off(r->img, ino);
	int err = fsck_mark(r);

	/* Publish point: the trees that it refers to are durable before it. */
	if (!err)
		err = fsck_drain(r);
	if (err)
		return err;
	if (ino == DDFS_INO_TABLE)
		return store_root_blocks(r, di);
	if (!off || r->f->media->ops->probe(r->f->media, off, sizeof(*di))) {
		r->nr_waiting = 0;
		return -EUCLEAN;
	}
	/* A slot is more than a line: by the log, since half of it would be neither. */
	ddfs_csum_seal(r->img->seed, off, di, sizeof(*di));
	r->changed = true;
	return fsck_lane_store(r, off, di);
}
