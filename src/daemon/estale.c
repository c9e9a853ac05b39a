/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/estale.h"

#include <errno.h>
#include <fcntl.h>

#include "src/daemon/clock.h"

/* From one look-up to its open, on a machine that has other things to do as well. */
#define KEEP_MSEC 1000

void ddfs_estale_init(struct ddfs_estale *e)
{
	pthread_mutex_init(&e->lock, NULL);
}

static void let_go(struct ddfs_inode *ip)
{
	if (!ip)
		return;
	ddfs_release(ip);
	ddfs_inode_put(ip);
}

void ddfs_estale_told(struct ddfs_estale *e)
{
	atomic_store(&e->until, ddfs_now_msec() + KEEP_MSEC);
}

bool ddfs_estale_is_wanted(struct ddfs_estale *e)
{
	int64_t until = atomic_load_explicit(&e->until, memory_order_relaxed);

	return until && ddfs_now_msec() < until;
}

static struct ddfs_inode *replace(struct ddfs_estale *e, struct ddfs_inode *ip)
{
	struct ddfs_estale_kept *k;
	struct ddfs_inode *old;

	pthread_mutex_lock(&e->lock);
	k = &e->kept[e->next++ % DDFS_ESTALE_KEPT];
	old = k->ip;
	*k = (struct ddfs_estale_kept){ .ip = ip, .until = ddfs_now_msec() + KEEP_MSEC };
	pthread_mutex_unlock(&e->lock);
	return old;
}

int ddfs_estale_keep(struct ddfs_estale *e, struct ddfs_fs *fs, ddfs_id id)
{
	struct ddfs_inode *ip;
	int err = ddfs_inode_get(fs, id, &ip);

	if (err)
		return err;
	err = ddfs_open(ip, O_RDONLY, false, NULL);
	if (err)
		ddfs_inode_put(ip);
	else
		let_go(replace(e, ip));
	return err;
}

/* The one in the slot, if its time is over by now. */
static struct ddfs_inode *take_old(struct ddfs_estale *e, unsigned int i, int64_t now)
{
	struct ddfs_inode *ip = NULL;

	pthread_mutex_lock(&e->lock);
	if (e->kept[i].until <= now) {
		ip = e->kept[i].ip;
		e->kept[i].ip = NULL;
	}
	pthread_mutex_unlock(&e->lock);
	return ip;
}

static void let_go_old(struct ddfs_estale *e, int64_t now)
{
	if (!atomic_load_explicit(&e->until, memory_order_relaxed))
		return;
	for (unsigned int i = 0; i < DDFS_ESTALE_KEPT; i++)
		let_go(take_old(e, i, now));
}

void ddfs_estale_tick(struct ddfs_estale *e)
{
	let_go_old(e, ddfs_now_msec());
}

void ddfs_estale_let_go(struct ddfs_estale *e)
{
	let_go_old(e, INT64_MAX);
}

void ddfs_estale_fini(struct ddfs_estale *e)
{
	ddfs_estale_let_go(e);
	pthread_mutex_destroy(&e->lock);
}
