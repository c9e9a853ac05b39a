/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has which block of the device pinned, and whether the filesystem agrees. */
#include <stdlib.h>
#include <string.h>

#include "fs/core.h"
#include "tests/unit/check_image.h"
#include "tests/unit/pins_world.h"

/* ---- books ---------------------------------------------------------------------------------- */

void book_pin(struct world *w, struct wpin *pin)
{
	must(w, w->nr_pins < NR_PINS_KEPT, "too many");
	for (size_t i = 0; i < pin->nr_runs; i++) {
		const struct ddfs_page_run *r = &pin->runs[i];

		must(w, r->nr && r->block >= pin->first && r->block + r->nr <= pin->last,
			"pin %llx", (unsigned long long)pin->id);
		for (uint64_t n = 0; n < r->nr; n++) {
			struct wpage *p = &w->pages[r->page + n];

			must(w, !p->nr || (p->f == pin->f && p->block == r->block + n),
				"block %llu is pinned as another's",
				(unsigned long long)(r->page + n));
			*p = (struct wpage){ p->nr + 1, pin->f, r->block + n };
		}
	}
	w->pins[w->nr_pins++] = pin;
	pin->f->nr_pins++;
	pin->who->nr_pins++;
}

void book_unpin(struct world *w, struct wpin *pin)
{
	struct wfile *f = pin->f;
	unsigned int i = 0;

	for (size_t k = 0; k < pin->nr_runs; k++)
		for (uint64_t n = 0; n < pin->runs[k].nr; n++)
			w->pages[pin->runs[k].page + n].nr--;
	while (w->pins[i] != pin)
		i++;
	w->pins[i] = w->pins[--w->nr_pins];
	f->nr_pins--;
	pin->who->nr_pins--;
	free(pin->runs);
	free(pin);
	book_file_unused(w, f);
}

struct wpin *book_find(struct world *w, uint64_t id)
{
	for (unsigned int i = 0; i < w->nr_pins; i++)
		if (w->pins[i]->id == id)
			return w->pins[i];
	return NULL;
}

void book_file_unused(struct world *w, struct wfile *f)
{
	if (f->name >= 0 || f->nr_opens || f->nr_pins)
		return;
	f->gone = true;
	if (!f->nr_parked)
		file_delete(w, f);
}

bool book_covers(const struct wpin *pin, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < pin->nr_runs; i++)
		if (pin->runs[i].block < last && first < pin->runs[i].block + pin->runs[i].nr)
			return true;
	return false;
}

bool book_is_pinned(const struct world *w, const struct wfile *f, uint64_t first, uint64_t last)
{
	for (unsigned int i = 0; i < w->nr_pins && f->nr_pins; i++)
		if (w->pins[i]->f == f && book_covers(w->pins[i], first, last))
			return true;
	return false;
}

static bool is_break(const struct wop *op, const struct wfile *f)
{
	return op->used && op->f == f &&
	       (op->wait.state == DDFS_WAIT_BREAK || op->wait.state == DDFS_WAIT_STANDING);
}

bool book_is_breaking(const struct world *w, const struct wfile *f, uint64_t first, uint64_t last)
{
	for (unsigned int i = 0; i < NR_OPS && f->nr_parked; i++)
		if (is_break(&w->ops[i], f) && w->ops[i].wait.first < last &&
			first < w->ops[i].wait.last)
			return true;
	return false;
}

bool book_is_recalled(const struct world *w, const struct wpin *pin)
{
	for (unsigned int i = 0; i < NR_OPS && pin->f->nr_parked; i++)
		if (is_break(&w->ops[i], pin->f) &&
			book_covers(pin, w->ops[i].wait.first, w->ops[i].wait.last))
			return true;
	return false;
}

bool book_is_asked(const struct world *w, const struct wop *op)
{
	for (unsigned int i = 0; i < w->nr_pins; i++) {
		const struct wpin *pin = w->pins[i];

		if (((pin->who == op->who && !pin->old) || pin->h == op->h) &&
			book_is_recalled(w, pin))
			return true;
	}
	return false;
}

/* ---- counts --------------------------------------------------------------------------------- */

