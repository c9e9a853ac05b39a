/* SPDX-License-Identifier: BSD-3-Clause */
/* A workload of one operation that was run, and something that is shown to the judge. */
#ifndef DDFS_TEST_CRASH_JUDGE_STAGE_H
#define DDFS_TEST_CRASH_JUDGE_STAGE_H

#include "tests/crash/world.h"
#include "tests/unit/ram.h"

struct stage {
	struct crash_workload w;
	struct crash_world *world;
	struct ram ram;
	struct ddfs_fs *fs;
	struct crash_snap *before, *after, *found;
};

/* `found` is the caller's to make. */
void stage_init(struct stage *s, const char *text);
void stage_fini(struct stage *s);
/* What is there now. */
struct crash_snap *stage_take(struct stage *s);

/* ---- changing what is found ---- */

/* The node of that name, made its own: those before and after stay as they are. */
struct snap_node *stage_own(struct stage *s, const char *path);
void stage_put_byte(struct stage *s, const char *path, uint64_t off, uint8_t byte);
/* [off, off + len) becomes what `from` has there; or one value. */
void stage_put_part(
	struct stage *s, const char *path, const struct crash_snap *from, uint64_t off, size_t len);
void stage_put_value(struct stage *s, const char *path, uint64_t off, size_t len, uint8_t value);
void stage_set_size(struct stage *s, const char *path, uint64_t size);

#endif
