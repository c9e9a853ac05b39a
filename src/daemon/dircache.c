/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/dircache.h"

static _Atomic uint64_t *dircache_slot(struct ddfs_dircache *c, uint64_t id)
{
	/* Inode numbers are dense and in the lower half. */
	return &c->slots[(id ^ id >> 32) % DDFS_DIRCACHE_SLOTS];
}

bool ddfs_dircache_open(struct ddfs_dircache *c, uint64_t id)
{
	return atomic_exchange(dircache_slot(c, id), id) == id;
}

void ddfs_dircache_changed(struct ddfs_dircache *c, uint64_t id)
{
	atomic_store(dircache_slot(c, id), 0);
}
