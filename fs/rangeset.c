/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/rangeset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ddfs_rangeset_fini(struct ddfs_rangeset *s)
{
	free(s->run);
	*s = (struct ddfs_rangeset){ 0 };
}

static uint64_t end_of(const struct ddfs_rangeset_run *run)
{
	return run->start + run->len;
}

/* The first run that ends behind block; s->nr if none does. */
static size_t first_behind(const struct ddfs_rangeset *s, uint64_t block)
{
	size_t low = 0, high = s->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (end_of(&s->run[mid]) > block)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Room for one run more. */
static int make_room(struct ddfs_rangeset *s)
{
	size_t cap = s->cap ? s->cap * 2 : 16;
	struct ddfs_rangeset_run *p;

	if (s->nr < s->cap)
		return 0;
	p = realloc(s->run, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->run = p;
	s->cap = cap;
	return 0;
}

/* Runs [from, to) become the nr that are at with. There is room. */
static void splice(struct ddfs_rangeset *s, size_t from, size_t to,
	const struct ddfs_rangeset_run *with, size_t nr)
{
	memmove(s->run + from + nr, s->run + to, (s->nr - to) * sizeof(*s->run));
	if (nr)
		memcpy(s->run + from, with, nr * sizeof(*with));
	s->nr = s->nr - (to - from) + nr;
}

int ddfs_rangeset_add(struct ddfs_rangeset *s, struct ddfs_range r, uint64_t since)
{
	struct ddfs_rangeset_run all = { r.start, r.len, since };
	size_t from, to;

	if (!r.len)
		return 0;
	if (make_room(s))
		return -ENOMEM;
	/* One that ends where r starts joins it too. */
	from = to = r.start ? first_behind(s, r.start - 1) : 0;
	for (; to < s->nr && s->run[to].start <= r.start + r.len; to++) {
		uint64_t end = end_of(&all);

		if (s->run[to].start < all.start)
			all.start = s->run[to].start;
		if (end_of(&s->run[to]) > end)
			end = end_of(&s->run[to]);
		all.len = end - all.start;
		if (s->run[to].since < all.since)
			all.since = s->run[to].since;
	}
	splice(s, from, to, &all, 1);
	return 0;
}

int ddfs_rangeset_del(struct ddfs_rangeset *s, struct ddfs_range r)
{
	size_t from = first_behind(s, r.start), to = from, nr = 0;
	struct ddfs_rangeset_run left[2];
	uint64_t end = r.start + r.len;

	if (!r.len)
		return 0;
	if (make_room(s))
		return -ENOMEM;
	for (; to < s->nr && s->run[to].start < end; to++) {
		const struct ddfs_rangeset_run *run = &s->run[to];

		if (run->start < r.start)
			left[nr++] = (struct ddfs_rangeset_run){ run->start, r.start - run->start,
				run->since };
		if (end_of(run) > end)
			left[nr++] =
				(struct ddfs_rangeset_run){ end, end_of(run) - end, run->since };
	}
	splice(s, from, to, left, nr);
	return 0;
}

struct ddfs_range ddfs_rangeset_find(const struct ddfs_rangeset *s, struct ddfs_range r)
{
	size_t at = first_behind(s, r.start);
	uint64_t end = r.start + r.len, from, to;

	if (at == s->nr || s->run[at].start >= end)
		return (struct ddfs_range){ end, 0 };
	from = s->run[at].start > r.start ? s->run[at].start : r.start;
	to = end_of(&s->run[at]) < end ? end_of(&s->run[at]) : end;
	return (struct ddfs_range){ from, to - from };
}

uint64_t ddfs_rangeset_count(const struct ddfs_rangeset *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->nr; i++)
		n += s->run[i].len;
	return n;
}
