/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a file's map a pin is to hold. */
#ifndef DDFS_FS_PIN_PLAN_H
#define DDFS_FS_PIN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout/layout.h"

struct ddfs_file_extent;
struct ddfs_inode;

struct ddfs_pin_plan {
	struct ddfs_page_run *runs; /* written, in the order of the file */
	size_t nr_runs, runs_cap;
	struct ddfs_file_extent *gaps; /* between them: holes, unwritten and bad blocks */
	size_t nr_gaps, gaps_cap;
	bool lacks;  /* some is a hole, or unwritten */
	bool bad;    /* some is bad */
	bool misfit; /* its units can't be mapped: see ddfs_pin_plan_make */
};

/* Look at blocks [first, last) of a file that is locked. With unit above 1, also whether every unit
 * of that many blocks is either a hole, or in one piece at the same place of a unit of the device:
 * what was allocated while the file was no DAX file is not. -ENOMEM, -EUCLEAN. */
int ddfs_pin_plan_make(struct ddfs_inode *ip, uint64_t first, uint64_t last, uint64_t unit,
	struct ddfs_pin_plan *p);
void ddfs_pin_plan_fini(struct ddfs_pin_plan *p);

/* Runs and gaps together, in the order of the file, from number `from` on; at most max. Returns how
 * many. */
uint32_t ddfs_pin_plan_extents(const struct ddfs_page_run *runs, size_t nr_runs,
	const struct ddfs_file_extent *gaps, size_t nr_gaps, uint32_t from,
	struct ddfs_file_extent *out, uint32_t max);

#endif
