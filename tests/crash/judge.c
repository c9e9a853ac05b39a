/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may be found when the power goes during an operation. What is promised (README.md, "What
 * survives what"; DESIGN.md, sections 3 and 7), by operation:
 *
 *	create, mkdir, mknod, symlink, link,	before or after
 *	unlink, rmdir, rename, exchange,
 *	set attributes, flags, xattrs, ACLs,
 *	open with O_TRUNC, release, unpin
 *	truncate				before or after: what is large is freed behind the
 *						new size, which counts
 *	write, in place				each aligned 8 bytes old or new
 *	write into a hole, unwritten		each block old (zeroes) or new, so each 8 bytes too
 *	write behind the end, append		the size as before, after, or a multiple of 4 KiB
 *						between; what lies below the size and was not
 *						there before is new, never anything else
 *	fallocate: allocate			contents as before; the size before or after
 *	fallocate: punch, zero			each 8 bytes of the range old or zero; the size
 *						before or after
 *	fallocate: collapse, insert		before or after
 *	copy_file_range				as write, but the size may be anything between
 *	fault, pin				contents as before; the size before or after
 *	fsync, sync, writeback			nothing changes
 *
 * For all of them: every other file, name and attribute is exactly as before. What an operation
 *that comes in pieces changes beside contents (times, set-id bits, the space it takes) is before or
 * after each. Times: an overwrite in place and a pin note their mtime and ctime lazily, so that
 * what somebody had set before may come back. Of pins, if only the daemon died, all those that stay
 * are there, and of one that is being made or ends a part (the client has not been told yet, or has
 * let go); after a power loss there are none.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/world.h"

struct trial {
	const struct crash_op *op;
	ddfs_id id; /* of the file whose contents it changes */
	const struct crash_snap *before, *after, *found;
	unsigned int flags;
	char *why;
};

__attribute__((format(printf, 2, 3))) static bool no(const struct trial *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, 256, fmt, ap);
	va_end(ap);
	return false;
}

static bool judge_whole(const struct trial *t)
{
	char b[256], a[256];

	if (!snap_differs(t->before, t->found, t->flags | SNAP_NO_PINS, b))
		return true;
	if (!snap_differs(t->after, t->found, t->flags | SNAP_NO_PINS, a))
		return true;
	if (t->before == t->after)
		return no(t, "%s", a);
	return no(t, "neither before (%.110s) nor after (%.110s)", b, a);
}

/* ---- in pieces ------------------------------------------------------------------------------ */

static bool is_fallocate(const struct crash_op *op)
{
	return strcmp(op->kind->name, "fallocate") == 0;
}

static bool shifts(const struct crash_op *op)
{
	return is_fallocate(op) &&
	       (strcmp(op->word, "collapse") == 0 || strcmp(op->word, "insert") == 0);
}

static bool writes(const struct crash_op *op)
{
	return strcmp(op->kind->name, "write") == 0 || strcmp(op->kind->name, "append") == 0;
}

static bool judge_size(const struct trial *t, const struct snap_node *b, const struct snap_node *a,
	const struct snap_node *f)
{
	if (f->size == b->size || f->size == a->size)
		return true;
	if (f->size > b->size && f->size < a->size &&
		(t->op->kind->flags & OP_ANY_SIZE || (writes(t->op) && f->size % SNAP_BLOCK == 0)))
		return true;
	return no(t, "its size is %llu, neither %llu nor %llu", (unsigned long long)f->size,
		(unsigned long long)b->size, (unsigned long long)a->size);
}

/* The 8 bytes at off, of those below size. */
static uint64_t word_at(const struct snap_node *n, uint64_t off, uint64_t size)
{
	const uint8_t *p = snap_node_block(n, off / SNAP_BLOCK);
	uint64_t left = off < size ? size - off : 0;
	uint8_t word[8] = { 0 };
	uint64_t v;

	if (p)
		memcpy(word, p + off % SNAP_BLOCK, left < 8 ? left : 8);
	memcpy(&v, word, 8);
	return v;
}

