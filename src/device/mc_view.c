/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdatomic.h>

#include "src/device/mc.h"
#include "src/device/mc_signal.h"

/* The process's, as its signals are. from is 0 where there is none. */
#define NR_VIEWS 16
#define CLAIMED	 UINTPTR_MAX /* from, while the rest changes: no view begins there */
static struct view {
	atomic_uintptr_t from, to;
	atomic_size_t len;
} views[NR_VIEWS];

void ddfs_mc_add_view(const void *view, const void *base, size_t len)
{
	for (struct view *v = views; v < views + NR_VIEWS; v++) {
		uintptr_t none = 0;

		if (!atomic_compare_exchange_strong(&v->from, &none, CLAIMED))
			continue;
		atomic_store(&v->to, (uintptr_t)base);
		atomic_store(&v->len, len);
		atomic_store(&v->from, (uintptr_t)view);
		return;
	}
}

void ddfs_mc_remove_view(const void *view)
{
	for (struct view *v = views; v < views + NR_VIEWS; v++) {
		uintptr_t from = (uintptr_t)view;

		if (atomic_compare_exchange_strong(&v->from, &from, 0))
			return;
	}
}

const void *ddfs_mc_base_of(const void *addr)
{
	for (struct view *v = views; v < views + NR_VIEWS; v++) {
		uintptr_t from = atomic_load(&v->from), off = (uintptr_t)addr - from;

		if (from && from != CLAIMED && off < atomic_load(&v->len))
			return (const void *)(atomic_load(&v->to) + off);
	}
	return addr;
}
