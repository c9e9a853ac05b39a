/* SPDX-License-Identifier: BSD-3-Clause */
/* Making pins, storing through them, letting go of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pins_world.h"

/* What a call asks for, as the file is now. */
struct range {
	uint64_t size;	      /* halves; as it will have grown */
	uint64_t first, last; /* blocks */
};

static bool find_range(const struct world *w, const struct wop *op, struct range *r)
{
	uint64_t unit = op->flags & DDFS_PIN_WHOLE_UNITS ? w->unit / 2 : 1, end;

	r->size = op->f->size;
	if (op->flags & DDFS_PIN_GROW && op->len && op->off + op->len > r->size)
		r->size = op->off + op->len;
	if (op->off >= r->size)
		return false;
	end = op->len && op->len < r->size - op->off ? op->off + op->len : r->size;
	r->first = op->off / 2 / unit * unit;
	r->last = ((end + 1) / 2 + unit - 1) / unit * unit;
	return true;
}

static int predict(const struct world *w, const struct wop *op, struct range *r)
{
	if (!find_range(w, op, r))
		return -ENXIO;
	if (!book_is_breaking(w, op->f, r->first, r->last))
		return 0;
	if (book_is_asked(w, op))
		return -EDEADLK;
	if (op->nowait)
		return -EAGAIN;
	return op->cancelled ? op->cancelled : -EINPROGRESS;
}

/* ---- what was pinned ------------------------------------------------------------------------ */

#define EXTENTS_AT_ONCE 16u

struct taking {
	struct wop *op;
	const struct range *r;
	struct wpin *pin;
	uint64_t at; /* byte of the file where the next extent begins */
};

static void take_gap(struct world *w, struct taking *t, const struct ddfs_file_extent *e)
{
	must(w, !(t->op->flags & DDFS_PIN_FAULT), "not faulted");
	for (uint64_t i = e->off / HALF; i < (e->off + e->len) / HALF && i < t->op->f->size; i++)
		must(w, !t->op->f->val[i], "half %llu is not there", (unsigned long long)i);
}

static void take_extent(struct world *w, struct taking *t, const struct ddfs_file_extent *e)
{
	struct wpin *pin = t->pin;

	must(w, e->off == t->at && e->len && e->len % BLK == 0 && e->device_off % BLK == 0,
		"extent at %llu, not %llu", (unsigned long long)e->off, (unsigned long long)t->at);
	t->at += e->len;
	if (e->hole || e->unwritten) {
		take_gap(w, t, e);
		return;
	}
	pin->runs = realloc(pin->runs, (pin->nr_runs + 1) * sizeof(*pin->runs));
	pin->runs[pin->nr_runs++] =
		(struct ddfs_page_run){ e->off / BLK, e->device_off / BLK, e->len / BLK };
}

static void take_extents(struct world *w, struct taking *t, const struct ddfs_pinned *out)
{
	struct ddfs_file_extent e[EXTENTS_AT_ONCE];
	uint32_t nr = 0;
	int n;

	while ((n = ddfs_pin_extents(w->fs, &t->op->h->owner, out->id, nr, e, EXTENTS_AT_ONCE))) {
		must(w, n > 0, "extents: %s", strerror(-n));
		for (int i = 0; i < n; i++)
			take_extent(w, t, &e[i]);
		nr += (uint32_t)n;
	}
	must(w, nr == out->nr_extents && t->at == t->r->last * BLK, "%u extents, not %u", nr,
		out->nr_extents);
}

static void pinned(
	struct world *w, struct wop *op, const struct range *r, const struct ddfs_pinned *out)
{
	struct taking t = { .op = op, .r = r, .at = r->first * BLK };
	struct wpin *pin = calloc(1, sizeof(*pin));

	must(w, out->off == r->first * BLK && out->len == (r->last - r->first) * BLK, "%llu+%llu",
		(unsigned long long)out->off, (unsigned long long)out->len);
	t.pin = pin;
	take_extents(w, &t, out);
	pin->id = out->id;
	pin->f = op->f;
	pin->h = op->h;
	pin->who = op->who;
	pin->mode = op->mode;
	pin->epoch = ddfs_fs_epoch(w->fs);
	pin->first = r->first;
	pin->last = r->last;
	must(w, !book_find(w, pin->id), "id %llx is another's", (unsigned long long)pin->id);
	book_pin(w, pin);
	w->nr_pinned++;
}

