/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Machine checks: copies that survive poisoned memory, and the process's SIGBUS.
 *
 *	left = ddfs_copy_mc(buf, base + off, len);
 *	if (left)
 *		... the first len - left bytes are in buf, the next one can't be read
 *
 * After copy_mc_to_kernel of the Linux kernel (arch/x86/lib/copy_mc_64.S), which gives the bytes
 * remaining too. Nothing has to be set up around a copy and nothing is paid for it: the handler
 * knows by the address of the instruction that it may continue elsewhere.
 *
 * SIGBUS of anything else goes on as before: to guards of fs/ (fs/guard.h), then to the handler
 * that stood before ours, or the default. A handler that is installed after ours gets all of them
 * first, and has to pass on those that aren't its own, in the same thread and with the same
 * arguments, as ours does. So a program that wants both installs its own before it opens a device.
 */
#ifndef DDFS_DEVICE_MC_H
#define DDFS_DEVICE_MC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Catch SIGBUS in this process; each init wants a fini. Any thread. 0 or -errno. Without it the
 * copies work, but do not survive. The last fini puts the handler back that stood before, unless
 * another one was installed over ours: then ours stays, and passes all on. */
int ddfs_mc_init(void);
void ddfs_mc_fini(void);

/* Copy len bytes that do not overlap. Returns how many could not be: exact to the first byte of the
 * first bad line (or page, where a whole page can't be read). What dst holds behind them is
 * undefined. A fault of dst is none of the copy's. */
size_t ddfs_copy_mc(void *dst, const void *src, size_t len);

/* Read them, without a copy: what is returned is the same. For who hands the memory to the kernel,
 * which does not say where it stopped. */
size_t ddfs_probe_mc(const void *src, size_t len);

/* len bytes at view are those at base, mapped twice. The kernel gives one address for poison, which
 * may be in either, whichever was read; from here on guards and notices know it as the one in
 * base. Beyond 16 of them, none is remembered. */
void ddfs_mc_add_view(const void *view, const void *base, size_t len);
void ddfs_mc_remove_view(const void *view);

/* The kernel tells of poison that nobody has read yet (BUS_MCEERR_AO), at any time, to any thread.
 * Noted here without a lock; the oldest are kept if there are too many. Returns whether there was
 * one, and takes it: an address in some mapping of this process. */
bool ddfs_mc_take_notice(uintptr_t *addr);

#endif
