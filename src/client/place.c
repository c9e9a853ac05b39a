/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/client/error.h"
#include "src/client/place.h"
#include "src/client/process.h"
#include "src/client/view.h"

/* The process's, as its memory is. A list: it is walked when memory fails, and entered and left by
 * every mapping. */
static _Atomic(struct ddfs_client_place *) places;

static void find_path(int fd, char *path, size_t size)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, size - 1);
	path[n > 0 ? n : 0] = '\0';
}

int ddfs_client_place_new(const struct ddfs_mapping *m, int fd, const struct ddfs_client_view *view,
	uint64_t file_off, struct ddfs_client_place **out)
{
	struct ddfs_client_place *place;
	char path[PATH_MAX];
	size_t size;

	find_path(fd, path, sizeof(path));
	size = strlen(path) + 1;
	place = malloc(sizeof(*place) + size);
	if (!place)
		return ddfs_client_error(-ENOMEM, "no memory for a mapping");
	*place = (struct ddfs_client_place){
		.base = (uintptr_t)view->base,
		.len = view->len,
		.file_off = file_off,
		.mapping = m,
	};
	memcpy(place->path, path, size);
	*out = place;
	return 0;
}

void ddfs_client_place_enter(struct ddfs_client_place *place)
{
	struct ddfs_client_place *first;

	ddfs_client_process_lock();
	first = atomic_load(&places);
	atomic_store(&place->next, first);
	place->link = &places;
	if (first)
		first->link = &place->next;
	atomic_store(&places, place);
	ddfs_client_process_unlock();
}

/* Its own link stays: a reader that stands on it goes on from there. */
void ddfs_client_place_leave(struct ddfs_client_place *place)
{
	struct ddfs_client_place *next;

	ddfs_client_process_lock();
	next = atomic_load(&place->next);
	if (next)
		next->link = place->link;
	atomic_store(place->link, next);
	ddfs_client_readers_retire(&place->retired);
	ddfs_client_process_unlock();
}

const struct ddfs_client_place *ddfs_client_place_find(const void *addr)
{
	const struct ddfs_client_place *place = atomic_load(&places);

	while (place && (uintptr_t)addr - place->base >= place->len)
		place = atomic_load(&place->next);
	return place;
}

void ddfs_client_place_orphan(void)
{
	atomic_store(&places, NULL);
}
