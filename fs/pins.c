/* SPDX-License-Identifier: BSD-3-Clause */
/* What pins of all files share: begun and ended with the mount, recorded, and what their end does
 * to files. */
#include "fs/pins.h"

#include <stddef.h>
#include <stdlib.h>

#include "fs/altmap.h"
#include "fs/core.h"
#include "fs/file.h"
#include "layout/holder.h"

#define LEASE_TIME 45

void ddfs_pin_priv_delete(struct ddfs_pin_priv *priv)
{
	if (!priv)
		return;
	free(priv->slots);
	free(priv->gaps);
	free(priv);
}

/* NULL: no file answers for it. */
static struct ddfs_inode *inode_of(struct ddfs_fs *fs, const struct ddfs_pin *pin)
{
	if (pin->layout == &fs->pins.strays)
		return NULL;
	return (struct ddfs_inode *)((char *)pin->layout - offsetof(struct ddfs_inode, layout));
}

bool ddfs_inode_in_use(const struct ddfs_inode *ip)
{
	return atomic_load(&ip->opens) || ddfs_layout_is_pinned(&ip->layout);
}

/* ---- records -------------------------------------------------------------------------------- */

/* With layouts->lock held, or as the only one who knows the pin. */
static void erase_records(void *arg, struct ddfs_pin *pin)
{
	struct ddfs_pin_priv *priv = pin->priv;

	while (priv->nr_slots)
		ddfs_pin_record_erase(arg, priv->slots[--priv->nr_slots]);
}

static struct ddfs_pin_record make_record(
	const struct ddfs_inode *ip, const struct ddfs_pin *pin, const struct ddfs_page_run *run)
{
	return (struct ddfs_pin_record){
		.epoch = ddfs_to32(pin->epoch),
		.ino = ddfs_to32(ip->ino),
		.gen = ddfs_to32(ip->gen),
		.lblk = ddfs_to32((uint32_t)run->block),
		.len = ddfs_to32((uint32_t)run->nr),
		.start = ddfs_to64(run->page),
		.pid = ddfs_to32((uint32_t)ddfs_holder_pid(pin->holder)),
		.mode = ddfs_to32(pin->mode),
		.since = ddfs_to64((uint64_t)pin->since.tv_sec),
	};
}

/* What is pinned while it is read-only is not recorded, also if it became so later: that has the
 * epoch that comes next, whose clients the next writable mount asks for. */
static uint32_t epoch_of(struct ddfs_fs *fs, bool readonly)
{
	return atomic_load(&fs->pins.mounts) + readonly;
}

int ddfs_pin_store_records(struct ddfs_pin *pin, void *arg)
{
	struct ddfs_fs *fs = arg;
	const struct ddfs_inode *ip = inode_of(fs, pin);
	struct ddfs_pin_priv *priv = pin->priv;
	bool readonly = ddfs_fs_writable(fs);
	int err = 0;

	/* It has become read-only, or writable, since the client locked the device. */
	if (pin->epoch != epoch_of(fs, readonly))
		return -ESTALE;
	/* Nothing is given out again on a read-only filesystem. */
	if (readonly || !pin->nr_runs)
		return 0;
	priv->slots = calloc(pin->nr_runs, sizeof(*priv->slots));
	if (!priv->slots)
		return -ENOMEM;
	for (size_t i = 0; i < pin->nr_runs && !err; i++) {
		struct ddfs_pin_record r = make_record(ip, pin, &pin->runs[i]);

		err = ddfs_pin_record_store(fs, &r, &priv->slots[i]);
		priv->nr_slots += !err;
	}
	if (err)
		erase_records(fs, pin);
	return err;
}

/* ---- the end of a pin ----------------------------------------------------------------------- */

static void note_modified(struct ddfs_inode *ip)
{
	pthread_rwlock_wrlock(&ip->lock);
	if (!ip->dead && !ddfs_fs_writable(ip->fs))
		ddfs_inode_modified(ip);
	pthread_rwlock_unlock(&ip->lock);
}

static void note_back(struct ddfs_fs *fs, const struct ddfs_pin *pin)
{
	for (size_t i = 0; i < pin->nr_runs; i++)
		fs->pins.nr_pages_back += pin->runs[i].nr;
}

static void stray_ended(struct ddfs_fs *fs, const struct ddfs_pin *pin)
{
	for (size_t i = 0; i < pin->nr_runs; i++)
		ddfs_held_del_stray(fs, (struct ddfs_range){ pin->runs[i].page, pin->runs[i].nr });
}

/* Takes the inode's lock, also so that who has just made the pin, with that lock held, may still
 * look at it: its memory goes when this returns. */
static void inode_ended(struct ddfs_inode *ip, const struct ddfs_pin *pin)
{
	struct ddfs_fs *fs = ip->fs;
	uint64_t freed;

	if (!fs->pins.abandoned) {
		if (pin->mode & DDFS_PIN_MODE_WRITE)
			note_modified(ip);
		freed = ddfs_file_unused(ip);
		if (!pin->holder)
			fs->pins.nr_blocks_freed += freed;
	}
	ddfs_inode_put(ip);
}

