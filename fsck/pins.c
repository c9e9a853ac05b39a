/* SPDX-License-Identifier: BSD-3-Clause */
/* Pass 5: the pin table, and the page map on the device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fsck/passes.h"
#include "fsck/state.h"

#define RECORDS_A_BATCH 1024u

/* ---- records -------------------------------------------------------------------------------- */

/* A record whose blocks should be its file's. */
struct pin {
	uint32_t slot, ino;
	uint64_t start, len, found;
};

struct pins {
	struct fsck *f;
	struct pin *pin;
	unsigned int nr;
};

static void say_record(struct fsck *f, const struct pin *p, const char *fault)
{
	fsck_problem(f, true, "pin record %u (blocks %llu+%llu of inode %u) %s", p->slot,
		(unsigned long long)p->start, (unsigned long long)p->len, p->ino, fault);
	fsck_whole_flag(f, FSCK_WHOLE_PINS);
}

static int by_inode(const void *a, const void *b)
{
	const struct pin *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/* Records of one file. */
struct crowd {
	struct pin *pin;
	unsigned int nr;
};

static int find_extent(void *arg, const struct ddfs_extent *e)
{
	uint64_t start = ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN;
	uint64_t end = start + ddfs_le32(e->len);
	struct crowd *c = arg;

	for (unsigned int i = 0; i < c->nr; i++) {
		struct pin *p = &c->pin[i];
		uint64_t from = p->start > start ? p->start : start;
		uint64_t to = p->start + p->len < end ? p->start + p->len : end;

		if (from < to)
			p->found += to - from;
	}
	return 0;
}

static void check_crowd(struct fsck *f, struct crowd *c)
{
	struct ddfs_image_walk walk = { .arg = c, .extent = find_extent };
	struct ddfs_inode_disk di;
	uint32_t ino = c->pin->ino;

	if (ino < f->img.nr_slots && f->inode[ino].type == S_IFREG >> 12 &&
		fsck_read_slot(f, ino, &di))
		ddfs_image_walk_extents(&f->img, &di, &walk);
	for (unsigned int i = 0; i < c->nr; i++)
		if (c->pin[i].found < c->pin[i].len)
			say_record(f, &c->pin[i], "names blocks that the file has not");
}

static void check_batch(struct pins *p)
{
	unsigned int from = 0;

	qsort(p->pin, p->nr, sizeof(*p->pin), by_inode);
	for (unsigned int i = 1; i <= p->nr; i++) {
		struct crowd c = { p->pin + from, i - from };

		if (i < p->nr && p->pin[i].ino == p->pin[from].ino)
			continue;
		check_crowd(p->f, &c);
		from = i;
	}
	p->nr = 0;
}

static void check_record(struct pins *p, uint32_t slot, const struct ddfs_pin_record *r)
{
	uint32_t mode = ddfs_le32(r->mode);
	struct pin pin = {
		.slot = slot,
		.ino = ddfs_le32(r->ino),
		.start = ddfs_le64(r->start),
		.len = ddfs_le32(r->len),
	};

	if (!pin.len || !ddfs_image_blocks_valid(&p->f->img, pin.start, pin.len))
		say_record(p->f, &pin, "names blocks that cannot be");
	else if (!mode || mode > 3)
		say_record(p->f, &pin, "is of no known mode");
	else if (!(p->f->opt->flags & DDFS_FSCK_STRAY_PINS))
		p->pin[p->nr++] = pin;
	if (p->nr == RECORDS_A_BATCH)
		check_batch(p);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void say_head(struct fsck *f, const char *fault)
{
	fsck_problem(f, true, "the pin table's head %s", fault);
	fsck_whole_flag(f, FSCK_WHOLE_PINS);
}

/* The slots to look at: as a mount does, all of them if the head does not say. */
static uint32_t read_head(struct fsck *f)
{
	const struct ddfs_super *s = &f->img.super;
	uint64_t off = ddfs_le64(s->pins_off);
	uint32_t room = (uint32_t)(ddfs_le64(s->pins_bytes) / sizeof(struct ddfs_pin_record)) - 1;
	struct ddfs_pin_table head;

	if (ddfs_image_read(&f->img, off, &head, sizeof(head)))
		say_head(f, "can't be read");
	else if (!ddfs_image_sum_holds(&f->img, off, &head, sizeof(head)))
		say_head(f, "fails its checksum");
	else if (ddfs_le32(head.nr_slots) > room)
		say_head(f, "has more slots than there is room for");
	else
		return ddfs_le32(head.nr_slots);
	return room;
}

static void check_records(struct pins *p, uint32_t nr)
{
	uint64_t off = ddfs_le64(p->f->img.super.pins_off);
	struct ddfs_pin_record r;

	for (uint32_t i = 0; i < nr && !fsck_is_ending(p->f); i++) {
		off += sizeof(r);
		/* One that can't be read is free, as one that does not hold. */
		if (!ddfs_image_read(&p->f->img, off, &r, sizeof(r)) && ddfs_le32(r.epoch) &&
			ddfs_image_sum_holds(&p->f->img, off, &r, sizeof(r)))
			check_record(p, i, &r);
	}
	check_batch(p);
}

static void check_table(struct fsck *f)
{
	struct pins p = { .f = f };
	uint32_t nr = read_head(f);

	if (!nr)
		return;
	p.pin = malloc(RECORDS_A_BATCH * sizeof(*p.pin));
	if (!p.pin) {
		fsck_fail(f, -ENOMEM);
		return;
	}
	check_records(&p, nr);
	free(p.pin);
}

/* ---- the page map --------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *buf, size_t len)
{
	return !buf[0] && !memcmp(buf, buf + 1, len - 1);
}

static void check_map(struct fsck *f)
{
	uint64_t off = ddfs_le64(f->img.super.pagemap_off), step;
	uint64_t end = off + ddfs_le64(f->img.super.pagemap_bytes);
	uint8_t buf[DDFS_BLOCK_BYTES];

	for (; off < end && !fsck_is_ending(f); off += step) {
		step = end - off < sizeof(buf) ? end - off : sizeof(buf);
		/* what can't be read is not used by a mount */
		if (ddfs_image_read(&f->img, off, buf, step) || is_zero(buf, step))
			continue;
		fsck_problem(f, true, "the page map has a page that is held, near byte %llu",
			(unsigned long long)off);
		fsck_whole_flag(f, FSCK_WHOLE_PAGEMAP);
		return;
	}
}

void fsck_check_pins(struct fsck *f)
{
	check_table(f);
	if (ddfs_le32(f->img.super.state) == DDFS_STATE_CLEAN)
		check_map(f);
}
