/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/bad.h"

#include <stdlib.h>
#include <time.h>

#include "fs/core.h"

/* How often the device's list is asked again once an error was told of, which it may learn of
 * later. */
#define NR_ASKS 5u

int ddfs_bad_init(struct ddfs_fs *fs)
{
	pthread_mutex_init(&fs->bad.keep_lock, NULL);
	pthread_mutex_init(&fs->bad.lock, NULL);
	fs->bad.slots =
		calloc(DDFS_BAD_BYTES / sizeof(struct ddfs_bad_record), sizeof(*fs->bad.slots));
	return fs->bad.slots ? 0 : -ENOMEM;
}

void ddfs_bad_fini(struct ddfs_fs *fs)
{
	if (fs->bad.slots) {
		pthread_mutex_destroy(&fs->bad.keep_lock);
		pthread_mutex_destroy(&fs->bad.lock);
	}
	ddfs_rangeset_fini(&fs->bad.known);
	ddfs_rangeset_fini(&fs->bad.kept);
	free(fs->bad.slots);
}

/* The device's own list, one by one. What was cleared once is as bad as any other if it is there
 * again. */
static void reported(void *arg, uint64_t off, uint64_t len)
{
	struct ddfs_fs *fs = arg;
	uint64_t first = off >> DDFS_BLOCK_SHIFT;
	uint64_t end = (off + len + DDFS_BLOCK_BYTES - 1) >> DDFS_BLOCK_SHIFT;

	/* The device may be larger than what the filesystem has of it. */
	if (end > fs->nr_blocks)
		end = fs->nr_blocks;
	if (first < end)
		ddfs_bad_note(fs, (struct ddfs_range){ first, end - first });
}

void ddfs_bad_load(struct ddfs_fs *fs)
{
	int err;

	ddfs_bad_table_read(fs);
	err = fs->media->ops->bad_ranges(fs->media, reported, fs);
	if (err && err != -EOPNOTSUPP)
		ddfs_log(fs, LOG_WARNING, "the device's list of bad blocks can't be read: error %d",
			-err);
	if (ddfs_bad_any(&fs->bad))
		ddfs_log(fs, LOG_WARNING, "%llu blocks of the device are bad (ddfs badblocks)",
			(unsigned long long)ddfs_bad_count(fs));
}

void ddfs_bad_note(struct ddfs_fs *fs, struct ddfs_range r)
{
	struct ddfs_bad *bad = &fs->bad;
	int err = 0;

	pthread_mutex_lock(&bad->lock);
	if (ddfs_rangeset_find(&bad->known, r).len != r.len) {
		err = ddfs_rangeset_add(&bad->known, r, (uint64_t)time(NULL));
		if (!err) {
			bad->unsaved = true;
			atomic_store(&bad->fresh, true);
			atomic_store(&bad->any, true);
		}
	}
	pthread_mutex_unlock(&bad->lock);
	if (err)
		ddfs_log(fs, LOG_ERR, "no memory to note that block %llu is bad",
			(unsigned long long)r.start);
}

void ddfs_bad_drop(struct ddfs_fs *fs, struct ddfs_range r)
{
	struct ddfs_bad *bad = &fs->bad;
	int err;

	pthread_mutex_lock(&bad->lock);
	err = ddfs_rangeset_del(&bad->known, r);
	if (!err)
		bad->unsaved = true;
	atomic_store(&bad->any, bad->known.nr > 0);
	pthread_mutex_unlock(&bad->lock);
	if (err)
		ddfs_log(fs, LOG_ERR, "no memory to note that block %llu is good again",
			(unsigned long long)r.start);
}

struct ddfs_range ddfs_bad_find(struct ddfs_fs *fs, struct ddfs_range r)
{
	struct ddfs_range found;

	if (!ddfs_bad_any(&fs->bad))
		return (struct ddfs_range){ r.start + r.len, 0 };
	pthread_mutex_lock(&fs->bad.lock);
	found = ddfs_rangeset_find(&fs->bad.known, r);
	pthread_mutex_unlock(&fs->bad.lock);
	return found;
}

uint64_t ddfs_bad_count(struct ddfs_fs *fs)
{
	uint64_t n;

	pthread_mutex_lock(&fs->bad.lock);
	n = ddfs_rangeset_count(&fs->bad.known);
	pthread_mutex_unlock(&fs->bad.lock);
	return n;
}

