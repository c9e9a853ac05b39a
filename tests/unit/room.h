/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays that grow. */
#ifndef DDFS_TEST_ROOM_H
#define DDFS_TEST_ROOM_H

#include <stddef.h>
#include <stdlib.h>

/* The array of nr elements of that size, with room for one more. Aborts without memory. */
static inline void *array_room(void *p, size_t nr, size_t *cap, size_t size)
{
	if (nr < *cap)
		return p;
	*cap = *cap ? *cap * 2 : 64;
	p = realloc(p, *cap * size);
	if (!p)
		abort();
	return p;
}

#endif
