/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names made up for a tree of names, each with a key in the range of the leaf that it is for.
 *
 * Leaves come in the order of their keys. A name that was made for one, and has a key of another
 * that is still to come, is kept for that: so the whole tree takes little more names than it has.
 */
#ifndef DDFS_TOOLS_DDFS_METADUMP_NAMES_H
#define DDFS_TOOLS_DDFS_METADUMP_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct ddfs_image;
struct ddfs_made_names;

/* secret: what they are made of. -ENOMEM. */
int ddfs_made_names_new(
	const struct ddfs_image *img, uint64_t secret, struct ddfs_made_names **out);
void ddfs_made_names_delete(struct ddfs_made_names *m);
/* Another tree: what was kept is forgotten. */
void ddfs_made_names_begin(struct ddfs_made_names *m);

struct ddfs_made_name {
	uint8_t *name; /* len bytes, of which the first `fixed`, 0 or 1, stay as they are */
	size_t len, fixed;
	uint64_t from, to;  /* its key is one of these */
	unsigned int tries; /* so far, 0 in the beginning */
};

/* Fills in the name and returns its key; called again it is another one, or seldom the same. 0:
 * there is none. */
uint64_t ddfs_made_names_next(struct ddfs_made_names *m, struct ddfs_made_name *n);

/* How many were made, kept or not. */
uint64_t ddfs_made_names_nr(const struct ddfs_made_names *m);

#endif
