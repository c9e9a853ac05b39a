/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that take pages away: what they return, and what they make of the books. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#include "tests/unit/pins_world.h"

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What there is to copy. */
static uint64_t copy_len(const struct wop *op)
{
	return op->off_from < op->from->size ? min64(op->len, op->from->size - op->off_from) : 0;
}

void change_range(const struct world *w, const struct wop *op, uint64_t *first, uint64_t *last)
{
	(void)w;
	*first = (op->off + 1) / 2;
	*last = UINT64_MAX;
	switch (op->kind) {
	case OP_OPEN_TRUNC:
		*first = 0;
		break;
	case OP_PUNCH:
	case OP_ZERO:
		*last = (op->off + op->len) / 2;
		break;
	case OP_COPY:
		*first = op->off / 2;
		*last = (op->off + copy_len(op) + 1) / 2;
		break;
	default:
		break;
	}
	if (op->kind == OP_TRUNCATE && op->off >= op->f->size)
		*last = *first;
}

/* Refused whatever is pinned; 0 if not. A positive number: it would do nothing. */
static int refused(const struct world *w, const struct wop *op)
{
	uint64_t size = op->f->size, n;

	if (op->f->gone || (op->from && op->from->gone))
		return -ESTALE;
	switch (op->kind) {
	case OP_COLLAPSE:
		return op->off + op->len >= size ? -EINVAL : 0;
	case OP_INSERT:
		if (size + op->len > w->max_halves)
			return -EFBIG;
		return op->off >= size ? -EINVAL : 0;
	case OP_COPY:
		n = copy_len(op);
		if (!n)
			return 1;
		return op->f == op->from && op->off < op->off_from + n && op->off_from < op->off + n
			       ? -EINVAL
			       : 0;
	default:
		return 0;
	}
}

static bool lease_has_ended(
	const struct world *w, const struct wfile *f, uint64_t first, uint64_t last)
{
	for (unsigned int i = 0; i < w->nr_pins; i++)
		if (w->pins[i]->f == f && w->pins[i]->expired &&
			book_covers(w->pins[i], first, last))
			return w->opt.lease_expire == DDFS_LEASE_FAIL;
	return false;
}

/* What the call returns, unless there is no space; 0 also where it returns how much it copied. */
static int predict(const struct world *w, const struct wop *op)
{
	uint64_t first, last;
	int err = refused(w, op);

	if (err)
		return err;
	change_range(w, op, &first, &last);
	if (first >= last || !book_is_pinned(w, op->f, first, last))
		return 0;
	if (op->nowait)
		return -EBUSY;
	if (op->cancelled)
		return op->cancelled;
	return lease_has_ended(w, op->f, first, last) ? -EBUSY : -EINPROGRESS;
}

/* ---- the call ------------------------------------------------------------------------------- */

static int falloc_mode(const struct wop *op)
{
	switch (op->kind) {
	case OP_PUNCH:
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	case OP_ZERO:
		return FALLOC_FL_ZERO_RANGE | (op->keep_size ? FALLOC_FL_KEEP_SIZE : 0);
	case OP_COLLAPSE:
		return FALLOC_FL_COLLAPSE_RANGE;
	default:
		return FALLOC_FL_INSERT_RANGE;
	}
}

static int64_t call(struct wop *op, struct ddfs_wait *wait)
{
	struct ddfs_attr a = { .size = op->off * HALF };
	struct ddfs_inode *ip = op->f->ip;
	int err;

	switch (op->kind) {
	case OP_TRUNCATE:
		return ddfs_setattr(ip, &a, DDFS_SET_SIZE, NULL, wait);
	case OP_OPEN_TRUNC:
		err = ddfs_open(ip, O_RDWR | O_TRUNC, false, wait);
		if (!err)
			ddfs_release(ip);
		return err;
	case OP_COPY:
		return ddfs_copy_range(op->from->ip, op->off_from * HALF, ip, op->off * HALF,
			op->len * HALF, wait);
	default:
		return ddfs_fallocate(ip, falloc_mode(op), op->off * HALF, op->len * HALF, wait);
	}
}

