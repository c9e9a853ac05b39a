/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdatomic.h>
#include <stdlib.h>

#include "src/client/readers.h"

/* Signals are the process's, and are handed no argument. */
static atomic_ulong nr_readers;
static struct ddfs_client_retired *retired; /* protected by the process's lock */

void ddfs_client_readers_enter(void)
{
	atomic_fetch_add(&nr_readers, 1);
}

void ddfs_client_readers_leave(void)
{
	atomic_fetch_sub(&nr_readers, 1);
}

void ddfs_client_readers_retire(struct ddfs_client_retired *r)
{
	if (r) {
		r->next = retired;
		retired = r;
	}
	/* One that comes from now on finds none of them: they were taken out before this load, and
	 * it is counted before it looks. */
	if (atomic_load(&nr_readers))
		return;
	while ((r = retired)) {
		retired = r->next;
		free(r);
	}
}

void ddfs_client_readers_orphan(void)
{
	atomic_store(&nr_readers, 0);
}
