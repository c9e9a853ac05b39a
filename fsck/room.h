/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays that grow. */
#ifndef DDFS_FSCK_ROOM_H
#define DDFS_FSCK_ROOM_H

#include <stddef.h>
#include <stdlib.h>

/* The array of nr elements of that size, with room for one more; p itself is stale then. NULL: no
 * memory, and p is as it was. */
static inline void *fsck_room(void *p, size_t nr, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 64;

	if (nr < *cap)
		return p;
	p = realloc(p, more * size);
	if (p)
		*cap = more;
	return p;
}

#endif
