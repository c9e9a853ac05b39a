/* SPDX-License-Identifier: BSD-3-Clause */
/* Where in memory files are mapped, for who has nothing but an address; see readers.h. */
#ifndef DDFS_CLIENT_PLACE_H
#define DDFS_CLIENT_PLACE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "src/client/readers.h"

struct ddfs_mapping;
struct ddfs_client_view;

struct ddfs_client_place {
	struct ddfs_client_retired retired; /* first */
	_Atomic(struct ddfs_client_place *) next;
	/* what points here; protected by the process's lock */
	_Atomic(struct ddfs_client_place *) *link;

	/* never changed */
	uintptr_t base;
	size_t len;
	uint64_t file_off; /* of base */
	const struct ddfs_mapping *mapping;
	char path[]; /* empty: not known */
};

/* A place that is not found yet, for the view of the file behind fd from file_off on. -ENOMEM, with
 * the sentence. */
int ddfs_client_place_new(const struct ddfs_mapping *m, int fd, const struct ddfs_client_view *view,
	uint64_t file_off, struct ddfs_client_place **out);
/* From now on it is. */
void ddfs_client_place_enter(struct ddfs_client_place *place);
/* It is not any more, and is gone. To come before its memory is somebody else's. */
void ddfs_client_place_leave(struct ddfs_client_place *place);

/* Between ddfs_client_readers_enter and leave: the one that addr lies in, or NULL. */
const struct ddfs_client_place *ddfs_client_place_find(const void *addr);

/* In a forked child, which has none of the mappings: none is found. They are freed with
 * free(3). */
void ddfs_client_place_orphan(void);

#endif