static bool judge_word(const struct trial *t, const struct snap_node *b, const struct snap_node *a,
	const struct snap_node *f, uint64_t off)
{
	uint64_t found = word_at(f, off, f->size), new = word_at(a, off, f->size);
	uint64_t old = word_at(b, off, f->size);
	/* What the file did not have before is there only once it is what it should be. */
	bool was_there = off + 8 <= b->size || f->size <= b->size;

	if (found == new || (was_there && found == old))
		return true;
	return no(t, "bytes from %llu on are %016llx; before %016llx, after %016llx",
		(unsigned long long)off, (unsigned long long)__builtin_bswap64(found),
		(unsigned long long)__builtin_bswap64(old),
		(unsigned long long)__builtin_bswap64(new));
}

static bool same_block(const uint8_t *a, const uint8_t *b)
{
	return a == b || (a && b && memcmp(a, b, SNAP_BLOCK) == 0);
}

static bool judge_block(const struct trial *t, const struct snap_node *b, const struct snap_node *a,
	const struct snap_node *f, uint64_t i)
{
	uint64_t off = i * SNAP_BLOCK, end = off + SNAP_BLOCK;
	const uint8_t *block = snap_node_block(f, i);

	if (same_block(block, snap_node_block(a, i)) && f->size >= a->size)
		return true;
	if (end <= b->size && same_block(block, snap_node_block(b, i)))
		return true;
	for (; off < end && off < f->size; off += 8)
		if (!judge_word(t, b, a, f, off))
			return false;
	return true;
}

static bool judge_content(const struct trial *t, const struct snap_node *b,
	const struct snap_node *a, const struct snap_node *f)
{
	uint64_t nr = (f->size + SNAP_BLOCK - 1) / SNAP_BLOCK, nr_kept = f->nr_blocks;

	/* Behind the last block that any of them has, all are zeroes. */
	nr_kept = a->nr_blocks > nr_kept ? a->nr_blocks : nr_kept;
	nr_kept = b->nr_blocks > nr_kept ? b->nr_blocks : nr_kept;
	for (uint64_t i = 0; i < nr && i < nr_kept; i++)
		if (!judge_block(t, b, a, f, i))
			return false;
	return true;
}

static bool attrs_are(
	const struct trial *t, const struct snap_node *as, const struct snap_node *f, char why[256])
{
	struct snap_node mixed = *f;

	memcpy(mixed.time, as->time, sizeof(mixed.time));
	return !snap_node_attrs_differ(as, &mixed, t->flags | SNAP_NO_SPACE, why);
}

/* Attributes are as before or after; times, which other transactions may set, by themselves. */
static bool judge_attrs(const struct trial *t, const struct snap_node *b, const struct snap_node *a,
	const struct snap_node *f)
{
	char why[256];

	if (!attrs_are(t, b, f, why) && !attrs_are(t, a, f, why))
		return no(t, "%s", why);
	if (snap_times_differ(b, f, t->flags, why) && snap_times_differ(a, f, t->flags, why))
		return no(t, "%s", why);
	return true;
}

static bool judge_file(const struct trial *t, const struct snap_node *b, const struct snap_node *a,
	const struct snap_node *f)
{
	return judge_size(t, b, a, f) && judge_content(t, b, a, f) && judge_attrs(t, b, a, f);
}

/* The file that is changed has its own rules; all else must be as it was. */
static bool judge_pieces(const struct trial *t)
{
	const struct snap_node *b = snap_find_id(t->before, t->id);
	const struct snap_node *a = snap_find_id(t->after, t->id);
	struct snap_node *f = snap_find_id(t->found, t->id);
	struct crash_snap *mixed;
	bool differs;
	char why[256];

	/* It has no name. */
	if (!b || !a || !f)
		return judge_whole(t);
	if (!judge_file(t, b, a, f))
		return false;
	mixed = snap_clone(t->before);
	snap_replace(mixed, b, f);
	differs = snap_differs(mixed, t->found, t->flags | SNAP_NO_PINS, why);
	crash_snap_delete(mixed);
	return differs ? no(t, "%s", why) : true;
}