/* Who waits has a reason to: else its wake-up was lost. */
static void check_wait(struct world *w, const struct wop *op, struct ddfs_layouts_stats *sum)
{
	const struct wpage *p = &w->pages[op->wait.page];
	bool is_pin = op->wait.state == DDFS_WAIT_PIN,
	     is_change = op->wait.state == DDFS_WAIT_BREAK;

	must(w, op->parked == (is_pin || is_change), "state %d", (int)op->wait.state);
	must(w, op->parked || op->woken, "neither parked nor woken");
	sum->nr_breaks += is_change;
	sum->nr_queued += is_pin;
	if (is_change)
		must(w,
			p->nr && p->f == op->f && p->block >= op->wait.first &&
				p->block < op->wait.last,
			"waits for block %llu", (unsigned long long)op->wait.page);
	if (is_pin) {
		must(w, book_is_breaking(w, op->f, op->wait.first, op->wait.last),
			"queued behind nothing");
		must(w, !book_is_asked(w, op), "queued, and to let go");
	}
}

static void sum_pin(struct world *w, struct wpin *pin, struct ddfs_layouts_stats *sum)
{
	bool recalled = book_is_recalled(w, pin);

	sum->nr_pins++;
	sum->nr_recalled += recalled;
	for (size_t i = 0; i < pin->nr_runs; i++)
		sum->nr_pages += pin->runs[i].nr;
	if (!recalled)
		pin->expired = false;
	else if (pin->h)
		must(w, pin->h->recalled, "the holder of pin %llx was not told",
			(unsigned long long)pin->id);
}

static void check_owners(struct world *w)
{
	for (unsigned int i = 0; i < NR_HANDLES; i++) {
		struct whandle *h = &w->handles[i];
		unsigned int nr = 0;

		if (!h->used || !h->recalled)
			continue;
		for (unsigned int k = 0; k < w->nr_pins; k++)
			nr += w->pins[k]->h == h && book_is_recalled(w, w->pins[k]);
		must(w, nr, "recalled for nothing");
	}
}

void check_counts(struct world *w)
{
	struct ddfs_layouts_stats st, sum = { 0 };

	ddfs_layouts_stats(ddfs_fs_layouts(w->fs), NULL, &st);
	for (unsigned int i = 0; i < NR_OPS; i++)
		if (w->ops[i].used)
			check_wait(w, &w->ops[i], &sum);
	for (unsigned int i = 0; i < w->nr_pins; i++)
		sum_pin(w, w->pins[i], &sum);
	check_owners(w);
	must(w, st.nr_pins == sum.nr_pins, "%llu pins, not %llu", (unsigned long long)st.nr_pins,
		(unsigned long long)sum.nr_pins);
	must(w, st.nr_pages == sum.nr_pages, "%llu pages", (unsigned long long)st.nr_pages);
	must(w, st.nr_recalled == sum.nr_recalled, "%llu recalled, not %llu",
		(unsigned long long)st.nr_recalled, (unsigned long long)sum.nr_recalled);
	must(w, st.nr_breaks == sum.nr_breaks, "%llu breaks", (unsigned long long)st.nr_breaks);
	must(w, st.nr_queued == sum.nr_queued, "%llu queued", (unsigned long long)st.nr_queued);
}

/* ---- pages ---------------------------------------------------------------------------------- */

static void check_mapped(struct world *w, const struct wpin *pin, const struct ddfs_page_run *r)
{
	struct ddfs_file_extent e[2];
	uint64_t next, nr = r->nr;

	/* What lies behind the end is not told. */
	if (r->block * 2 >= pin->f->size)
		return;
	if ((r->block + r->nr) * 2 > pin->f->size)
		nr = (pin->f->size + 1) / 2 - r->block;
	must(w, ddfs_layout_query(pin->f->ip, r->block * BLK, nr * BLK, false, e, 2, &next) == 1,
		"pin %llx: block %llu", (unsigned long long)pin->id, (unsigned long long)r->block);
	must(w, !e[0].hole && !e[0].unwritten && e[0].device_off == r->page * BLK,
		"pin %llx: block %llu lies elsewhere", (unsigned long long)pin->id,
		(unsigned long long)r->block);
}

/* The page holds what the file does. */
static void check_stored(struct world *w, const struct wpin *pin, uint64_t block, uint64_t page)
{
	for (uint64_t half = block * 2; half < block * 2 + 2 && half < pin->f->size; half++) {
		uint64_t off = page * BLK + half % 2 * HALF, at_start, at_end;

		memcpy(&at_start, w->ram.media.base + off, 8);
		memcpy(&at_end, w->ram.media.base + off + HALF - 8, 8);
		must(w, at_start == pin->f->val[half] && at_end == pin->f->val[half],
			"pin %llx: half %llu holds %llx, %llx, not %llx",
			(unsigned long long)pin->id, (unsigned long long)half,
			(unsigned long long)at_start, (unsigned long long)at_end,
			(unsigned long long)pin->f->val[half]);
	}
}

