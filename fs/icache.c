/* SPDX-License-Identifier: BSD-3-Clause */
/* Inodes in memory: found by number, counted, kept for a while when nobody uses them. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/inode.h"
#include "fs/orphan.h"
#include "fs/tx.h"

/* Unused inodes that a shard keeps. */
#define IDLE_MAX 128

static struct ddfs_icache_shard *shard_of(struct ddfs_fs *fs, uint32_t ino)
{
	return &fs->icache.shards[ino % DDFS_ICACHE_SHARDS];
}

static struct ddfs_inode **bucket_of(struct ddfs_icache_shard *s, uint32_t ino)
{
	return &s->bucket[ino / DDFS_ICACHE_SHARDS % DDFS_ICACHE_BUCKETS];
}

int ddfs_icache_init(struct ddfs_fs *fs)
{
	fs->icache.shards = calloc(DDFS_ICACHE_SHARDS, sizeof(*fs->icache.shards));
	if (!fs->icache.shards)
		return -ENOMEM;
	for (unsigned int i = 0; i < DDFS_ICACHE_SHARDS; i++)
		pthread_mutex_init(&fs->icache.shards[i].lock, NULL);
	return 0;
}

static void inode_delete(struct ddfs_inode *ip)
{
	ddfs_layout_fini(&ip->layout);
	pthread_rwlock_destroy(&ip->lock);
	pthread_mutex_destroy(&ip->tlock);
	free(ip);
}

void ddfs_icache_fini(struct ddfs_fs *fs)
{
	for (unsigned int i = 0; fs->icache.shards && i < DDFS_ICACHE_SHARDS; i++) {
		struct ddfs_icache_shard *s = &fs->icache.shards[i];

		for (unsigned int b = 0; b < DDFS_ICACHE_BUCKETS; b++) {
			while (s->bucket[b]) {
				struct ddfs_inode *ip = s->bucket[b];

				s->bucket[b] = ip->hash_next;
				inode_delete(ip);
			}
		}
		pthread_mutex_destroy(&s->lock);
	}
	free(fs->icache.shards);
	fs->icache.shards = NULL;
}

static struct ddfs_inode *inode_alloc(
	struct ddfs_fs *fs, uint32_t ino, uint32_t gen, uint64_t off, uint32_t mode, bool dax)
{
	struct ddfs_inode *ip = calloc(1, sizeof(*ip));
	pthread_rwlockattr_t attr;

	if (!ip)
		return NULL;
	ip->fs = fs;
	ip->ino = ino;
	ip->gen = gen;
	ip->off = off;
	ip->type = mode & S_IFMT;
	ip->dax = dax;
	ip->refs = 1;
	ddfs_layout_init(&ip->layout, fs->pins.layouts, ddfs_id_make(ino, gen));
	/* Readers who never pause must not keep a writer out. Nobody locks an inode twice. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&ip->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&ip->tlock, NULL);
	return ip;
}

/* Who has the number. */
static struct ddfs_inode *shard_find(struct ddfs_icache_shard *s, uint32_t ino)
{
	struct ddfs_inode *ip = *bucket_of(s, ino);

	while (ip && (ip->ino != ino || ip->outlived))
		ip = ip->hash_next;
	return ip;
}

/* Who has the number, or had it and is still known. */
static struct ddfs_inode *shard_find_id(struct ddfs_icache_shard *s, ddfs_id id)
{
	struct ddfs_inode *ip = *bucket_of(s, (uint32_t)id);

