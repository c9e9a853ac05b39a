/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>

#include "src/client/error.h"
#include "src/client/persist.h"
#include "src/devdaxfs_ioctl.h"

/*
 * libpmem2 ties its functions to a map and picks them when that is made, by what it finds out of
 * the platform or is told by the environment. They are the same for all maps of one granularity,
 * and pmem2_map_from_existing takes that as an argument: so one map for each, of a page that is
 * there for nothing else, gives them once for all. Maps of real mappings are not made: libpmem2
 * would go on knowing them in a forked child, where others may be in their place.
 */
#define PAGE_BYTES 4096
static _Alignas(PAGE_BYTES) char pages[2][PAGE_BYTES];
static struct pmem2_map *maps[2]; /* kept: libpmem2 forgets some of their memory at delete */
static struct ddfs_client_persist persists[2];
static int init_result;

static int init_one(struct pmem2_source *source, int i, enum pmem2_granularity granularity)
{
	int ret = pmem2_map_from_existing(&maps[i], source, pages[i], PAGE_BYTES, granularity);

	if (ret)
		return ret;
	persists[i] = (struct ddfs_client_persist){
		.persist = pmem2_get_persist_fn(maps[i]),
		.flush = pmem2_get_flush_fn(maps[i]),
		.drain = pmem2_get_drain_fn(maps[i]),
		.memcpy = pmem2_get_memcpy_fn(maps[i]),
		.memset = pmem2_get_memset_fn(maps[i]),
	};
	return 0;
}

static void init(void)
{
	struct pmem2_source *source;
	int ret = pmem2_source_from_anon(&source, PAGE_BYTES);

	if (!ret) {
		ret = init_one(source, 0, PMEM2_GRANULARITY_BYTE);
		if (!ret)
			ret = init_one(source, 1, PMEM2_GRANULARITY_CACHE_LINE);
		pmem2_source_delete(&source);
	}
	init_result = ret ? -ENOMEM : 0;
}

int ddfs_client_persist_get(uint32_t granularity, const struct ddfs_client_persist **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init);
	if (init_result)
		return ddfs_client_error(init_result, "libpmem2: %s", pmem2_errormsg());
	*out = &persists[granularity == DDFS_IOC_GRANULARITY_CACHE_LINE];
	return 0;
}