void check_pin(struct world *w, const struct wpin *pin)
{
	for (size_t i = 0; i < pin->nr_runs; i++) {
		const struct ddfs_page_run *r = &pin->runs[i];
		uint64_t n = rng_below(&w->rng, r->nr);

		check_mapped(w, pin, r);
		check_stored(w, pin, r->block + n, r->page + n);
	}
}

void check_pins_of(struct world *w, const struct wfile *f)
{
	for (unsigned int i = 0; i < w->nr_pins; i++)
		if (w->pins[i]->f == f)
			check_pin(w, w->pins[i]);
}

static void check_extent(struct world *w, const struct wfile *f, const struct ddfs_file_extent *e)
{
	for (uint64_t n = 0; n < e->len / BLK && !e->hole; n++) {
		const struct wpage *p = &w->pages[e->device_off / BLK + n];

		must(w, !p->nr || (p->f == f && p->block == e->off / BLK + n),
			"pinned block %llu was handed out",
			(unsigned long long)(e->device_off / BLK + n));
	}
}

void check_blocks(struct world *w, const struct wfile *f, uint64_t first, uint64_t last)
{
	struct ddfs_file_extent e[16];
	uint64_t at = first * BLK, end = last * BLK;

	while (at < end) {
		int n = ddfs_layout_query(f->ip, at, end - at, false, e, 16, &at);

		must(w, n >= 0, "%s", strerror(-n));
		if (!n)
			break;
		for (int i = 0; i < n; i++)
			check_extent(w, f, &e[i]);
	}
}

/* ---- contents ------------------------------------------------------------------------------- */

static void check_buf(struct world *w, const struct wfile *f, uint64_t half, const uint8_t *buf)
{
	static const uint8_t zeroes[HALF];
	uint64_t at_start, at_end;

	memcpy(&at_start, buf, 8);
	memcpy(&at_end, buf + HALF - 8, 8);
	must(w, at_start == f->val[half] && at_end == f->val[half],
		"file %llx: half %llu reads %llx, %llx, not %llx", (unsigned long long)f->id,
		(unsigned long long)half, (unsigned long long)at_start, (unsigned long long)at_end,
		(unsigned long long)f->val[half]);
	if (!f->val[half])
		must(w, !memcmp(buf, zeroes, HALF), "file %llx: half %llu is not zero",
			(unsigned long long)f->id, (unsigned long long)half);
}

void check_half(struct world *w, const struct wfile *f, uint64_t half)
{
	uint8_t buf[HALF];
	ssize_t n = ddfs_pread(f->ip, buf, HALF, half * HALF);

	must(w, n == (half < f->size ? (ssize_t)HALF : 0), "file %llx: read %zd",
		(unsigned long long)f->id, n);
	if (n)
		check_buf(w, f, half, buf);
}

static void check_file(struct world *w, const struct wfile *f)
{
	struct ddfs_attr a;

	ddfs_getattr(f->ip, &a);
	must(w, a.size == f->size * HALF, "file %llx has %llu bytes, not %llu",
		(unsigned long long)f->id, (unsigned long long)a.size,
		(unsigned long long)(f->size * HALF));
	for (uint64_t i = 0; i < f->size; i++)
		check_half(w, f, i);
	check_blocks(w, f, 0, (f->size + 1) / 2);
}

static void check_pin_wholly(struct world *w, const struct wpin *pin)
{
	check_pin(w, pin);
	for (size_t i = 0; i < pin->nr_runs; i++)
		for (uint64_t n = 0; n < pin->runs[i].nr; n++)
			check_stored(w, pin, pin->runs[i].block + n, pin->runs[i].page + n);
}

void check_all(struct world *w)
{
	struct image_summary s;
	unsigned int unlinked = 0;

	for (unsigned int i = 0; i < w->nr_files; i++) {
		if (w->files[i]->gone)
			continue;
		check_file(w, w->files[i]);
		unlinked += w->files[i]->name < 0;
	}
	for (unsigned int i = 0; i < w->nr_pins; i++)
		check_pin_wholly(w, w->pins[i]);
	for (uint64_t b = 0; b < w->nr_blocks; b++)
		must(w, ddfs_pagemap_count(w->fs->pins.pagemap, b) == w->pages[b].nr + 1,
			"the count of block %llu is %u", (unsigned long long)b,
			ddfs_pagemap_count(w->fs->pins.pagemap, b));
	image_check(w->ram.media.base, w->ram.media.size, IMAGE_DAX_ALIGNED, &s);
	must(w, !s.nr_problems, "%u problems on media", s.nr_problems);
	must(w, s.nr_orphans == unlinked, "%llu orphans, not %u", (unsigned long long)s.nr_orphans,
		unlinked);
}
