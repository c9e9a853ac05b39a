/* SPDX-License-Identifier: BSD-3-Clause */
/* What the signal handler of mc.c asks its neighbours. All of it may be called in handlers. */
#ifndef DDFS_DEVICE_MC_SIGNAL_H
#define DDFS_DEVICE_MC_SIGNAL_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

/* If it is one of the copies that could not read the byte at info->si_addr: it goes on to return
 * what it has, when the handler returns or at once. Else false, and nothing was changed.
 * With the copies, in mc_x86.c or mc_plain.c. */
bool ddfs_mc_recover(const siginfo_t *info, ucontext_t *context);

/* Whether it was a store that faulted, as far as the processor tells. There too. */
bool ddfs_mc_is_store(const siginfo_t *info, const ucontext_t *context);

/* The address that guards know addr by. */
const void *ddfs_mc_base_of(const void *addr);

void ddfs_mc_note(const void *addr);

#endif