	while (ip && ddfs_inode_id(ip) != id)
		ip = ip->hash_next;
	return ip;
}

static void shard_insert(struct ddfs_icache_shard *s, struct ddfs_inode *ip)
{
	struct ddfs_inode **head = bucket_of(s, ip->ino);

	ip->hash_next = *head;
	*head = ip;
}

static void shard_remove(struct ddfs_icache_shard *s, struct ddfs_inode *ip)
{
	struct ddfs_inode **p = bucket_of(s, ip->ino);

	while (*p != ip)
		p = &(*p)->hash_next;
	*p = ip->hash_next;
}

static void idle_remove(struct ddfs_icache_shard *s, struct ddfs_inode *ip)
{
	if (ip->lru_prev)
		ip->lru_prev->lru_next = ip->lru_next;
	else
		s->lru_head = ip->lru_next;
	if (ip->lru_next)
		ip->lru_next->lru_prev = ip->lru_prev;
	else
		s->lru_tail = ip->lru_prev;
	s->nr_idle--;
}

static void idle_append(struct ddfs_icache_shard *s, struct ddfs_inode *ip)
{
	ip->lru_next = NULL;
	ip->lru_prev = s->lru_tail;
	if (s->lru_tail)
		s->lru_tail->lru_next = ip;
	else
		s->lru_head = ip;
	s->lru_tail = ip;
	s->nr_idle++;
}

static void take_ref(struct ddfs_icache_shard *s, struct ddfs_inode *ip)
{
	if (!ip->refs++)
		idle_remove(s, ip);
}

bool ddfs_inode_wants_dax(const struct ddfs_fs *fs, const struct ddfs_inode_disk *di)
{
	if ((ddfs_le16(di->mode) & S_IFMT) != S_IFREG || fs->opt.dax == DDFS_DAX_NEVER)
		return false;
	return fs->opt.dax == DDFS_DAX_ALWAYS || ddfs_le32(di->flags) & DDFS_FLAG_DAX;
}

/* What is kept of an inode on media. */
struct brief {
	uint64_t off;
	uint32_t gen, mode;
	bool dax;
};

/* itable.map_lock is held. */
static DDFS_GUARD_STEP int look(struct ddfs_fs *fs, uint32_t ino, struct brief *b)
{
	const struct ddfs_inode_disk *di;
	int err = ddfs_itable_find_locked(fs, ino, &b->off);

	if (!err)
		err = ddfs_inode_check(fs, ino, b->off);
	if (err)
		return err;
	di = (const void *)(fs->base + b->off);
	b->gen = ddfs_le32(di->gen);
	b->mode = ddfs_le16(di->mode);
	b->dax = ddfs_inode_wants_dax(fs, di);
	return 0;
}

/* Bring the inode in from media. The shard is locked: nobody else brings it in too. */
static int bring_in(
	struct ddfs_fs *fs, struct ddfs_icache_shard *s, uint32_t ino, struct ddfs_inode **out)
{
	struct ddfs_inode *ip;
	struct brief b;
	int err;

	/* A slot that is looked at stays one of the table until it has been checked; one in use
	 * stays for longer. */
	pthread_rwlock_rdlock(&fs->itable.map_lock);
	err = DDFS_GUARDED(fs, look(fs, ino, &b));
	pthread_rwlock_unlock(&fs->itable.map_lock);
	if (err)
		return err;
	ip = inode_alloc(fs, ino, b.gen, b.off, b.mode, b.dax);
	if (!ip)
		return -ENOMEM;
	shard_insert(s, ip);
	*out = ip;
	return 0;
}

/* The shard is locked; ip is what it has, or NULL. */
static int take_or_bring_in(struct ddfs_fs *fs, struct ddfs_icache_shard *s, uint32_t ino,
	struct ddfs_inode *ip, struct ddfs_inode **out)
{
	if (!ip)
		return bring_in(fs, s, ino, out);
	if (ip->dead && ip->forgotten)
		return -ESTALE; /* somebody is not done with it, but nobody may begin */
	take_ref(s, ip);
	*out = ip;
	return 0;
}

int ddfs_inode_get(struct ddfs_fs *fs, ddfs_id id, struct ddfs_inode **out)
{
	uint32_t ino = (uint32_t)id;
	struct ddfs_icache_shard *s = shard_of(fs, ino);
	struct ddfs_inode *ip;
	int err;

	/* The others below are nobody's business. */
	if (ino != DDFS_INO_ROOT && ino < DDFS_INO_FIRST)
		return -ESTALE;
	pthread_mutex_lock(&s->lock);
	ip = shard_find_id(s, id);
	if (!ip && shard_find(s, ino))
		err = -ESTALE;
	else
		err = take_or_bring_in(fs, s, ino, ip, &ip);
	pthread_mutex_unlock(&s->lock);
	if (err)
		return err;
	if (ddfs_inode_id(ip) != id) {
		ddfs_inode_put(ip);
		return -ESTALE;
	}
	*out = ip;
	return 0;
}

int ddfs_inode_get_ino(struct ddfs_fs *fs, uint32_t ino, struct ddfs_inode **out)
{
	struct ddfs_icache_shard *s = shard_of(fs, ino);
	int err;

	pthread_mutex_lock(&s->lock);
	err = take_or_bring_in(fs, s, ino, shard_find(s, ino), out);
	pthread_mutex_unlock(&s->lock);
	return err;
}

void ddfs_inode_hold(struct ddfs_inode *ip)
{
	struct ddfs_icache_shard *s = shard_of(ip->fs, ip->ino);

	pthread_mutex_lock(&s->lock);
	take_ref(s, ip);
	pthread_mutex_unlock(&s->lock);
}

bool ddfs_icache_has(struct ddfs_fs *fs, uint32_t ino)
{
	struct ddfs_icache_shard *s = shard_of(fs, ino);
	bool has;

	pthread_mutex_lock(&s->lock);
	has = shard_find(s, ino);
	pthread_mutex_unlock(&s->lock);
	return has;
}

bool ddfs_icache_has_live(struct ddfs_fs *fs, uint32_t ino)
{
	struct ddfs_icache_shard *s = shard_of(fs, ino);
	struct ddfs_inode *ip;
	bool live;

	pthread_mutex_lock(&s->lock);
	ip = shard_find(s, ino);
	live = ip && !ip->dead;
	pthread_mutex_unlock(&s->lock);
	return live;
}

uint32_t ddfs_icache_lowest_dead(struct ddfs_fs *fs, uint32_t otherwise)
{
	uint32_t lowest = otherwise;

	for (unsigned int i = 0; i < DDFS_ICACHE_SHARDS; i++) {
		struct ddfs_icache_shard *s = &fs->icache.shards[i];

		pthread_mutex_lock(&s->lock);
		for (unsigned int b = 0; b < DDFS_ICACHE_BUCKETS; b++)
			for (struct ddfs_inode *ip = s->bucket[b]; ip; ip = ip->hash_next)
				if (ip->dead && ip->ino < lowest)
					lowest = ip->ino;
		pthread_mutex_unlock(&s->lock);
	}
	return lowest;
}

/* Nobody uses ip any more. Returns what the caller frees once the shard is unlocked. */
static struct ddfs_inode *became_idle(struct ddfs_icache_shard *s, struct ddfs_inode *ip)
{
	idle_append(s, ip);
	if (s->nr_idle <= IDLE_MAX)
		return NULL;
	ip = s->lru_head;
	idle_remove(s, ip);
	shard_remove(s, ip);
	return ip;
}

/* The object goes and the number may be used again, at once for who scans the table. */
static void put_dead(struct ddfs_icache_shard *s, struct ddfs_inode *ip)
{
	struct ddfs_fs *fs = ip->fs;
	bool last, outlived;

	pthread_mutex_lock(&fs->itable.lock);
	pthread_mutex_lock(&s->lock);
	last = !--ip->refs;
	outlived = ip->outlived;
	if (last)
		shard_remove(s, ip);
	pthread_mutex_unlock(&s->lock);
	if (last && !outlived)
		ddfs_itable_put_locked(fs, ip->ino);
	pthread_mutex_unlock(&fs->itable.lock);
	if (last)
		inode_delete(ip);
}

void ddfs_inode_put(struct ddfs_inode *ip)
{
	struct ddfs_icache_shard *s = shard_of(ip->fs, ip->ino);
	struct ddfs_inode *gone = NULL;

	pthread_mutex_lock(&s->lock);
	/* Who set it had a reference, and has put it if this is the last. */
	if (ip->dead) {
		pthread_mutex_unlock(&s->lock);
		put_dead(s, ip);
		return;
	}
	if (!--ip->refs)
		gone = became_idle(s, ip);
	pthread_mutex_unlock(&s->lock);
	if (gone)
		inode_delete(gone);
}

int ddfs_inode_new(struct ddfs_fs *fs, struct ddfs_ino_grant *g, uint32_t mode, bool dax,
	struct ddfs_inode **out)
{
	struct ddfs_icache_shard *s = shard_of(fs, g->ino);
	struct ddfs_inode *ip = inode_alloc(fs, g->ino, g->gen, g->off, mode, dax), *old;

