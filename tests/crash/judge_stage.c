/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/judge_stage.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct crash_snap *stage_take(struct stage *s)
{
	char why[256];
	struct crash_snap *snap = crash_snap_take(s->fs, why);

	ck_assert_msg(snap != NULL, "%s", why);
	return snap;
}

void stage_init(struct stage *s, const char *text)
{
	struct ddfs_fs_options opt = { .atime = DDFS_ATIME_NOATIME };

	ck_assert_int_eq(crash_workload_parse(text, &s->w), 0);
	opt.dax = s->w.dax;
	s->world = crash_world_new(&s->w);
	ram_mkfs(&s->ram, 16u << 20, s->w.align_bytes);
	s->fs = ram_mount(&s->ram, &opt);
	crash_world_prepare(s->world, s->fs);
	s->before = stage_take(s);
	crash_world_run(s->world, s->fs, 0);
	s->after = stage_take(s);
}

void stage_fini(struct stage *s)
{
	crash_snap_delete(s->before);
	crash_snap_delete(s->after);
	crash_snap_delete(s->found);
	crash_world_close(s->world, s->fs);
	ck_assert_int_eq(ddfs_fs_close(s->fs), 0);
	ram_fini(&s->ram);
	crash_world_delete(s->world);
}

/* The node of that name of what is found, one of its own. */
struct snap_node *stage_own(struct stage *s, const char *path)
{
	struct snap_node *old = snap_find(s->found, path), *n;

	ck_assert_msg(old != NULL, "%s", path);
	n = snap_node_clone(old);
	snap_replace(s->found, old, n);
	snap_node_put(n);
	return n;
}

void stage_put_byte(struct stage *s, const char *path, uint64_t off, uint8_t byte)
{
	snap_node_write(stage_own(s, path), off, &byte, 1);
}

/* [off, off + len) of one becomes what `from` has there. */
void stage_put_part(
	struct stage *s, const char *path, const struct crash_snap *from, uint64_t off, size_t len)
{
	uint8_t buf[32768];

	ck_assert_uint_le(len, sizeof(buf));
	snap_node_read(snap_find(from, path), off, buf, len);
	snap_node_write(stage_own(s, path), off, buf, len);
}

void stage_put_value(struct stage *s, const char *path, uint64_t off, size_t len, uint8_t value)
{
	uint8_t buf[32768];

	memset(buf, value, len);
	snap_node_write(stage_own(s, path), off, buf, len);
}

void stage_set_size(struct stage *s, const char *path, uint64_t size)
{
	snap_node_truncate(stage_own(s, path), size);
}
