/* SPDX-License-Identifier: BSD-3-Clause */
/* The side of fs/guard.h for who catches signals. */
#ifndef DDFS_FS_GUARD_RAISE_H
#define DDFS_FS_GUARD_RAISE_H

#include <stdbool.h>

/* The calling thread can't read the byte at addr, or store to it. Does not return if one of its
 * guards is for that and for the filesystem that this lies in: the guards inside of that one are
 * given up too. Else false: not ours. For signal handlers; SIGBUS must not be blocked behind them.
 */
bool ddfs_guard_raise(const void *addr, bool store);

#endif
