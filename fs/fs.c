/* SPDX-License-Identifier: BSD-3-Clause */
/* Mounting and unmounting, and what concerns the filesystem as a whole. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fs/altmap.h"
#include "fs/core.h"
#include "fs/health.h"
#include "fs/orphan.h"
#include "fs/super.h"

/* Age at which timestamps are written, seconds. */
#define TIMES_AGE 5
/* The same with lazytime, as in the kernel; what is too many in memory is written before. */
#define LAZY_AGE (24 * 60 * 60)

void ddfs_log(struct ddfs_fs *fs, int priority, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!fs->opt.log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fs->opt.log(fs->opt.log_arg, priority, line);
}

int ddfs_corrupt(struct ddfs_fs *fs, const char *fmt, ...)
{
	char line[480];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ddfs_log(fs, LOG_ERR, "metadata error: %s", line);
	/* A mount that meets one fails anyway. */
	if (!fs->mounted)
		return -EUCLEAN;
	if (atomic_load(&fs->errors) == DDFS_ERRORS_ABORT) {
		ddfs_log(fs, LOG_CRIT, "errors=abort: ending");
		abort();
	}
	if (atomic_load(&fs->errors) != DDFS_ERRORS_REMOUNT_RO)
		return -EUCLEAN;
	atomic_store(&fs->failed, true);
	if (!atomic_exchange(&fs->readonly, true))
		ddfs_log(fs, LOG_CRIT, "errors=remount-ro: read-only from now on");
	return -EUCLEAN;
}

/* ---- mount ---------------------------------------------------------------------------------- */

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The time since *since, which becomes now. */
static uint64_t lap(uint64_t *since)
{
	uint64_t then = *since;

	*since = now_usec();
	return *since - then;
}

static void take_super(struct ddfs_fs *fs)
{
	const struct ddfs_super *s = &fs->super;

	fs->csum_seed = ddfs_le32(s->csum_seed);
	fs->hash_seed = ddfs_le64(s->hash_seed);
	fs->nr_blocks = ddfs_le64(s->device_bytes) >> DDFS_BLOCK_SHIFT;
	fs->data_block = ddfs_le64(s->data_off) >> DDFS_BLOCK_SHIFT;
	fs->end_block = fs->nr_blocks - 2;
	fs->dax_unit_bytes = ddfs_le64(s->dax_unit_bytes);
	fs->recovery.was_clean = ddfs_le32(s->state) == DDFS_STATE_CLEAN;
}

