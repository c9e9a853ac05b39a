/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/planes.h"

void crash_planes_init(struct crash_planes *p)
{
	for (unsigned int i = 0; i < CRASH_PLANES; i++) {
		crash_memory_init(&p->plane[i].durable);
		crash_memory_init(&p->plane[i].scratch);
	}
}

void crash_planes_fini(struct crash_planes *p)
{
	for (unsigned int i = 0; i < CRASH_PLANES; i++) {
		crash_memory_fini(&p->plane[i].durable);
		crash_memory_fini(&p->plane[i].scratch);
	}
}

void crash_planes_copy(struct crash_planes *p, const struct crash_memory *from)
{
	for (unsigned int i = 0; i < CRASH_PLANES; i++) {
		crash_memory_copy(&p->plane[i].durable, from);
		crash_memory_copy(&p->plane[i].scratch, from);
	}
}

/* Of the memories that change with a level only its durable one remembers what did. */
static void settle_others(struct crash_planes *p, unsigned int level)
{
	for (unsigned int i = level; i < CRASH_PLANES; i++) {
		if (i > level)
			crash_memory_settle(&p->plane[i].durable);
		crash_memory_settle(&p->plane[i].scratch);
	}
}

void crash_planes_store(
	struct crash_planes *p, unsigned int level, uint64_t off, const void *src, size_t len)
{
	for (unsigned int i = level; i < CRASH_PLANES; i++) {
		crash_memory_store(&p->plane[i].durable, off, src, len);
		crash_memory_store(&p->plane[i].scratch, off, src, len);
	}
	settle_others(p, level);
}

void crash_planes_apply(
	struct crash_planes *p, unsigned int level, const struct crash_cut *cut, uint64_t state)
{
	for (unsigned int i = level; i < CRASH_PLANES; i++) {
		crash_cut_apply(cut, state, &p->plane[i].durable);
		crash_cut_apply(cut, state, &p->plane[i].scratch);
	}
	settle_others(p, level);
}

void crash_planes_leave(
	struct crash_planes *p, unsigned int level, const struct crash_memory *first)
{
	const struct crash_memory *above = level ? &p->plane[level - 1].durable : first;
	struct crash_memory *changed = &p->plane[level].durable;

	for (unsigned int i = level; i < CRASH_PLANES; i++) {
		crash_memory_take(&p->plane[i].durable, above, changed->dirty, changed->nr_dirty);
		crash_memory_take(&p->plane[i].scratch, above, changed->dirty, changed->nr_dirty);
	}
	crash_memory_settle(changed);
}