int pin_run(struct world *w, struct wop *op)
{
	struct ddfs_pin_args args = { .off = op->off * HALF,
		.len = op->len * HALF,
		.mode = op->mode,
		.flags = op->flags,
		.owner = &op->h->owner,
		.holder = holder_get(w, op->who) };
	struct ddfs_file_extent e[2];
	struct ddfs_pinned out;
	struct range r = { 0 };
	int expected = predict(w, op, &r), err;

	/* The client's lock comes before its pin. */
	if (op->who->state == HOLDER_LIVES)
		op->who->epoch = ddfs_fs_epoch(w->fs);
	err = ddfs_pin(op->f->ip, &args, op->nowait ? NULL : &op->wait, &out, e, 2);
	world_trace(w, "op %d: pin %llx %llu+%llu flags %x of %d: %d", (int)(op - w->ops),
		(unsigned long long)op->f->id, (unsigned long long)op->off,
		(unsigned long long)op->len, op->flags, (int)op->who->pid, err);
	w->nr_full += err == -ENOSPC;
	must(w,
		err == expected || (!expected && err == -ENOLCK) ||
			(!expected && err == -ENOSPC && op->flags & DDFS_PIN_FAULT),
		"pin: %d, not %d", err, expected);
	if (!err) {
		op->f->size = r.size;
		pinned(w, op, &r, &out);
	}
	check_pins_of(w, op->f);
	check_blocks(w, op->f, op->off / 2, (op->off + op->len + 1) / 2);
	return err;
}

/* ---- pins that are there -------------------------------------------------------------------- */

/* One that is recalled, rather. */
static struct wpin *pin_any(struct world *w, bool (*is)(const struct wpin *pin))
{
	struct wpin *found = NULL;

	for (unsigned int n = 0; n < 6 && w->nr_pins; n++) {
		struct wpin *pin = w->pins[rng_below(&w->rng, w->nr_pins)];

		if (!is(pin))
			continue;
		found = pin;
		if (book_is_recalled(w, pin))
			break;
	}
	return found;
}

static bool is_open(const struct wpin *pin)
{
	return pin->h && pin->h->who->state == HOLDER_LIVES;
}

static void refuse_others(struct world *w, const struct wpin *pin)
{
	struct whandle *other = handle_any(w);

	must(w, ddfs_unpin(w->fs, &pin->h->owner, pin->id + 1) == -ENOENT, "unpinned nothing");
	if (other && other != pin->h)
		must(w, ddfs_unpin(w->fs, &other->owner, pin->id) == -ENOENT, "unpinned another's");
}

void do_unpin(struct world *w)
{
	struct wpin *pin = pin_any(w, is_open);
	int err;

	if (!pin)
		return;
	if (!book_find(w, pin->id + 1))
		refuse_others(w, pin);
	world_trace(w, "unpin %llx of %llx", (unsigned long long)pin->id,
		(unsigned long long)pin->f->id);
	err = ddfs_unpin(w->fs, &pin->h->owner, pin->id);
	must(w, !err, "unpin: %s", strerror(-err));
	book_unpin(w, pin);
}

static bool may_store(const struct wpin *pin)
{
	return pin->mode & DDFS_PIN_MODE_WRITE && pin->nr_runs;
}

/* Through the mapping; behind the end of the file too, where nothing is kept of it. */
void do_store(struct world *w)
{
	struct wpin *pin = pin_any(w, may_store);
	const struct ddfs_page_run *r;
	uint64_t n, half, val, off;

	if (!pin)
		return;
	r = &pin->runs[rng_below(&w->rng, pin->nr_runs)];
	n = rng_below(&w->rng, r->nr);
	half = (r->block + n) * 2 + rng_below(&w->rng, 2);
	off = (r->page + n) * BLK + half % 2 * HALF;
	val = ++w->last_val;
	memset(w->ram.writable + off, 0, HALF);
	memcpy(w->ram.writable + off, &val, 8);
	memcpy(w->ram.writable + off + HALF - 8, &val, 8);
	if (half < pin->f->size)
		pin->f->val[half] = val;
	check_half(w, pin->f, half);
}
