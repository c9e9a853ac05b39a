/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checker (fsck/fsck.h) for tests.
 *
 *	ck_image(&ram.media);		fails the test unless everything holds
 *
 * To be called when no operation is running; the filesystem may be mounted.
 */
#ifndef DDFS_TEST_CHECK_IMAGE_H
#define DDFS_TEST_CHECK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct image_summary {
	unsigned int nr_problems; /* each was printed to stderr */
	uint64_t nr_free;	  /* blocks that nothing owns */
	uint64_t nr_inodes;	  /* in use, but for the fixed ones */
	uint64_t nr_orphans;
	uint64_t nr_slots; /* of the inode table */
	bool clean;	   /* marked cleanly unmounted: the saved counts were checked too */
};

enum image_check_flags {
	IMAGE_HASH_FAKED = 1 << 0,  /* the program replaced the name hash */
	IMAGE_QUIET = 1 << 1,	    /* do not print problems */
	IMAGE_DAX_ALIGNED = 1 << 2, /* every regular file has whole, congruent DAX units */
	IMAGE_LANES_BUSY = 1 << 3,  /* lanes may be committed: a crash that is not recovered */
	IMAGE_STRAY_PINS = 1 << 4,  /* records may name blocks that their file has not */
};

/* Everything inside [base, base + size). */
void image_check(const uint8_t *base, uint64_t size, unsigned int flags, struct image_summary *out);

#define ck_image_flags(media, flags)                                                               \
	do {                                                                                       \
		struct image_summary ck_image_s;                                                   \
		image_check((media)->base, (media)->size, flags, &ck_image_s);                     \
		ck_assert_msg(                                                                     \
			!ck_image_s.nr_problems, "%u problems on media", ck_image_s.nr_problems);  \
	} while (0)
#define ck_image(media) ck_image_flags(media, 0)

#endif
