/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that may have to wait: parked, woken, run again, told to end. */
#include <errno.h>
#include <string.h>

#include "tests/unit/pins_world.h"

static void note_wake(struct ddfs_wait *wait, int err)
{
	struct wop *op = (struct wop *)wait;

	if (!op->parked || op->woken)
		ck_abort_msg("woken with %d, but not parked", err);
	op->parked = false;
	op->woken = true;
	op->err = err;
}

bool op_is_ready(const struct wop *op)
{
	return op->used && op->woken;
}

/* NULL: as many are parked as may be. */
static struct wop *op_new(struct world *w, enum wop_kind kind, struct wfile *f)
{
	for (unsigned int i = 0; i < NR_OPS; i++) {
		struct wop *op = &w->ops[i];

		if (op->used)
			continue;
		memset(op, 0, sizeof(*op));
		op->used = true;
		op->kind = kind;
		op->f = f;
		op->wait.wake = note_wake;
		op->nowait = rng_below(&w->rng, 8) == 0;
		return op;
	}
	return NULL;
}

static void unpark_file(struct world *w, struct wfile *f)
{
	if (f && !--f->nr_parked && f->gone)
		file_delete(w, f);
}

static void op_end(struct world *w, struct wop *op)
{
	ddfs_wait_end(ddfs_fs_layouts(w->fs), &op->wait);
	must(w, op->wait.state == DDFS_WAIT_NONE, "state %d", (int)op->wait.state);
	op->used = false;
	if (op->h)
		op->h->nr_parked--;
	unpark_file(w, op->f);
	unpark_file(w, op->from);
}

static void op_run(struct world *w, struct wop *op)
{
	int err = op->kind == OP_PIN ? pin_run(w, op) : change_run(w, op);

	if (err != -EINPROGRESS) {
		op_end(w, op);
		return;
	}
	must(w, !op->nowait && !op->cancelled && !op->parked, "must not wait");
	op->parked = true;
	w->nr_parked++;
}

static void op_start(struct world *w, struct wop *op)
{
	op->f->nr_parked++;
	if (op->from)
		op->from->nr_parked++;
	if (op->h)
		op->h->nr_parked++;
	op_run(w, op);
}

/* The daemon's later thread. */
static void op_again(struct world *w, struct wop *op)
{
	w->nr_woken++;
	op->woken = false;
	if (!op->err) {
		op_run(w, op);
		return;
	}
	must(w, op->wait.state == DDFS_WAIT_NONE, "woken with %d, and stands", op->err);
	must(w, op->err == op->cancelled || op->err == (op->kind == OP_PIN ? -EDEADLK : -EBUSY),
		"woken with %d", op->err);
	op_end(w, op);
}

static struct wop *op_any(struct world *w, bool (*is)(const struct wop *op))
{
	unsigned int from = (unsigned int)rng_below(&w->rng, NR_OPS);

	for (unsigned int i = 0; i < NR_OPS; i++) {
		struct wop *op = &w->ops[(from + i) % NR_OPS];

		if (op->used && is(op))
			return op;
	}
	return NULL;
}

static bool is_any(const struct wop *op)
{
	(void)op;
	return true;
}

void do_later(struct world *w)
{
	struct wop *op = op_any(w, op_is_ready);

	if (!op)
		return;
	world_trace(w, "again: op %d, woken with %d", (int)(op - w->ops), op->err);
	op_again(w, op);
}

void ops_settle(struct world *w)
{
	struct wop *op;

	while ((op = op_any(w, op_is_ready)))
		op_again(w, op);
}

void op_cancel(struct world *w, struct wop *op, int err)
{
	bool parked = op->parked;

	op->cancelled = err;
	must(w, ddfs_wait_cancel(ddfs_fs_layouts(w->fs), &op->wait, err) == parked, "parked: %d",
		parked);
	must(w, op->woken && !op->parked && (!parked || op->err == err), "woken with %d", op->err);
}

void do_cancel(struct world *w)
{
	struct wop *op = op_any(w, is_any);

	if (!op)
		return;
	world_trace(w, "cancel op %d", (int)(op - w->ops));
	op_cancel(w, op, -EINTR);
}

/* ---- which ---------------------------------------------------------------------------------- */

static uint64_t any_size(struct world *w)
{
	return rng_below(&w->rng, w->max_halves + 1);
}

static void choose_units(struct world *w, struct wop *op)
{
	uint64_t nr = w->max_halves / w->unit;

	op->off = rng_below(&w->rng, nr) * w->unit;
	op->len = (1 + rng_below(&w->rng, nr / 8 + 1)) * w->unit;
}

static void choose_copy(struct world *w, struct wop *op)
{
	op->from = file_any(w);
	if (!op->from)
		op->from = op->f;
	op->len = 1 + rng_below(&w->rng, w->max_halves / 4);
	op->off = rng_below(&w->rng, w->max_halves - op->len);
	op->off_from = rng_below(&w->rng, w->max_halves - op->len);
}

void do_change(struct world *w)
{
	struct wfile *f = file_any(w);
	struct wop *op = f ? op_new(w, rng_below(&w->rng, OP_PIN), f) : NULL;

	if (!op)
		return;
	op->keep_size = rng_below(&w->rng, 2);
	switch (op->kind) {
	case OP_TRUNCATE:
		op->off = any_size(w);
		break;
	case OP_PUNCH:
	case OP_ZERO:
		op->off = rng_below(&w->rng, w->max_halves);
		op->len = 1 + rng_below(&w->rng, w->max_halves - op->off);
		if (rng_below(&w->rng, 2) && op->len > 8)
			op->len = 1 + op->len % 8;
		break;
	case OP_COPY:
		choose_copy(w, op);
		break;
	default:
		choose_units(w, op);
	}
	op_start(w, op);
}

void do_pin(struct world *w)
{
	struct whandle *h = w->nr_pins < NR_PINS ? handle_any(w) : NULL;
	static const unsigned int flags[] = { 0, 0, DDFS_PIN_FAULT, DDFS_PIN_FAULT, DDFS_PIN_FAULT,
		DDFS_PIN_FAULT | DDFS_PIN_GROW };
	struct wop *op = h ? op_new(w, OP_PIN, h->f) : NULL;
	struct wholder *other = holder_any(w);

	if (!op)
		return;
	op->h = h;
	/* Who has been given the open file may pin through it too. */
	op->who = other && rng_below(&w->rng, 8) == 0 ? other : h->who;
	op->off = rng_below(&w->rng, rng_below(&w->rng, 8) ? op->f->size + 1 : w->max_halves);
	op->len = rng_below(&w->rng, w->max_halves - op->off + 1);
	if (rng_below(&w->rng, 2) && op->len > 8)
		op->len = 1 + op->len % 8;
	op->flags = flags[rng_below(&w->rng, 6)];
	if (rng_below(&w->rng, 2))
		op->flags |= DDFS_PIN_WHOLE_UNITS;
	op->mode = 1 + (unsigned int)rng_below(&w->rng, 3);
	op_start(w, op);
}
