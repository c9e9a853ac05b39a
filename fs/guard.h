/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading media that may be poisoned.
 *
 * A load from a bad cell raises a machine check, and the kernel sends the thread a SIGBUS. Metadata
 * is read in place, so that can be any load through fs->base. Each such read happens inside a
 * guard: whoever owns the memory catches the signal and calls ddfs_guard_raise, and the innermost
 * guard of that thread gives its error instead of its result.
 *
 *	err = DDFS_GUARDED(fs, ddfs_itable_find_locked(fs, ino, &off));
 *
 * What is inside is left half-way, as by longjmp(3). So it takes nothing that nobody else knows of:
 * locks, references and transactions are those of a struct ddfs_op outside of the guard, and a
 * function that must take another lock, or memory, around a read of media has a guard of its own
 * inside it. Local variables that change inside and are used behind it are told to
 * ddfs_guard_keep first, and changed by a DDFS_GUARD_STEP.
 *
 * The public calls of fs/fs.h have a guard around all that they do. Within, guards stand where
 * something is held that ddfs_op_end does not let go, and where the caller goes on without what
 * could not be read.
 */
#ifndef DDFS_FS_GUARD_H
#define DDFS_FS_GUARD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

struct ddfs_fs;

struct ddfs_guard {
	jmp_buf env;
	struct ddfs_fs *fs;
	struct ddfs_guard *outer;
	bool stores;	/* for stores too */
	bool was_store; /* that could not be done */
	uintptr_t addr; /* that could not be reached */
};

/* Of a function inside a guard that changes variables of the function that the guard is in: as
 * part of it, it could keep them in registers, which the jump throws away. */
#define DDFS_GUARD_STEP __attribute__((noinline))

/* What p points to changes inside the guard that follows and is used behind it: the compiler, which
 * knows of no jump, must not believe that nobody else can have changed it. */
static inline void ddfs_guard_keep(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

void ddfs_guard_push(struct ddfs_guard *g, struct ddfs_fs *fs, bool stores);
void ddfs_guard_pop(struct ddfs_guard *g);

/* Behind the jump, in ordinary context: notes the bad block (fs/bad.h), logs it, does what errors=
 * asks, as ddfs_corrupt. Returns -EIO. */
int ddfs_guard_hit(struct ddfs_guard *g);
/* The same for stores, which are no matter of errors=. */
int ddfs_guard_hit_store(struct ddfs_guard *g);
/* Whichever it was. */
int ddfs_guard_hit_either(struct ddfs_guard *g);

#define DDFS_GUARDED_BY(filesystem, is_for_stores, hit, expr)                                      \
	({                                                                                         \
		struct ddfs_guard guard_;                                                          \
		int guarded_;                                                                      \
                                                                                                   \
		ddfs_guard_push(&guard_, filesystem, is_for_stores);                               \
		if (_setjmp(guard_.env) == 0) {                                                    \
			guarded_ = (expr);                                                         \
			ddfs_guard_pop(&guard_);                                                   \
		} else {                                                                           \
			guarded_ = hit(&guard_);                                                   \
		}                                                                                  \
		guarded_;                                                                          \
	})

/* The value of expr, an int; -EIO if it met poison, and that was noted. */
#define DDFS_GUARDED(filesystem, expr) DDFS_GUARDED_BY(filesystem, false, ddfs_guard_hit, expr)

/* The same for stores: some memory can't be stored to either, such as a page of an image that the
 * kernel has given up, or has no room for. For file data, and for a commit behind its publish
 * point, which is not to be left otherwise. A store elsewhere that fails ends the process. */
#define DDFS_GUARDED_STORE(filesystem, expr)                                                       \
	DDFS_GUARDED_BY(filesystem, true, ddfs_guard_hit_store, expr)

/* For what reads metadata and stores. */
#define DDFS_GUARDED_BOTH(filesystem, expr)                                                        \
	DDFS_GUARDED_BY(filesystem, true, ddfs_guard_hit_either, expr)

#endif
