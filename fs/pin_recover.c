/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins of earlier mounts, whose daemon was killed while clients held pages. */
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/core.h"
#include "fs/extent.h"
#include "fs/pins.h"
#include "layout/proc.h"

/* Whether the client still is there; asked once for all the records of one mount in a row. */
struct asking {
	struct ddfs_fs *fs;
	uint32_t epoch; /* 0: none yet */
	bool alive;
};

static bool epoch_is_alive(struct ddfs_fs *fs, uint32_t epoch)
{
	return fs->opt.clients_alive && fs->opt.clients_alive(fs->opt.clients_arg, epoch);
}

/* Also one that has let go of the device, as it does when it dies, and is not wholly gone. */
static bool is_alive(struct asking *a, const struct ddfs_pin_record *r)
{
	uint32_t epoch = ddfs_le32(r->epoch);
	pid_t pid = (pid_t)ddfs_le32(r->pid);

	if (a->epoch != epoch)
		a->alive = epoch_is_alive(a->fs, epoch);
	a->epoch = epoch;
	return a->alive || (pid > 0 && ddfs_proc_is_going(pid, (time_t)ddfs_le64(r->since)));
}

/* Whether the file's map has the record's blocks where it says. */
static bool map_agrees(const struct ddfs_inode *ip, const struct ddfs_page_run *run)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);

	for (uint64_t n = 0; n < run->nr;) {
		struct ddfs_map m;

		if (ddfs_extent_lookup(ip->fs, NULL, di, (uint32_t)(run->block + n), &m) ||
			m.kind == DDFS_MAP_HOLE || m.pblk != run->page + n)
			return false;
		n += m.len;
	}
	return true;
}

/* The file that the record names, referenced, or NULL. */
static struct ddfs_inode *find_inode(
	struct ddfs_fs *fs, const struct ddfs_pin_record *r, const struct ddfs_page_run *run)
{
	ddfs_id id = ddfs_id_make(ddfs_le32(r->ino), ddfs_le32(r->gen));
	struct ddfs_inode *ip;

	if (ddfs_inode_get(fs, id, &ip))
		return NULL;
	if (ip->type == S_IFREG && DDFS_GUARDED(fs, map_agrees(ip, run)) == 1)
		return ip;
	ddfs_inode_put(ip);
	return NULL;
}

static int add_pin(struct ddfs_fs *fs, struct ddfs_layout *layout, const struct ddfs_pin_record *r,
	const struct ddfs_page_run *run, struct ddfs_pin_priv *priv)
{
	struct ddfs_pin_params params = {
		.first = run->block,
		.last = run->block + run->nr,
		.mode = ddfs_le32(r->mode),
		.epoch = ddfs_le32(r->epoch),
		.pid = (pid_t)ddfs_le32(r->pid),
		.since = (time_t)ddfs_le64(r->since),
		.runs = run,
		.nr_runs = 1,
		.priv = priv,
	};
	struct ddfs_pin *pin;
	int err;

	atomic_fetch_add(&fs->pins.nr, 1);
	err = ddfs_pin_add(layout, &params, &pin);
	if (err)
		atomic_fetch_sub(&fs->pins.nr, 1);
	return err;
}

static struct ddfs_pin_priv *new_priv(uint32_t slot)
{
	struct ddfs_pin_priv *priv = calloc(1, sizeof(*priv));

	if (!priv)
		return NULL;
	priv->slots = malloc(sizeof(*priv->slots));
	if (!priv->slots) {
		free(priv);
		return NULL;
	}
	priv->slots[0] = slot;
	priv->nr_slots = 1;
	return priv;
}

/* The file has not got the blocks that the record gives it. */
static int add_stray(struct ddfs_fs *fs, const struct ddfs_pin_record *r,
	const struct ddfs_page_run *run, struct ddfs_pin_priv *priv)
{
	struct ddfs_range range = { run->page, run->nr };
	int err = ddfs_held_add_stray(fs, range);

	ddfs_log(fs, LOG_ERR,
		"metadata error: a client of an earlier mount holds %llu blocks from %llu on as "
		"inode %u's, which has them not: they stay out of use while it does",
		(unsigned long long)run->nr, (unsigned long long)run->page, ddfs_le32(r->ino));
	if (!err)
		err = add_pin(fs, &fs->pins.strays, r, run, priv);
	if (err)
		ddfs_held_del_stray(fs, range);
	return err;
}

/* Its pages are mapped: no cache may come between. */
static void keep_dax(struct ddfs_inode *ip)
{
	pthread_rwlock_wrlock(&ip->lock);
	if (!atomic_load(&ip->opens))
		ip->dax = true;
	pthread_rwlock_unlock(&ip->lock);
}