static void pin_ended(void *arg, struct ddfs_pin *pin)
{
	struct ddfs_fs *fs = arg;
	struct ddfs_inode *ip = inode_of(fs, pin);

	if (!pin->holder)
		note_back(fs, pin);
	if (ip)
		inode_ended(ip, pin);
	else
		stray_ended(fs, pin);
	if (!fs->pins.abandoned)
		ddfs_held_release(fs);
	ddfs_pin_priv_delete(pin->priv);
	atomic_fetch_sub(&fs->pins.nr, 1);
}

/* ---- the mount begins and ends -------------------------------------------------------------- */

static void log_line(void *arg, int priority, const char *line)
{
	ddfs_log(arg, priority, "%s", line);
}

static int new_pagemap(struct ddfs_fs *fs)
{
	struct ddfs_pagemap_params params = {
		.nr_pages = fs->nr_blocks, .type = fs->opt.memory, .idle = ddfs_layouts_page_idle
	};
	int err = ddfs_altmap_get(fs, &params.altmap);

	if (!err)
		err = ddfs_pagemap_new(&params, &fs->pins.pagemap);
	return err ? err : ddfs_pagemaps_add(&fs->pins.set, fs->pins.pagemap, 0);
}

static int new_layouts(struct ddfs_fs *fs)
{
	struct ddfs_layouts_params params = { .pagemaps = &fs->pins.set,
		.lease_time = fs->opt.lease_time ? fs->opt.lease_time : LEASE_TIME,
		.lease_expire = fs->opt.lease_expire,
		.erase = erase_records,
		.ended = pin_ended,
		.log = log_line,
		.arg = fs };

	return ddfs_layouts_new(&params, &fs->pins.layouts);
}

int ddfs_pins_init(struct ddfs_fs *fs)
{
	int err = ddfs_pin_records_init(fs);

	ddfs_held_init(&fs->pins.held);
	if (!err)
		err = new_pagemap(fs);
	if (!err)
		err = new_layouts(fs);
	if (err)
		return err;
	ddfs_layout_init(&fs->pins.strays, fs->pins.layouts, 0);
	atomic_init(&fs->pins.mounts, ddfs_le32(fs->super.nr_mounts));
	return 0;
}

void ddfs_pins_fini(struct ddfs_fs *fs)
{
	struct ddfs_pins *p = &fs->pins;

	ddfs_layouts_delete(p->layouts);
	if (p->pagemap) {
		ddfs_pagemap_kill(p->pagemap);
		ddfs_pagemap_drain(p->pagemap, -1);
	}
	ddfs_pagemap_delete(p->pagemap);
	ddfs_held_fini(&p->held);
	ddfs_pin_records_fini(fs);
}

void ddfs_pins_kill(struct ddfs_fs *fs)
{
	uint64_t left = ddfs_layouts_kill(fs->pins.layouts, 0);

	if (left)
		ddfs_log(fs, LOG_WARNING,
			"%llu pins are left: their blocks stay out of use until the clients are "
			"gone",
			(unsigned long long)left);
}

void ddfs_pins_abandon(struct ddfs_fs *fs)
{
	fs->pins.abandoned = true;
	ddfs_layouts_abandon(fs->pins.layouts);
}

/* ---- remount -------------------------------------------------------------------------------- */

/* Each of the two announces itself before it looks for the other. */
int ddfs_pins_begin_one(struct ddfs_fs *fs)
{
	atomic_fetch_add(&fs->pins.nr, 1);
	if (!atomic_load(&fs->pins.frozen))
		return 0;
	ddfs_pins_cancel_one(fs);
	return -ESTALE;
}

void ddfs_pins_cancel_one(struct ddfs_fs *fs)
{
	atomic_fetch_sub(&fs->pins.nr, 1);
}

int ddfs_pins_freeze(struct ddfs_fs *fs)
{
	atomic_store(&fs->pins.frozen, true);
	if (!atomic_load(&fs->pins.nr))
		return 0;
	ddfs_pins_thaw(fs);
	ddfs_log(fs, LOG_ERR,
		"files are pinned: a mount can become read-only or writable only while none is");
	return -EBUSY;
}

void ddfs_pins_thaw(struct ddfs_fs *fs)
{
	atomic_store(&fs->pins.frozen, false);
}

/* ---- for the daemon ------------------------------------------------------------------------- */

struct ddfs_layouts *ddfs_fs_layouts(struct ddfs_fs *fs)
{
	return fs->pins.layouts;
}

struct ddfs_layout *ddfs_inode_layout(struct ddfs_inode *ip)
{
	return &ip->layout;
}

uint32_t ddfs_fs_epoch(struct ddfs_fs *fs)
{
	return epoch_of(fs, ddfs_fs_writable(fs));
}

void ddfs_pins_collect(struct ddfs_fs *fs)
{
	ddfs_layouts_collect(fs->pins.layouts);
}
