/* SPDX-License-Identifier: BSD-3-Clause */
/* What differs between two snapshots. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/snap.h"

__attribute__((format(printf, 2, 3))) static bool say(char why[256], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, 256, fmt, ap);
	va_end(ap);
	return true;
}

static const char *const time_names[] = { "atime", "mtime", "ctime" };

bool snap_times_differ(
	const struct snap_node *a, const struct snap_node *b, unsigned int flags, char why[256])
{
	for (unsigned int i = 0; i < SNAP_TIMES; i++) {
		if (a->time[i] == b->time[i])
			continue;
		if (flags & SNAP_LAZY_TIMES && !a->time[i])
			continue;
		return say(why, "%s %lld, not %lld", time_names[i], (long long)b->time[i],
			(long long)a->time[i]);
	}
	return false;
}

static bool xattrs_differ(const struct snap_node *a, const struct snap_node *b, char why[256])
{
	for (size_t i = 0; i < a->nr_xattrs; i++) {
		const struct snap_xattr *x = &a->xattr[i], *y = snap_node_xattr(b, x->name);

		if (!y)
			return say(why, "xattr %s is gone", x->name);
		if (x->size != y->size || memcmp(x->value, y->value, x->size) != 0)
			return say(why, "xattr %s has another value, of %zu bytes, not %zu",
				x->name, y->size, x->size);
	}
	for (size_t i = 0; i < b->nr_xattrs; i++)
		if (!snap_node_xattr(a, b->xattr[i].name))
			return say(why, "xattr %s should not be there", b->xattr[i].name);
	return false;
}

static bool number_differs(const char *what, uint64_t a, uint64_t b, char why[256])
{
	return a != b && say(why, "%s is %#llx, not %#llx", what, (unsigned long long)b,
				 (unsigned long long)a);
}

bool snap_node_attrs_differ(
	const struct snap_node *a, const struct snap_node *b, unsigned int flags, char why[256])
{
	if (a->id && b->id && number_differs("identity", a->id, b->id, why))
		return true;
	if (number_differs("mode", a->mode, b->mode, why) ||
		number_differs("link count", a->nlink, b->nlink, why) ||
		number_differs("uid", a->uid, b->uid, why) ||
		number_differs("gid", a->gid, b->gid, why) ||
		number_differs("rdev", a->rdev, b->rdev, why) ||
		number_differs("flags", a->flags, b->flags, why))
		return true;
	if (!(flags & SNAP_NO_SPACE) && number_differs("space it takes", a->blocks, b->blocks, why))
		return true;
	if (!a->target != !b->target || (a->target && strcmp(a->target, b->target) != 0))
		return say(why, "target is '%.80s', not '%.80s'", b->target ? b->target : "(none)",
			a->target ? a->target : "(none)");
	return snap_times_differ(a, b, flags, why) || xattrs_differ(a, b, why);
}

static bool block_differs(uint64_t i, const uint8_t *a, const uint8_t *b, char why[256])
{
	static const uint8_t zeroes[SNAP_BLOCK];
	size_t at = 0;

	if (a == b)
		return false;
	a = a ? a : zeroes;
	b = b ? b : zeroes;
	if (memcmp(a, b, SNAP_BLOCK) == 0)
		return false;
	while (a[at] == b[at])
		at++;
	return say(why, "byte %llu is %#x, not %#x", (unsigned long long)(i * SNAP_BLOCK + at),
		b[at], a[at]);
}

bool snap_node_content_differs(const struct snap_node *a, const struct snap_node *b, char why[256])
{
	size_t nr = a->nr_blocks > b->nr_blocks ? a->nr_blocks : b->nr_blocks;

	for (size_t i = 0; i < nr; i++)
		if (block_differs(i, snap_node_block(a, i), snap_node_block(b, i), why))
			return true;
	return false;
}

bool snap_node_differs(
	const struct snap_node *a, const struct snap_node *b, unsigned int flags, char why[256])
{
	bool is_modelled = !S_ISDIR(a->mode) || !(flags & SNAP_NO_SPACE);

	if (snap_node_attrs_differ(a, b, flags, why))
		return true;
	if (is_modelled && number_differs("size", a->size, b->size, why))
		return true;
	return snap_node_content_differs(a, b, why);
}

/* The first name of the same inode. */
static size_t first_name(const struct crash_snap *s, size_t i)
{
	size_t first = 0;

	if (s->entry[i].node->nlink < 2 || S_ISDIR(s->entry[i].node->mode))
		return i;
	while (s->entry[first].node != s->entry[i].node)
		first++;
	return first;
}