/* Whether all that is held in a is in b; both are in order. */
static bool is_part(const struct crash_snap *a, const struct crash_snap *b)
{
	size_t at = 0;

	for (size_t i = 0; i < a->nr_held; i++) {
		while (at < b->nr_held && snap_held_compare(&b->held[at], &a->held[i]) < 0)
			at++;
		if (at == b->nr_held || snap_held_compare(&b->held[at], &a->held[i]))
			return false;
		at++;
	}
	return true;
}

static bool judge_pins(const struct trial *t)
{
	const struct crash_snap *fewer = t->before, *more = t->after;
	char why[256];

	if (t->flags & SNAP_NO_PINS)
		return t->found->nr_held ? no(t, "pages are held by clients that are gone") : true;
	if (fewer->nr_held > more->nr_held) {
		fewer = t->after;
		more = t->before;
	}
	if (is_part(fewer, t->found) && is_part(t->found, more))
		return true;
	if (!snap_pins_differ(t->before, t->found, why))
		snap_pins_differ(t->after, t->found, why);
	return no(t, "%s", why);
}

/* Whether times may come back that were set before the clock's. */
static unsigned int time_flags(const struct crash_world *w, unsigned int i, bool returned)
{
	bool was_lazy = !returned && i && w->lazy[i - 1];

	return w->lazy[i] || was_lazy ? SNAP_LAZY_TIMES : 0;
}

static struct trial trial_of(const struct crash_world *w, unsigned int op,
	const struct crash_snap *before, const struct crash_snap *after,
	const struct crash_snap *found, char why[256])
{
	unsigned int i = w->nr_prepare + op;

	return (struct trial){ &w->op[i], w->target[i], before, after, found,
		time_flags(w, i, before == after) | (w->w.pinned ? 0 : SNAP_NO_PINS), why };
}

bool crash_judge(const struct crash_world *w, unsigned int op, const struct crash_snap *before,
	const struct crash_snap *after, const struct crash_snap *found, char why[256])
{
	struct trial t = trial_of(w, op, before, after, found, why);

	if (!judge_pins(&t))
		return false;
	if (t.op->kind->rule == JUDGE_WHOLE || shifts(t.op) || before == after)
		return judge_whole(&t);
	return judge_pieces(&t);
}

/* ---- two at the same time ------------------------------------------------------------------- */

bool crash_judge_has_both(const struct crash_world *w)
{
	for (unsigned int i = 0; i < 2; i++) {
		const struct crash_op *op = &w->op[w->nr_prepare + i];

		if (op->kind->rule == JUDGE_WHOLE || shifts(op) || !w->target[w->nr_prepare + i])
			return false;
	}
	return w->target[w->nr_prepare] != w->target[w->nr_prepare + 1];
}

/* What the first one may have done to its file is judged, and taken back: what is left is the
 * second one's. */
bool crash_judge_both(const struct crash_world *w, const struct crash_snap *before,
	const struct crash_snap *const after[2], const struct crash_snap *found, char why[256])
{
	struct trial t = trial_of(w, 0, before, after[0], found, why);
	struct snap_node *b = snap_find_id(before, t.id), *f = snap_find_id(found, t.id);
	struct snap_node *a = snap_find_id(after[0], t.id);
	struct crash_snap *rest;
	bool ok;

	if (!b || !a || !f)
		return no(&t, "a file that both leave has no name");
	if (!judge_file(&t, b, a, f))
		return false;
	rest = snap_clone(found);
	snap_replace(rest, f, b);
	ok = crash_judge(w, 1, before, after[1], rest, why);
	crash_snap_delete(rest);
	return ok;
}
