/* SPDX-License-Identifier: BSD-3-Clause */
#include "fsck/body.h"

#include <stdarg.h>
#include <stdio.h>

static const char *clause(enum ddfs_image_fault fault)
{
	switch (fault) {
	case DDFS_FAULT_DEPTH:
		return "has more levels than it can have";
	case DDFS_FAULT_BLOCK:
		return "refers to a block that cannot be";
	case DDFS_FAULT_UNREADABLE:
		return "has a node that can't be read";
	case DDFS_FAULT_NODE:
		return "has a node whose checksum, number, type or level does not hold";
	case DDFS_FAULT_ENTRIES:
		return "has a node without entries, or with too many";
	case DDFS_FAULT_ORDER:
		return "has references out of order";
	case DDFS_FAULT_EXTENT:
		return "has an extent that is empty, or out of order, range or the device";
	case DDFS_FAULT_RECORD:
		return "has a record whose place, length, key, tag or hash does not hold";
	case DDFS_FAULT_LIVE:
		return "has a leaf that miscounts its records";
	case DDFS_FAULT_TWICE:
		return "has two records of one key";
	case DDFS_FAULT_VALUE:
		return "has a value of another length than its reference says";
	case DDFS_FAULT_INLINE:
		return "does not fill its room in the inode";
	default:
		return "has a name or kind that cannot be";
	}
}

void fsck_body_problem(struct fsck_body *b, uint16_t flag, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	b->faults |= flag;
	fsck_inode_flag(b->f, b->ino, flag);
	fsck_problem(b->f, false, "inode %u: %s", b->ino, text);
}

/* Where it is, and what is lost or in doubt; of the nodes of a value, that are no range of it. */
static void print_place(const struct fsck_body *b, uint64_t blk, uint64_t from, uint64_t to,
	char *text, size_t size)
{
	bool is_map = b->flag & FSCK_MAP_BAD;
	int len = 0;

	if (blk)
		len = snprintf(
			text, size, "block %llu%s", (unsigned long long)blk, from < to ? ", " : "");
	if (!blk && from >= to)
		snprintf(text, size, "in the inode");
	else if (!from && to >= (is_map ? UINT32_MAX : UINT64_C(1) << 63))
		snprintf(text + len, size - (size_t)len, "for all of it");
	else if (from < to)
		snprintf(text + len, size - (size_t)len,
			is_map ? "for its blocks from %llu up to %llu"
			       : "for its keys from %#llx up to %#llx",
			(unsigned long long)from, (unsigned long long)to);
}

static void note_fault(
	void *arg, enum ddfs_image_fault fault, uint64_t blk, uint64_t from, uint64_t to)
{
	struct fsck_body *b = arg;
	uint16_t flag = b->flag | (fault == DDFS_FAULT_UNREADABLE ? FSCK_UNREADABLE : 0);
	char place[120];

	print_place(b, blk, from, to, place, sizeof(place));
	fsck_body_problem(b, flag, "%s %s (%s)", b->part, clause(fault), place);
}

static bool claim(struct fsck_body *b, uint64_t start, uint64_t len)
{
	b->nr_blocks += len;
	if (fsck_claim(b->f, start, len))
		return true;
	/* by many threads nobody knows who was first: see fsck_check */
	if (b->f->ordered && len == 1)
		fsck_body_problem(b, FSCK_SHARES, "%s has block %llu, that another has too",
			b->part, (unsigned long long)start);
	else if (b->f->ordered)
		fsck_body_problem(b, FSCK_SHARES,
			"%s has blocks %llu to %llu, with one or more that another has too",
			b->part, (unsigned long long)start, (unsigned long long)(start + len - 1));
	return false;
}

void fsck_body_claim(struct fsck_body *b, uint64_t start, uint64_t len)
{
	claim(b, start, len);
}

static int visit(void *arg, uint64_t blk)
{
	return claim(arg, blk, 1) ? 0 : 1;
}

struct ddfs_image_walk fsck_body_walk(struct fsck_body *b)
{
	return (struct ddfs_image_walk){ .arg = b, .visit = visit, .fault = note_fault };
}

void fsck_body_xattrs(struct fsck_body *b)
{
	struct ddfs_image_walk walk = fsck_body_walk(b);

	b->part = "the list of its attributes";
	b->flag = FSCK_XATTR_BAD;
	ddfs_image_walk_xattrs(&b->f->img, b->di, &walk);
}

void fsck_body_count(struct fsck_body *b)
{
	/* A damaged map has fewer than it had; that is one problem, not two. */
	if (b->faults || b->nr_blocks == ddfs_le64(b->di->nr_blocks))
		return;
	fsck_inode_flag(b->f, b->ino, FSCK_COUNT_BAD);
	fsck_problem(b->f, true, "inode %u: nr_blocks is %llu, and it has %llu", b->ino,
		(unsigned long long)ddfs_le64(b->di->nr_blocks), (unsigned long long)b->nr_blocks);
}