/* What of the device's list lies in a range. */
struct notice {
	struct ddfs_fs *fs;
	uint64_t off, end;
};

static void reported_there(void *arg, uint64_t off, uint64_t len)
{
	const struct notice *n = arg;
	uint64_t end = off + len < n->end ? off + len : n->end;

	if (off < n->off)
		off = n->off;
	if (off < end)
		reported(n->fs, off, end - off);
}

static void ask(struct ddfs_fs *fs, uint64_t off, uint64_t end)
{
	uint64_t before = ddfs_bad_count(fs), now;
	struct notice n = { fs, off, end };

	fs->media->ops->bad_ranges(fs->media, reported_there, &n);
	now = ddfs_bad_count(fs);
	if (now > before)
		ddfs_log(fs, LOG_ERR, "the device lists %llu more bad blocks (ddfs badblocks)",
			(unsigned long long)(now - before));
}

/* What is told of meanwhile is asked about together. */
static void ask_later(struct ddfs_bad *bad, uint64_t off, uint64_t end)
{
	if (!bad->nr_asks || off < bad->noticed_off)
		bad->noticed_off = off;
	if (!bad->nr_asks || end > bad->noticed_end)
		bad->noticed_end = end;
	bad->nr_asks = NR_ASKS;
}

void ddfs_bad_ask_again(struct ddfs_fs *fs)
{
	struct ddfs_bad *bad = &fs->bad;

	if (!bad->nr_asks)
		return;
	bad->nr_asks--;
	ask(fs, bad->noticed_off, bad->noticed_end);
}

void ddfs_bad_notice(struct ddfs_fs *fs, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;

	ddfs_log(fs, LOG_ERR, "the kernel tells of a memory error near byte %llu of the device",
		(unsigned long long)off);
	if (len <= DDFS_BLOCK_BYTES)
		reported(fs, off, len);
	for (uint64_t at = off; at < end; at += DDFS_BLOCK_BYTES)
		if (fs->media->ops->probe(fs->media, at, DDFS_BLOCK_BYTES))
			reported(fs, at, DDFS_BLOCK_BYTES);
	ask(fs, off, end);
	ask_later(&fs->bad, off, end);
}

/* How many of the bytes lie before block. */
static size_t before(uint64_t off, uint64_t block)
{
	uint64_t at = ddfs_block_off(block);

	return at > off ? at - off : 0;
}

static void found_bad(struct ddfs_fs *fs, uint64_t block)
{
	if (ddfs_bad_find(fs, (struct ddfs_range){ block, 1 }).len)
		return;
	ddfs_bad_note(fs, (struct ddfs_range){ block, 1 });
	ddfs_log(fs, LOG_ERR, "block %llu can't be read: the memory is poisoned, and so is a file",
		(unsigned long long)block);
}

size_t ddfs_bad_readable(struct ddfs_fs *fs, uint64_t off, size_t len)
{
	uint64_t first = off >> DDFS_BLOCK_SHIFT;
	uint64_t end = (off + len + DDFS_BLOCK_BYTES - 1) >> DDFS_BLOCK_SHIFT;
	struct ddfs_range bad;
	size_t left;

	if (!len)
		return 0;
	bad = ddfs_bad_find(fs, (struct ddfs_range){ first, end - first });
	if (bad.len)
		len = before(off, bad.start);
	left = len ? fs->media->ops->probe(fs->media, off, len) : 0;
	if (!left)
		return len;
	found_bad(fs, (off + len - left) >> DDFS_BLOCK_SHIFT);
	return before(off, (off + len - left) >> DDFS_BLOCK_SHIFT);
}

int ddfs_bad_clear(struct ddfs_fs *fs, struct ddfs_range r)
{
	const struct ddfs_media_ops *ops = fs->media->ops;
	uint64_t off = ddfs_block_off(r.start);
	int err = ops->clear_poison(fs->media, off, ddfs_block_off(r.len));

	/* What says it did and did not is as good as what can't. */
	if (!err && ops->probe(fs->media, off, ddfs_block_off(r.len)))
		err = -EIO;
	return err;
}
