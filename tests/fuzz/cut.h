/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A power cut at a fence: whatever is stored behind it is taken back when the run is over.
 *
 *	struct cut cut;
 *
 *	cut_begin(&cut, stage, 12);		at the twelfth fence from now on
 *	...
 *	if (cut_end(&cut))
 *		... the image is as it was at that fence
 */
#ifndef DDFS_FUZZ_CUT_H
#define DDFS_FUZZ_CUT_H

#include <stdbool.h>

#include "tests/fuzz/stage.h"

struct cut {
	struct stage *stage;
	unsigned int fences;	    /* left until the cut */
	uint8_t *was[STAGE_BLOCKS]; /* of blocks stored to behind it */
};

void cut_begin(struct cut *c, struct stage *s, unsigned int fences);
/* False: it was over before. */
bool cut_end(struct cut *c);

#endif
