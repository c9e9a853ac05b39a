/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdatomic.h>

#include "src/device/mc.h"
#include "src/device/mc_signal.h"

/* Addresses; 0: free. The process's, as its signals are. */
#define NR_NOTICES 64
static atomic_uintptr_t notices[NR_NOTICES];

void ddfs_mc_note(const void *addr)
{
	for (size_t i = 0; i < NR_NOTICES; i++) {
		uintptr_t old = 0;

		if (atomic_compare_exchange_strong(&notices[i], &old, (uintptr_t)addr) ||
			old == (uintptr_t)addr)
			return;
	}
}

bool ddfs_mc_take_notice(uintptr_t *addr)
{
	for (size_t i = 0; i < NR_NOTICES; i++) {
		uintptr_t found = 0;

		if (atomic_load_explicit(&notices[i], memory_order_relaxed))
			found = atomic_exchange(&notices[i], 0);
		if (found) {
			*addr = found;
			return true;
		}
	}
	return false;
}
