/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/pending.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/room.h"

void crash_pending_fini(struct crash_pending *p)
{
	free(p->spans);
}

void crash_pending_clear(struct crash_pending *p)
{
	p->nr = 0;
}

/* At place i; those from there on move up. */
static void put(struct crash_pending *p, size_t i, struct crash_span s)
{
	p->spans = array_room(p->spans, p->nr, &p->cap, sizeof(*p->spans));
	memmove(p->spans + i + 1, p->spans + i, (p->nr - i) * sizeof(*p->spans));
	p->spans[i] = s;
	p->nr++;
}

static void drop(struct crash_pending *p, size_t i, size_t n)
{
	p->nr -= n;
	memmove(p->spans + i, p->spans + i + n, (p->nr - i) * sizeof(*p->spans));
}

void crash_pending_store(struct crash_pending *p, const struct crash_log *log, size_t i)
{
	const struct crash_event *e = &log->events[i];

	put(p, p->nr, (struct crash_span){ i, e->off, e->off + e->len, 1u << e->thread });
}

/* What of span i lies in [off, end) is one of its own, at the place that is returned; the rest
 * stays before and behind it. It does lie there. */
static size_t cut_out(struct crash_pending *p, size_t i, uint64_t off, uint64_t end)
{
	struct crash_span rest = p->spans[i];

	if (rest.end > end) {
		p->spans[i].end = end;
		rest.off = end;
		put(p, i + 1, rest);
	}
	rest = p->spans[i];
	if (rest.off < off) {
		p->spans[i].off = off;
		rest.end = off;
		put(p, i++, rest);
	}
	return i;
}

static bool meets(const struct crash_span *s, uint64_t off, uint64_t end)
{
	return s->off < end && off < s->end;
}

void crash_pending_flush(struct crash_pending *p, const struct crash_event *e)
{
	for (size_t i = 0; i < p->nr; i++) {
		if (!meets(&p->spans[i], e->off, e->off + e->len))
			continue;
		i = cut_out(p, i, e->off, e->off + e->len);
		p->spans[i].threads |= 1u << e->thread;
	}
}

/* s has become durable: the nr spans that are older are over where it lies. Returns how many are
 * left of them. */
static size_t overwrite(struct crash_pending *p, size_t nr, const struct crash_span *s)
{
	for (size_t i = 0; i < nr; i++) {
		size_t all = p->nr;

		if (!meets(&p->spans[i], s->off, s->end))
			continue;
		i = cut_out(p, i, s->off, s->end);
		drop(p, i--, 1);
		nr += p->nr - all;
	}
	return nr;
}

static bool is_of(const struct crash_span *s, unsigned int thread)
{
	return s->threads >> thread & 1;
}

void crash_pending_fence(struct crash_pending *p, unsigned int thread,
	void (*durable)(void *arg, const struct crash_span *s), void *arg)
{
	size_t nr = 0; /* that go, with none older; then those that stay */

	while (nr < p->nr && is_of(&p->spans[nr], thread))
		durable(arg, &p->spans[nr++]);
	if (nr)
		drop(p, 0, nr);
	for (nr = 0; nr < p->nr;) {
		struct crash_span s = p->spans[nr];

		if (!is_of(&s, thread)) {
			nr++;
			continue;
		}
		durable(arg, &s);
		drop(p, nr, 1);
		nr = overwrite(p, nr, &s);
	}
}