static int keep(struct ddfs_fs *fs, uint32_t slot, const struct ddfs_pin_record *r)
{
	struct ddfs_page_run run = { ddfs_le32(r->lblk), ddfs_le64(r->start), ddfs_le32(r->len) };
	struct ddfs_pin_priv *priv = new_priv(slot);
	struct ddfs_inode *ip;
	int err;

	if (!priv)
		return -ENOMEM;
	ip = find_inode(fs, r, &run);
	err = ip ? add_pin(fs, &ip->layout, r, &run, priv) : add_stray(fs, r, &run, priv);
	if (err) {
		if (ip)
			ddfs_inode_put(ip);
		ddfs_pin_priv_delete(priv);
		return err;
	}
	if (ip)
		keep_dax(ip);
	ddfs_pin_record_keep(fs, slot);
	fs->recovery.nr_pins_kept++;
	return 0;
}

static bool record_makes_sense(const struct ddfs_fs *fs, const struct ddfs_pin_record *r)
{
	uint32_t len = ddfs_le32(r->len), mode = ddfs_le32(r->mode);

	return len && ddfs_le32(r->lblk) <= UINT32_MAX - len &&
	       ddfs_blocks_valid(fs, ddfs_le64(r->start), len) && mode &&
	       !(mode & ~(DDFS_PIN_MODE_READ | DDFS_PIN_MODE_WRITE));
}

/* Nobody knows whose pages it tells of. */
static int slot_unreadable(struct ddfs_fs *fs, uint32_t slot)
{
	for (uint32_t epoch = 1; epoch < ddfs_le32(fs->super.nr_mounts); epoch++) {
		if (!epoch_is_alive(fs, epoch))
			continue;
		ddfs_log(fs, LOG_ERR,
			"pin record %u can't be read, and clients of an earlier mount still hold "
			"pages of the device: end them first, or mount read-only",
			slot);
		return -EIO;
	}
	ddfs_pin_record_repair(fs, slot);
	return 0;
}

static int recover_slot(struct asking *a, uint32_t slot)
{
	struct ddfs_fs *fs = a->fs;
	struct ddfs_pin_record r;
	int ret = ddfs_pin_record_read(fs, slot, &r);

	if (ret <= 0)
		return ret ? slot_unreadable(fs, slot) : 0;
	if (!record_makes_sense(fs, &r))
		ddfs_log(fs, LOG_ERR, "metadata error: pin record %u holds what cannot be", slot);
	else if (is_alive(a, &r))
		return keep(fs, slot, &r);
	ddfs_pin_record_drop(fs, slot);
	fs->recovery.nr_pins_dropped++;
	return 0;
}

static void log_recovered(struct ddfs_fs *fs)
{
	const struct ddfs_recovery *r = &fs->recovery;

	if (r->nr_pins_dropped)
		ddfs_log(fs, LOG_INFO,
			"forgot %llu pins of an earlier mount: their clients are gone",
			(unsigned long long)r->nr_pins_dropped);
	if (r->nr_pins_kept)
		ddfs_log(fs, LOG_WARNING,
			"clients of an earlier mount still hold %llu ranges of files: what they "
			"hold stays where it is until they are gone",
			(unsigned long long)r->nr_pins_kept);
}

int ddfs_pins_recover(struct ddfs_fs *fs)
{
	struct asking a = { .fs = fs };
	uint32_t nr = ddfs_pin_records_load(fs);
	int err = 0;

	fs->recovery.nr_pins_kept = fs->recovery.nr_pins_dropped = 0;
	for (uint32_t slot = 0; slot < nr && !err; slot++)
		err = recover_slot(&a, slot);
	if (!err)
		log_recovered(fs);
	return err;
}

int ddfs_pins_check_epoch(struct ddfs_fs *fs)
{
	if (!epoch_is_alive(fs, ddfs_le32(fs->super.nr_mounts) + 1))
		return 0;
	ddfs_log(fs, LOG_ERR,
		"clients of a read-only mount still hold pages of the device, and which is not "
		"recorded: end them first, or mount read-only");
	return -EBUSY;
}

/* ---- later ---------------------------------------------------------------------------------- */

static bool epoch_is_gone(void *arg, uint32_t epoch)
{
	return !epoch_is_alive(arg, epoch);
}

static void end_gone(struct ddfs_fs *fs)
{
	uint64_t nr;

	fs->pins.nr_pages_back = fs->pins.nr_blocks_freed = 0;
	nr = ddfs_layouts_end_epochs(fs->pins.layouts, epoch_is_gone, fs);
	if (nr)
		ddfs_log(fs, LOG_INFO,
			"clients of an earlier mount are gone: %llu pins of %llu KiB ended, "
			"%llu KiB are free again",
			(unsigned long long)nr, (unsigned long long)fs->pins.nr_pages_back * 4,
			(unsigned long long)fs->pins.nr_blocks_freed * 4);
}

void ddfs_pins_tick(struct ddfs_fs *fs)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ddfs_layouts_tick(fs->pins.layouts, now.tv_sec);
	end_gone(fs);
}