static bool named(const char *path, char why[256], const char *what)
{
	return say(
		why, "'%.80s%s': %.150s", *path ? path : "/", strlen(path) > 80 ? "..." : "", what);
}

static bool entry_differs(const struct crash_snap *a, const struct crash_snap *b, size_t i,
	unsigned int flags, char why[256])
{
	const struct snap_entry *x = &a->entry[i], *y = &b->entry[i];
	char what[256];
	int order = strcmp(x->path, y->path);

	if (order)
		return named(order < 0 ? x->path : y->path, why,
			order < 0 ? "is gone" : "should not be there");
	if (snap_node_differs(x->node, y->node, flags, what))
		return named(x->path, why, what);
	if (first_name(a, i) != first_name(b, i))
		return named(x->path, why, "is another inode's name");
	return false;
}

int snap_held_compare(const struct snap_held *a, const struct snap_held *b)
{
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	if (a->lblk != b->lblk)
		return a->lblk < b->lblk ? -1 : 1;
	return a->device_blk < b->device_blk ? -1 : a->device_blk > b->device_blk;
}

bool snap_pins_differ(const struct crash_snap *a, const struct crash_snap *b, char why[256])
{
	if (a->nr_held != b->nr_held)
		return say(why, "clients hold %zu blocks, not %zu", b->nr_held, a->nr_held);
	for (size_t i = 0; i < a->nr_held; i++)
		if (snap_held_compare(&a->held[i], &b->held[i]))
			return say(why,
				"block %llu of inode %#llx is held, at block %llu of the device, "
				"not block %llu of %#llx, at %llu",
				(unsigned long long)b->held[i].lblk,
				(unsigned long long)b->held[i].id,
				(unsigned long long)b->held[i].device_blk,
				(unsigned long long)a->held[i].lblk,
				(unsigned long long)a->held[i].id,
				(unsigned long long)a->held[i].device_blk);
	return false;
}

bool snap_differs(
	const struct crash_snap *a, const struct crash_snap *b, unsigned int flags, char why[256])
{
	size_t nr = a->nr < b->nr ? a->nr : b->nr;

	for (size_t i = 0; i < nr; i++)
		if (entry_differs(a, b, i, flags, why))
			return true;
	if (a->nr != b->nr)
		return named((a->nr > nr ? a : b)->entry[nr].path, why,
			a->nr > nr ? "is gone" : "should not be there");
	return !(flags & SNAP_NO_PINS) && snap_pins_differ(a, b, why);
}

bool crash_snap_is_equal(const struct crash_snap *a, const struct crash_snap *b)
{
	char why[256];

	return !snap_differs(a, b, 0, why);
}

/* Names one by one: of a that are not in b, or differ there. */
static unsigned int print_side(FILE *to, const struct crash_snap *a, const struct crash_snap *b,
	bool both, const char *missing)
{
	unsigned int nr = 0;
	char why[256];

	for (size_t i = 0; i < a->nr; i++) {
		const struct snap_entry *x = &a->entry[i];
		const struct snap_node *y = snap_find(b, x->path);
		bool differs = y && both && snap_node_differs(x->node, y, 0, why);

		if (!y || differs)
			fprintf(to, "  '%s': %s\n", x->path, y ? why : missing);
		nr += !y || differs;
	}
	return nr;
}

void crash_snap_print_diff(FILE *to, const struct crash_snap *a, const struct crash_snap *b)
{
	unsigned int nr = print_side(to, a, b, true, "is gone");
	char why[256];

	nr += print_side(to, b, a, false, "should not be there");
	/* Links, and pins. */
	if (!nr && snap_differs(a, b, 0, why))
		fprintf(to, "  %s\n", why);
	else if (nr && snap_pins_differ(a, b, why))
		fprintf(to, "  %s\n", why);
}
