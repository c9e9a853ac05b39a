/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/handle.h"

#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "fs/fs.h"

/* ---- recall --------------------------------------------------------------------------------- */

/*
 * With layouts->lock held. The kernel only wakes who polls: it waits for nothing, and keeps a ph
 * that is stale no worse than a wake-up for nothing. Who polls asks again.
 */
static void handle_recall(struct ddfs_pin_owner *o, bool pending)
{
	struct ddfs_handle *h =
		(struct ddfs_handle *)((char *)o - offsetof(struct ddfs_handle, owner));

	if (!pending)
		return;
	pthread_mutex_lock(&h->lock);
	fuse_lowlevel_notify_poll(h->poll);
	pthread_mutex_unlock(&h->lock);
}

static void handle_set_poll(struct ddfs_handle *h, struct fuse_pollhandle *ph)
{
	struct fuse_pollhandle *old;

	pthread_mutex_lock(&h->lock);
	old = h->poll;
	h->poll = ph;
	pthread_mutex_unlock(&h->lock);
	if (old)
		fuse_pollhandle_destroy(old);
}

bool ddfs_handle_poll(struct ddfs_handle *h, struct fuse_pollhandle *ph)
{
	/* Before the look: a recall behind it is told to ph. */
	if (ph)
		handle_set_poll(h, ph);
	return atomic_load(&h->has_pins) &&
	       ddfs_pin_owner_is_recalled(ddfs_fs_layouts(ddfs_inode_fs(h->ip)), &h->owner);
}

void ddfs_handle_will_pin(struct ddfs_handle *h)
{
	atomic_store(&h->has_pins, true);
}

/* ---- from open to close --------------------------------------------------------------------- */

struct ddfs_handle *ddfs_handle_new(int flags)
{
	struct ddfs_handle *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->flags = flags;
	ddfs_pin_owner_init(&h->owner, handle_recall);
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void ddfs_handle_delete(struct ddfs_handle *h)
{
	if (h->poll)
		fuse_pollhandle_destroy(h->poll);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* The upper bits of a product depend on all of the factor's. */
static struct ddfs_handle_shard *shard_of(struct ddfs_handles *set, const struct ddfs_handle *h)
{
	uint64_t hash = (uintptr_t)h * UINT64_C(0x9e3779b97f4a7c15);

	return &set->shards[(hash >> 32) % DDFS_HANDLE_SHARDS];
}

void ddfs_handle_open(struct ddfs_handles *set, struct ddfs_handle *h, struct ddfs_inode *ip)
{
	struct ddfs_handle_shard *shard = shard_of(set, h);

	h->ip = ip;
	h->shard = shard;
	pthread_mutex_lock(&shard->lock);
	LIST_INSERT_HEAD(&shard->open, h, link);
	pthread_mutex_unlock(&shard->lock);
}

static void handle_release_pins(struct ddfs_handle *h)
{
	if (atomic_load(&h->has_pins))
		ddfs_pins_release(ddfs_inode_fs(h->ip), &h->owner);
}

void ddfs_handle_close(struct ddfs_handle *h)
{
	pthread_mutex_lock(&h->shard->lock);
	LIST_REMOVE(h, link);
	pthread_mutex_unlock(&h->shard->lock);
	/* Behind this no recall comes any more. */
	handle_release_pins(h);
	ddfs_release(h->ip);
	ddfs_inode_put(h->ip);
	ddfs_handle_delete(h);
}

bool ddfs_handle_is_readable(const struct ddfs_handle *h)
{
	return (h->flags & O_ACCMODE) != O_WRONLY;
}

bool ddfs_handle_is_writable(const struct ddfs_handle *h)
{
	return (h->flags & O_ACCMODE) != O_RDONLY;
}

/* ---- all of them ---------------------------------------------------------------------------- */

void ddfs_handles_init(struct ddfs_handles *set)
{
	for (int i = 0; i < DDFS_HANDLE_SHARDS; i++) {
		pthread_mutex_init(&set->shards[i].lock, NULL);
		LIST_INIT(&set->shards[i].open);
	}
}

/* The shard's lock keeps those that a worker is closing at the same time. */
void ddfs_handles_release(struct ddfs_handles *set)
{
	struct ddfs_handle *h;

	for (int i = 0; i < DDFS_HANDLE_SHARDS; i++) {
		pthread_mutex_lock(&set->shards[i].lock);
		LIST_FOREACH(h, &set->shards[i].open, link)
			handle_release_pins(h);
		pthread_mutex_unlock(&set->shards[i].lock);
	}
}

void ddfs_handles_fini(struct ddfs_handles *set)
{
	for (int i = 0; i < DDFS_HANDLE_SHARDS; i++) {
		struct ddfs_handle_shard *shard = &set->shards[i];

		while (!LIST_EMPTY(&shard->open)) {
			struct ddfs_handle *h = LIST_FIRST(&shard->open);

			LIST_REMOVE(h, link);
			ddfs_handle_delete(h);
		}
		pthread_mutex_destroy(&shard->lock);
	}
}
