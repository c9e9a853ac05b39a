/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How stores reach the persistence domain, by the granularity that the mount says: libpmem2's
 * functions.
 */
#ifndef DDFS_CLIENT_PERSIST_H
#define DDFS_CLIENT_PERSIST_H

#include <libpmem2.h>
#include <stdint.h>

struct ddfs_client_persist {
	pmem2_persist_fn persist;
	pmem2_flush_fn flush;
	pmem2_drain_fn drain;
	pmem2_memcpy_fn memcpy;
	pmem2_memset_fn memset;
};

/* For DDFS_IOC_GRANULARITY_*; for PAGE those that flush nothing, since more must follow. Never
 * freed. -ENOMEM, with the sentence. */
int ddfs_client_persist_get(uint32_t granularity, const struct ddfs_client_persist **out);

#endif