/* ---- its effect ----------------------------------------------------------------------------- */

static void set_size(struct wfile *f, uint64_t size)
{
	if (size < f->size)
		memset(f->val + size, 0, (f->size - size) * sizeof(*f->val));
	f->size = size;
}

static void zero(const struct world *w, struct wfile *f, uint64_t off, uint64_t len)
{
	memset(f->val + off, 0, min64(len, w->max_halves - off) * sizeof(*f->val));
}

static void collapse(struct wfile *f, uint64_t off, uint64_t len)
{
	memmove(f->val + off, f->val + off + len, (f->size - off - len) * sizeof(*f->val));
	set_size(f, f->size - len);
}

static void insert(struct wfile *f, uint64_t off, uint64_t len)
{
	memmove(f->val + off + len, f->val + off, (f->size - off) * sizeof(*f->val));
	memset(f->val + off, 0, len * sizeof(*f->val));
	f->size += len;
}

static void copied(struct world *w, struct wop *op, uint64_t bytes)
{
	uint64_t n = bytes / HALF;

	must(w, bytes % HALF == 0 && n <= copy_len(op), "copied %llu", (unsigned long long)bytes);
	memcpy(op->f->val + op->off, op->from->val + op->off_from, n * sizeof(*op->f->val));
	if (n && op->off + n > op->f->size)
		op->f->size = op->off + n;
}

static void apply(struct world *w, struct wop *op, uint64_t result)
{
	struct wfile *f = op->f;

	switch (op->kind) {
	case OP_TRUNCATE:
		set_size(f, op->off);
		break;
	case OP_OPEN_TRUNC:
		set_size(f, 0);
		break;
	case OP_ZERO:
		if (!op->keep_size && op->off + op->len > f->size)
			f->size = op->off + op->len;
		/* fall through */
	case OP_PUNCH:
		zero(w, f, op->off, op->len);
		break;
	case OP_COLLAPSE:
		collapse(f, op->off, op->len);
		break;
	case OP_INSERT:
		insert(f, op->off, op->len);
		break;
	default:
		copied(w, op, result);
	}
}

static void check_registered(struct world *w, const struct wop *op)
{
	uint64_t first, last;

	change_range(w, op, &first, &last);
	must(w,
		op->wait.state == DDFS_WAIT_BREAK && op->wait.first == first &&
			op->wait.last == last,
		"waits for %llu to %llu", (unsigned long long)op->wait.first,
		(unsigned long long)op->wait.last);
}

static void check_changed(struct world *w, const struct wop *op)
{
	const struct wfile *f = op->f;

	check_pins_of(w, f);
	check_blocks(w, f, op->off / 2, (op->off + op->len + 1) / 2);
	check_half(w, f, rng_below(&w->rng, w->max_halves));
	if (f->size)
		check_half(w, f, rng_below(&w->rng, f->size));
}

int change_run(struct world *w, struct wop *op)
{
	static const char *const names[] = { "truncate", "open and truncate", "punch", "zero",
		"collapse", "insert", "copy" };
	bool may_be_full = op->kind == OP_ZERO || op->kind == OP_COLLAPSE ||
			   op->kind == OP_INSERT || op->kind == OP_COPY;
	int64_t expected = predict(w, op), result;

	if (expected == -EFBIG || expected > 0)
		return 0; /* given up */
	result = call(op, op->nowait ? NULL : &op->wait);
	world_trace(w, "op %d: %s %llx %llu+%llu: %lld", (int)(op - w->ops), names[op->kind],
		(unsigned long long)op->f->id, (unsigned long long)op->off,
		(unsigned long long)op->len, (long long)result);
	if (expected || result < 0) {
		w->nr_full += result == -ENOSPC;
		must(w, result == expected || (result == -ENOSPC && !expected && may_be_full),
			"%s: %lld, not %lld", names[op->kind], (long long)result,
			(long long)expected);
	}
	if (result == -EINPROGRESS)
		check_registered(w, op);
	else if (result >= 0)
		apply(w, op, (uint64_t)result);
	if (!op->f->gone)
		check_changed(w, op);
	return (int)(result < 0 ? result : 0);
}
