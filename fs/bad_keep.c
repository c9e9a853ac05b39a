/* SPDX-License-Identifier: BSD-3-Clause */
/* Bad blocks that no file has: cleared, or kept from the allocator. */
#include "fs/alloc_priv.h"
#include "fs/bad.h"
#include "fs/core.h"

/* Cleared and recorded so, before another file may store there what it needs. */
static int make_good(struct ddfs_fs *fs, struct ddfs_range r)
{
	int err = ddfs_fs_writable(fs);

	if (!err)
		err = ddfs_bad_clear(fs, r);
	if (err)
		return err;
	ddfs_bad_drop(fs, r);
	err = ddfs_bad_save(fs);
	if (err)
		ddfs_bad_note(fs, r);
	return err;
}

/* The blocks are free on media, taken in memory, and bad. */
static void retire(struct ddfs_fs *fs, struct ddfs_range r)
{
	int err;

	if (!make_good(fs, r)) {
		ddfs_log(fs, LOG_INFO, "%llu blocks from %llu on were bad: cleared, and free",
			(unsigned long long)r.len, (unsigned long long)r.start);
		ddfs_alloc_put_good(fs, r);
		return;
	}
	pthread_mutex_lock(&fs->bad.lock);
	err = ddfs_rangeset_add(&fs->bad.kept, r, 0);
	pthread_mutex_unlock(&fs->bad.lock);
	if (err)
		ddfs_log(fs, LOG_ERR,
			"no memory to note it: block %llu is lost until the next mount",
			(unsigned long long)r.start);
}

void ddfs_bad_put(struct ddfs_fs *fs, struct ddfs_range r)
{
	while (r.len) {
		struct ddfs_range bad = ddfs_bad_find(fs, r);
		uint64_t good = bad.start - r.start, done = good + bad.len;

		if (good)
			ddfs_alloc_put_good(fs, (struct ddfs_range){ r.start, good });
		if (bad.len)
			retire(fs, bad);
		r = (struct ddfs_range){ r.start + done, r.len - done };
	}
}

static void keep_run(struct ddfs_fs *fs, struct ddfs_range r)
{
	uint64_t first = r.start < fs->data_block ? fs->data_block : r.start;
	uint64_t end = r.start + r.len < fs->end_block ? r.start + r.len : fs->end_block;
	struct ddfs_range got;

	while (first < end) {
		ddfs_alloc_claim(fs, (struct ddfs_range){ first, end - first }, &got);
		if (got.len)
			retire(fs, got);
		first = got.start + got.len;
	}
}

/* keep_lock is held. */
static void keep_all(struct ddfs_fs *fs)
{
	uint64_t at = 0;

	atomic_store(&fs->bad.fresh, false);
	while (at < fs->nr_blocks) {
		struct ddfs_range r =
			ddfs_bad_find(fs, (struct ddfs_range){ at, fs->nr_blocks - at });

		keep_run(fs, r);
		at = r.start + r.len;
	}
}

void ddfs_bad_begin(struct ddfs_fs *fs)
{
	pthread_mutex_lock(&fs->bad.keep_lock);
	fs->bad.keeps = true;
	keep_all(fs);
	pthread_mutex_unlock(&fs->bad.keep_lock);
}

void ddfs_bad_keep(struct ddfs_fs *fs)
{
	pthread_mutex_lock(&fs->bad.keep_lock);
	if (fs->bad.keeps)
		keep_all(fs);
	pthread_mutex_unlock(&fs->bad.keep_lock);
}

static struct ddfs_rangeset take_kept(struct ddfs_bad *bad)
{
	struct ddfs_rangeset kept;

	pthread_mutex_lock(&bad->lock);
	kept = bad->kept;
	bad->kept = (struct ddfs_rangeset){ 0 };
	pthread_mutex_unlock(&bad->lock);
	return kept;
}

void ddfs_bad_release(struct ddfs_fs *fs)
{
	struct ddfs_rangeset kept;

	pthread_mutex_lock(&fs->bad.keep_lock);
	fs->bad.keeps = false;
	kept = take_kept(&fs->bad);
	for (size_t i = 0; i < kept.nr; i++)
		ddfs_alloc_put_good(fs, (struct ddfs_range){ kept.run[i].start, kept.run[i].len });
	ddfs_rangeset_fini(&kept);
	pthread_mutex_unlock(&fs->bad.keep_lock);
}