	if (!ip) {
		ddfs_itable_settle(fs, g, false);
		ddfs_itable_put(fs, g->ino);
		return -ENOMEM;
	}
	/* Nobody knows it yet: that its lock is taken behind itable.lock can block no one. */
	if (pthread_rwlock_trywrlock(&ip->lock))
		abort();
	pthread_mutex_lock(&s->lock);
	/* A dead one may be left if the table has grown by this number, under itable.lock. */
	old = shard_find(s, g->ino);
	if (old)
		old->outlived = true;
	shard_insert(s, ip);
	pthread_mutex_unlock(&s->lock);
	*out = ip;
	return 0;
}

void ddfs_inode_cancel(struct ddfs_inode *ip, struct ddfs_ino_grant *g)
{
	ip->dead = true;
	pthread_rwlock_unlock(&ip->lock);
	ddfs_itable_settle(ip->fs, g, false);
	ddfs_inode_put(ip);
}

void ddfs_inode_bury(struct ddfs_inode *ip, const struct ddfs_inode_disk *last)
{
	ddfs_itable_drop(ip->fs);
	ddfs_attr_fill(&ip->last, last);
	ip->last.nlink = 0;
	/* With the kernel's reference it stays until the kernel forgets it. */
	if (ip->fs->kernel_refs && !(ddfs_le32(last->flags) & DDFS_IFLAG_ZOMBIE))
		ddfs_inode_hold(ip);
	else
		ip->forgotten = true;
	ip->dead = true;
}

void ddfs_forget(struct ddfs_fs *fs, ddfs_id id)
{
	struct ddfs_icache_shard *s = shard_of(fs, (uint32_t)id);
	struct ddfs_inode *ip;

	pthread_mutex_lock(&s->lock);
	ip = shard_find_id(s, id);
	if (ip && (!ip->dead || ip->forgotten))
		ip = NULL;
	if (ip)
		ip->forgotten = true;
	pthread_mutex_unlock(&s->lock);
	if (ip)
		ddfs_inode_put(ip);
}
