/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the parts of the allocator: alloc_group.c knows one group, alloc_run.c rows of them,
 * alloc_media.c what is on media. */
#ifndef DDFS_FS_ALLOC_PRIV_H
#define DDFS_FS_ALLOC_PRIV_H

#include "fs/alloc.h"
#include "fs/format.h"

/* What is looked for: want contiguous blocks, from a multiple of align on. */
struct ddfs_alloc_wish {
	uint64_t want, align;
	/* Chunks of a unit of DAX inodes that is larger than one, and is to stay whole while there
	 * are others; 1 where there is nothing to spare. */
	uint64_t giant;
};

/* How hard a group is searched; each pass over the groups tries harder. */
enum ddfs_alloc_pass {
	DDFS_PASS_FIT,	  /* all of want, of a small request from a partial chunk */
	DDFS_PASS_BROKEN, /* all of want, breaking whole chunks but no whole giant */
	DDFS_PASS_BREAK,  /* all of want, breaking giants too */
	DDFS_PASS_ANY,	  /* whatever there is */
};

/* Whether chunks are broken for it rather than partly used ones searched. */
static inline bool ddfs_alloc_is_large(const struct ddfs_alloc_wish *w)
{
	return w->want >= DDFS_CHUNK_BLOCKS || w->align >= DDFS_CHUNK_BLOCKS;
}

/* Build the group's index from media if it is not there. No lock of the group is held. */
int ddfs_group_load(struct ddfs_fs *fs, uint32_t nr);

/* Of one group, whose lock is held; ranges are relative to it. */

/* free_in[chunk] changed: keep the maps of whole and partial chunks. */
void ddfs_group_note_chunk(struct ddfs_group *g, uint32_t chunk);
/* Mark n blocks from first on, all of which are the other, and keep every count of them. */
void ddfs_group_mark(struct ddfs_group *g, uint64_t first, uint64_t n, bool used);
/* Free blocks from first on, at most want. */
uint64_t ddfs_group_run_at(const struct ddfs_group *g, uint64_t first, uint64_t want);
/* No run inside the chunk is longer. */
static inline uint64_t ddfs_group_bound_in_chunk(const struct ddfs_group *g, uint32_t chunk)
{
	return g->run_in[chunk] ? g->run_in[chunk] : g->free_in[chunk];
}
/* The first run of want free blocks inside the chunk, else its longest; of length 0 if none can
 * be longer than above. */
struct ddfs_range ddfs_group_run_in_chunk(
	struct ddfs_group *g, uint32_t chunk, uint64_t above, uint64_t want);
/* What the pass finds; false: nothing. */
bool ddfs_group_find(struct ddfs_group *g, const struct ddfs_alloc_wish *w,
	enum ddfs_alloc_pass pass, struct ddfs_range *out);

/* Of all groups, none of whose locks is held. */

/* Take the first run of free blocks inside r; of length 0, at its end, if there is none. */
void ddfs_alloc_claim(struct ddfs_fs *fs, struct ddfs_range r, struct ddfs_range *out);
bool ddfs_alloc_is_free(struct ddfs_fs *fs, uint64_t block);
/* ddfs_alloc_put of blocks that are not bad, or that nobody will ask for any more. */
void ddfs_alloc_put_good(struct ddfs_fs *fs, struct ddfs_range r);
/* Make blocks free in memory that were not counted as free yet. */
void ddfs_alloc_unmark(struct ddfs_fs *fs, struct ddfs_range r);
/* Take the first run that has all of want, from group home on; else of the longest one that there
 * is. Groups' borders are none. */
bool ddfs_alloc_take_run(
	struct ddfs_fs *fs, uint32_t home, const struct ddfs_alloc_wish *w, struct ddfs_range *out);

#endif
