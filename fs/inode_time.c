/* SPDX-License-Identifier: BSD-3-Clause */
/* Timestamps that change without anything else changing are kept in memory for a while. */
#include <string.h>

#include "fs/core.h"
#include "fs/inode.h"
#include "fs/op.h"
#include "fs/tx.h"

/* relatime(8): an atime this old is brought up to date anyway. */
#define RELATIME_SECONDS (24 * 60 * 60)
/* Inodes with unwritten times that are kept in memory at most. */
#define DIRTY_MAX 4096

struct timespec ddfs_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

void ddfs_set_time(struct le64 *sec, struct le32 *ns, struct timespec t)
{
	*sec = ddfs_to64((uint64_t)t.tv_sec);
	*ns = ddfs_to32((uint32_t)t.tv_nsec);
}

void ddfs_touch(struct ddfs_inode_disk *di, bool mtime)
{
	struct timespec now = ddfs_now();

	if (mtime)
		ddfs_set_time(&di->mtime, &di->mtime_ns, now);
	ddfs_set_time(&di->ctime, &di->ctime_ns, now);
}

static bool before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* Seconds of a clock that nobody sets. */
static time_t uptime(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Put ip on the list of those to write, with a reference. */
static void dirty_add(struct ddfs_inode *ip)
{
	struct ddfs_fs *fs = ip->fs;

	/* Who takes it off the list looks at the times after that, with the lock that the caller
	 * has now. */
	if (atomic_load(&ip->on_dirty))
		return;
	pthread_mutex_lock(&fs->dirty_lock);
	if (!ip->on_dirty) {
		ip->on_dirty = true;
		ip->dirty_since = uptime();
		ip->dirty_next = NULL;
		if (fs->dirty_tail)
			fs->dirty_tail->dirty_next = ip;
		else
			fs->dirty_head = ip;
		fs->dirty_tail = ip;
		fs->nr_dirty++;
		ddfs_inode_hold(ip);
	}
	pthread_mutex_unlock(&fs->dirty_lock);
}

static bool relatime_skips(const struct timespec *atime, const struct timespec *mtime,
	const struct timespec *ctime, struct timespec now)
{
	return before(*mtime, *atime) && before(*ctime, *atime) &&
	       now.tv_sec - atime->tv_sec < RELATIME_SECONDS;
}

/* Whether a read now would change atime; the inode's lock is held. */
static bool wants_atime(struct ddfs_inode *ip, struct timespec now)
{
	const struct ddfs_inode_disk *di = ddfs_inode_view(ip, NULL);
	struct ddfs_fs *fs = ip->fs;
	struct ddfs_attr a;

	if (atomic_load(&fs->atime) == DDFS_ATIME_NOATIME || ddfs_fs_writable(fs) || ip->dead ||
		ddfs_le32(di->flags) & DDFS_FLAG_NOATIME)
		return false;
	if (atomic_load(&fs->atime) == DDFS_ATIME_STRICT)
		return true;
	if (atomic_load(&ip->lazy)) {
		ddfs_inode_attr(ip, &a);
		return !relatime_skips(&a.atime, &a.mtime, &a.ctime, now);
	}
	/* Most reads: nothing newer than what is on media. */
	return !relatime_skips(
		&(struct timespec){ (time_t)ddfs_le64(di->atime), ddfs_le32(di->atime_ns) },
		&(struct timespec){ (time_t)ddfs_le64(di->mtime), ddfs_le32(di->mtime_ns) },
		&(struct timespec){ (time_t)ddfs_le64(di->ctime), ddfs_le32(di->ctime_ns) }, now);
}

bool ddfs_wants_atime(struct ddfs_inode *ip)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, false);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, wants_atime(ip, ddfs_now()))) == 1;
}

void ddfs_inode_accessed(struct ddfs_inode *ip)
{
	struct timespec now = ddfs_now();

	if (!wants_atime(ip, now))
		return;
	pthread_mutex_lock(&ip->tlock);
	ip->atime = now;
	ip->lazy |= DDFS_LAZY_ATIME;
	pthread_mutex_unlock(&ip->tlock);
	dirty_add(ip);
}

void ddfs_inode_modified(struct ddfs_inode *ip)
{
	struct timespec now = ddfs_now();

	pthread_mutex_lock(&ip->tlock);
	ip->mtime = ip->ctime = now;
	ip->lazy |= DDFS_LAZY_MTIME;
	pthread_mutex_unlock(&ip->tlock);
	dirty_add(ip);
}

void ddfs_inode_keep_times(struct ddfs_inode *ip, unsigned int lazy)
{
	pthread_mutex_lock(&ip->tlock);
	ip->lazy |= lazy;
	pthread_mutex_unlock(&ip->tlock);
}

static int write_times(struct ddfs_op *op, struct ddfs_inode *ip)
{
	int err;

	if (!ip->lazy || ip->dead || ddfs_fs_writable(ip->fs))
		return 0;
	err = ddfs_op_tx(op);
	if (err)
		return err;
	ddfs_inode_edit(op->tx, ip);
	return ddfs_op_commit(op);
}

int ddfs_inode_write_times(struct ddfs_inode *ip)
{
	struct ddfs_op op;

	ddfs_op_begin(&op, ip->fs);
	ddfs_op_lock(&op, ip, true);
	return ddfs_op_end(&op, DDFS_GUARDED(op.fs, write_times(&op, ip)));
}

static struct ddfs_inode *dirty_pop(struct ddfs_fs *fs, time_t before_sec)
{
	struct ddfs_inode *ip;

	pthread_mutex_lock(&fs->dirty_lock);
	ip = fs->dirty_head;
	if (ip && (ip->dirty_since <= before_sec || fs->nr_dirty > DIRTY_MAX)) {
		fs->dirty_head = ip->dirty_next;
		if (!fs->dirty_head)
			fs->dirty_tail = NULL;
		ip->on_dirty = false;
		fs->nr_dirty--;
	} else {
		ip = NULL;
	}
	pthread_mutex_unlock(&fs->dirty_lock);
	return ip;
}

int ddfs_dirty_write(struct ddfs_fs *fs, time_t age)
{
	time_t limit = uptime() - age;
	struct ddfs_inode *ip;
	int err = 0;

	while ((ip = dirty_pop(fs, limit))) {
		int e = ddfs_inode_write_times(ip);

		if (e)
			err = e;
		ddfs_inode_put(ip);
	}
	return err;
}