static void *map_zeroes(size_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t verified_bytes(const struct ddfs_fs *fs)
{
	return (fs->nr_blocks + 63) / 64 * 8;
}

static size_t node_chunks_bytes(const struct ddfs_fs *fs)
{
	return (fs->nr_blocks / DDFS_CHUNK_BLOCKS + 63) / 64 * 8;
}

static int alloc_memory(struct ddfs_fs *fs)
{
	int err;

	fs->verified = map_zeroes(verified_bytes(fs), PROT_READ | PROT_WRITE);
	fs->node_chunks = map_zeroes(node_chunks_bytes(fs), PROT_READ | PROT_WRITE);
	fs->zeroes = map_zeroes(DDFS_IO_MAX, PROT_READ);
	if (!fs->verified || !fs->node_chunks || !fs->zeroes)
		return -ENOMEM;
	err = ddfs_icache_init(fs);
	if (!err)
		err = ddfs_lanes_init(fs);
	if (!err)
		err = ddfs_bad_init(fs);
	return err;
}

static int recover_lanes(struct ddfs_fs *fs)
{
	uint32_t nr = 0;
	int err;

	if (fs->recovery.was_clean)
		return 0;
	err = ddfs_lanes_recover(fs, fs->media->readonly, &nr);
	if (err)
		return err;
	if (nr && fs->media->readonly) {
		ddfs_log(fs, LOG_ERR,
			"the filesystem was not unmounted cleanly and the device is "
			"read-only: mount it once where it can be written");
		return -EROFS;
	}
	fs->recovery.nr_lanes_replayed = nr;
	return 0;
}

static int count_all(struct ddfs_fs *fs)
{
	int err;

	if (fs->recovery.was_clean) {
		atomic_store(&fs->itable.nr_used, ddfs_le32(fs->super.nr_used_inodes));
		return ddfs_alloc_load_saved(fs);
	}
	/* The hint is as old as the last clean unmount. */
	fs->itable.scanned = DDFS_INO_FIRST;
	err = ddfs_alloc_count(fs);
	return err ? err : ddfs_itable_count(fs);
}

/* A writable mount begins, and with it the epoch of its pins. */
static int begin_writing(struct ddfs_fs *fs)
{
	int err = ddfs_pins_check_epoch(fs);

	if (!err)
		err = ddfs_lanes_check(fs);
	if (!err)
		err = ddfs_super_mark_mounted(fs);
	if (err)
		return err;
	atomic_store(&fs->pins.mounts, ddfs_le32(fs->super.nr_mounts));
	ddfs_bad_begin(fs);
	return ddfs_pins_recover(fs);
}

static int recover(struct ddfs_fs *fs)
{
	struct ddfs_recovery *r = &fs->recovery;
	uint64_t t = now_usec();
	int err = recover_lanes(fs);

	r->usec_lanes = lap(&t);
	if (!err)
		err = ddfs_alloc_init(fs);
	if (!err)
		err = ddfs_itable_init(fs);
	if (!err)
		err = count_all(fs);
	r->usec_count = lap(&t);
	if (!err)
		err = ddfs_inode_get_ino(fs, DDFS_INO_ORPHAN, &fs->orphans);
	if (!err && !fs->readonly)
		err = begin_writing(fs);
	if (!err && !fs->readonly)
		err = ddfs_orphans_recover(fs, &r->nr_orphans_freed);
	r->usec_orphans = lap(&t);
	return err;
}

static void fs_delete(struct ddfs_fs *fs)
{
	if (fs->itable.nr_slots || fs->itable.free_ino)
		ddfs_itable_fini(fs);
	ddfs_icache_fini(fs);
	ddfs_pins_fini(fs);
	ddfs_alloc_fini(fs);
	ddfs_bad_fini(fs);
	if (fs->lanes.tx)
		ddfs_lanes_fini(fs);
	if (fs->verified)
		munmap((void *)fs->verified, verified_bytes(fs));
	if (fs->node_chunks)
		munmap((void *)fs->node_chunks, node_chunks_bytes(fs));
	if (fs->zeroes)
		munmap((void *)(uintptr_t)fs->zeroes, DDFS_IO_MAX);
	pthread_mutex_destroy(&fs->dirty_lock);
	pthread_mutex_destroy(&fs->rename_lock);
	pthread_mutex_destroy(&fs->super_lock);
	free(fs);
}

static int fs_init(struct ddfs_fs *fs)
{
	uint64_t t = now_usec();
	int err = ddfs_super_read(fs);

	if (err)
		return err;
	take_super(fs);
	ddfs_health_look(fs);
	fs->recovery.usec_super = lap(&t);
	err = alloc_memory(fs);
	if (!err) {
		ddfs_bad_load(fs);
		err = ddfs_pins_init(fs);
	}
	if (!err)
		err = recover(fs);
	if (!err)
		ddfs_health_report(fs);
	return err;
}

/* Options that a remount changes while others look at them. */
static void take_changeable(struct ddfs_fs *fs, const struct ddfs_fs_options *opt)
{
	atomic_store(&fs->lazytime, opt->lazytime);
	atomic_store(&fs->atime, (int)opt->atime);
	atomic_store(&fs->errors, (int)opt->errors);
}

int ddfs_fs_open(struct ddfs_media *media, const struct ddfs_fs_options *opt, struct ddfs_fs **out)
{
	struct ddfs_fs *fs = calloc(1, sizeof(*fs));
	int err;

	if (!fs)
		return -ENOMEM;
	fs->media = media;
	fs->base = media->base;
	fs->opt = *opt;
	take_changeable(fs, opt);
	atomic_init(&fs->readonly, opt->readonly || media->readonly);
	pthread_mutex_init(&fs->super_lock, NULL);
	pthread_mutex_init(&fs->rename_lock, NULL);
	pthread_mutex_init(&fs->dirty_lock, NULL);
	err = DDFS_GUARDED(fs, fs_init(fs));
	if (err) {
		if (fs->pins.layouts)
			ddfs_pins_abandon(fs);
		if (fs->orphans)
			ddfs_inode_put(fs->orphans);
		fs_delete(fs);
		return err;
	}
	fs->kernel_refs = opt->kernel_refs;
	fs->mounted = true;
	*out = fs;
	return 0;
}

/* ---- unmount, sync, remount ----------------------------------------------------------------- */

/* Everything that only memory knows goes to media. */
static int settle(struct ddfs_fs *fs)
{
	int err = ddfs_dirty_write(fs, 0), lost = 0;

	if (!err)
		err = ddfs_itable_shrink(fs);
	/* Times of what can't be read are lost; the rest is not. */
	if (err == -EIO && !ddfs_fs_writable(fs)) {
		lost = err;
		err = 0;
	}
	if (err)
		return err;
	ddfs_pin_records_close(fs);
	ddfs_altmap_flush(fs);
	/* On media they are free. */
	ddfs_held_release_all(fs);
	err = ddfs_bad_save(fs);
	ddfs_bad_release(fs);
	if (!err)
		err = ddfs_super_mark_clean(fs);
	return err ? err : lost;
}

int ddfs_fs_close(struct ddfs_fs *fs)
{
	uint64_t nr;
	int err = 0, e = 0;

	fs->kernel_refs = false;
	ddfs_pins_kill(fs);
	/* What was open and had no name any more is open no more. */
	if (!ddfs_fs_writable(fs))
		err = ddfs_orphans_recover(fs, &nr);
	ddfs_pins_abandon(fs);
	/* Also if an orphan could not be freed: it is one still. */
	if (!ddfs_fs_writable(fs))
		e = settle(fs);
	err = err ? err : e;
	if (!ddfs_fs_writable(fs))
		e = fs->media->ops->deep_flush(fs->media, DDFS_SYNC_MOUNT);
	ddfs_inode_put(fs->orphans);
	fs_delete(fs);
	return err ? err : e;
}

int ddfs_fs_sync(struct ddfs_fs *fs)
{
	int err = 0, e;

	if (fs->media->readonly)
		return 0;
	/* An error may have made it read-only since; what was written before is still flushed. */
	if (!ddfs_fs_writable(fs))
		err = ddfs_dirty_write(fs, 0);
	e = fs->media->ops->deep_flush(fs->media, DDFS_SYNC_FS);
	return err ? err : e;
}

void ddfs_fs_writeback(struct ddfs_fs *fs)
{
	if (!ddfs_fs_writable(fs))
		ddfs_dirty_write(fs, atomic_load(&fs->lazytime) ? LAZY_AGE : TIMES_AGE);
	ddfs_bad_ask_again(fs);
	if (!ddfs_fs_writable(fs) && atomic_load(&fs->bad.fresh))
		ddfs_bad_keep(fs);
	/* Who relies on it looks at the error. */
	ddfs_bad_save(fs);
	ddfs_itable_shrink(fs);
}

/* Transactions that began before the filesystem became read-only end. */
static void quiesce(struct ddfs_fs *fs)
{
	while (atomic_load(&fs->lanes.free) != fs->lanes.usable)
		sched_yield();
}

static int to_readonly(struct ddfs_fs *fs)
{
	int err = ddfs_dirty_write(fs, 0);

	if (!err)
		err = ddfs_bad_save(fs);
	if (err)
		return err;
	atomic_store(&fs->readonly, true);
	quiesce(fs);
	ddfs_bad_release(fs);
	/* Counts on the device go on changing, and what is clean has none. */
	err = fs->pins.map_on_device ? 0 : ddfs_super_mark_clean(fs);
	return err ? err : fs->media->ops->deep_flush(fs->media, DDFS_SYNC_MOUNT);
}

static int to_writable(struct ddfs_fs *fs)
{
	int err;

	if (fs->media->readonly) {
		ddfs_log(fs, LOG_ERR, "the device is read-only: it can't be remounted writable");
		return -EROFS;
	}
	if (atomic_load(&fs->failed)) {
		ddfs_log(fs, LOG_ERR,
			"read-only because of an earlier error: unmount and mount again");
		return -EROFS;
	}
	err = ddfs_super_check_writable(fs);
	if (!err)
		err = begin_writing(fs);
	if (!err)
		atomic_store(&fs->readonly, false);
	return err;
}

/* Pins are recorded by a writable mount and not by a read-only one, and belong to its epoch. */
static int change_readonly(struct ddfs_fs *fs, bool readonly)
{
	int err = ddfs_pins_freeze(fs);

	if (err)
		return err;
	err = DDFS_GUARDED(fs, readonly ? to_readonly(fs) : to_writable(fs));
	ddfs_pins_thaw(fs);
	return err;
}

int ddfs_fs_remount(struct ddfs_fs *fs, const struct ddfs_fs_options *opt)
{
	int err = 0;

	if (opt->readonly != atomic_load(&fs->readonly))
		err = change_readonly(fs, opt->readonly);
	if (err)
		return err;
	take_changeable(fs, opt);
	return 0;
}

static int sync_inode(struct ddfs_inode *ip, bool datasync, enum ddfs_sync_cause cause)
{
	struct ddfs_fs *fs = ip->fs;
	int err = 0;

	if (fs->media->readonly)
		return 0;
	/* Sizes and maps are on media already; times are not data. */
	if (!datasync)
		err = ddfs_inode_write_times(ip);
	return err ? err : fs->media->ops->deep_flush(fs->media, cause);
}

int ddfs_fsync(struct ddfs_inode *ip, bool datasync)
{
	return sync_inode(ip, datasync, DDFS_SYNC_FILE);
}

int ddfs_write_sync(struct ddfs_inode *ip, bool datasync)
{
	return sync_inode(ip, datasync, DDFS_SYNC_WRITE);
}

int ddfs_fs_statfs(struct ddfs_fs *fs, struct ddfs_statfs *out)
{
	int64_t nr_free;
	uint64_t used = atomic_load(&fs->itable.nr_used), inodes;

	/* What an emptied inode table holds is as good as free. */
	ddfs_itable_shrink(fs);
	nr_free = atomic_load(&fs->alloc.nr_free);
	if (nr_free < 0)
		nr_free = 0;
	/* Every free block could hold inodes. */
	inodes = fs->itable.nr_slots + (uint64_t)nr_free * DDFS_INODES_PER_BLOCK;
	if (inodes > UINT32_MAX)
		inodes = UINT32_MAX;
	*out = (struct ddfs_statfs){
		.block_bytes = DDFS_BLOCK_BYTES,
		.nr_blocks = fs->alloc.nr_usable,
		.nr_free = (uint64_t)nr_free,
		.nr_avail = (uint64_t)nr_free > fs->alloc.reserve
				    ? (uint64_t)nr_free - fs->alloc.reserve
				    : 0,
		.nr_inodes = inodes,
		.nr_free_inodes =
			inodes > used + DDFS_INO_FIRST ? inodes - used - DDFS_INO_FIRST : 0,
	};
	memcpy(out->uuid, fs->super.uuid, sizeof(out->uuid));
	memcpy(out->label, fs->super.label, sizeof(fs->super.label));
	return 0;
}

void ddfs_fs_recovery(struct ddfs_fs *fs, struct ddfs_recovery *out)
{
	*out = fs->recovery;
}

bool ddfs_fs_is_readonly(struct ddfs_fs *fs)
{
	return atomic_load(&fs->readonly);
}

uint64_t ddfs_fs_bytes(struct ddfs_fs *fs)
{
	return fs->nr_blocks << DDFS_BLOCK_SHIFT;
}

uint64_t ddfs_fs_dax_unit(struct ddfs_fs *fs)
{
	return fs->dax_unit_bytes;
}

void ddfs_fs_uuid(struct ddfs_fs *fs, uint8_t out[16])
{
	memcpy(out, fs->super.uuid, sizeof(fs->super.uuid));
}
