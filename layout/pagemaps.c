/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of several pagemaps describes a page. */
#include <errno.h>

#include "layout/pagemap.h"

/* Without first + nr, which may be past the end of the numbers. */
static bool covers(uint64_t first, uint64_t nr, uint64_t page)
{
	return page >= first && page - first < nr;
}

int ddfs_pagemaps_add(struct ddfs_pagemaps *set, struct ddfs_pagemap *pm, uint64_t first)
{
	uint64_t nr = ddfs_pagemap_nr_pages(pm);

	for (unsigned int i = 0; i < set->nr; i++) {
		uint64_t other = set->range[i].first;

		if (covers(other, ddfs_pagemap_nr_pages(set->range[i].pm), first) ||
			covers(first, nr, other))
			return -EEXIST;
	}
	if (set->nr == DDFS_PAGEMAPS_MAX)
		return -ENOSPC;
	set->range[set->nr].pm = pm;
	set->range[set->nr].first = first;
	set->nr++;
	return 0;
}

struct ddfs_pagemap *ddfs_pagemap_get(
	const struct ddfs_pagemaps *set, uint64_t page, struct ddfs_pagemap *cached, uint64_t *off)
{
	struct ddfs_pagemap *pm = NULL;
	uint64_t first = 0;

	for (unsigned int i = 0; i < set->nr && !pm; i++) {
		first = set->range[i].first;
		if (covers(first, ddfs_pagemap_nr_pages(set->range[i].pm), page))
			pm = set->range[i].pm;
	}
	if (!pm || pm != cached) {
		if (cached)
			ddfs_pagemap_put_live(cached);
		if (!pm || !ddfs_pagemap_tryget_live(pm))
			return NULL;
	}
	*off = page - first;
	return pm;
}
