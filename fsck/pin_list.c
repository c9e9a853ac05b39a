/* SPDX-License-Identifier: BSD-3-Clause */
#include "fsck/pin_list.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fsck/state.h"
#include "fsck/tree_build.h"
#include "fsck/room.h"

#define PIN_MODES 3u /* loads, stores */

struct list {
	struct fsck_pin *e;
	size_t nr, cap;
};

/* ---- by itself ------------------------------------------------------------------------------ */

static const char *record_fault(const struct fsck *f, const struct ddfs_pin_record *r)
{
	uint32_t mode = ddfs_le32(r->mode);

	if (!ddfs_le32(r->len) ||
		!ddfs_image_blocks_valid(&f->img, ddfs_le64(r->start), ddfs_le32(r->len)))
		return "names blocks that cannot be";
	return mode && !(mode & ~PIN_MODES) ? NULL : "is of no known mode";
}

static int add(struct list *l, const struct fsck_pin *p)
{
	struct fsck_pin *e = fsck_room(l->e, l->nr, &l->cap, sizeof(*e));

	if (!e)
		return -ENOMEM;
	l->e = e;
	l->e[l->nr++] = *p;
	return 0;
}

static int read_records(const struct fsck *f, uint32_t nr_slots, struct list *l)
{
	uint64_t off = ddfs_le64(f->img.super.pins_off) + sizeof(struct ddfs_pin_table);
	int err = 0;

	for (uint32_t i = 0; i < nr_slots && !err; i++, off += sizeof(struct ddfs_pin_record)) {
		struct fsck_pin p = { .slot = i };

		if (ddfs_image_read(&f->img, off, &p.rec, sizeof(p.rec)) ||
			!ddfs_le32(p.rec.epoch) ||
			!ddfs_image_sum_holds(&f->img, off, &p.rec, sizeof(p.rec)))
			continue;
		p.fault = record_fault(f, &p.rec);
		err = add(l, &p);
	}
	return err;
}

/* ---- of a file ------------------------------------------------------------------------------ */

static int add_run(void *arg, const struct ddfs_extent *e)
{
	return fsck_extents_add(arg, ddfs_le32(e->lblk), ddfs_le32(e->len),
		ddfs_le64(e->start) & ~DDFS_EXTENT_UNWRITTEN);
}

/* What the file has, in as few runs as can be; none if there is no such file. */
static int find_runs(const struct fsck *f, const struct ddfs_pin_record *r, struct fsck_extents *x)
{
	struct ddfs_image_walk walk = { .arg = x, .extent = add_run };
	uint32_t ino = ddfs_le32(r->ino);
	struct ddfs_inode_disk di;

	if (ino >= f->nr_inodes || f->inode[ino].type != S_IFREG >> 12 ||
		ddfs_image_inode(&f->img, ino, &di) || di.gen.raw != r->gen.raw)
		return 0;
	return ddfs_image_walk_extents(&f->img, &di, &walk);
}

static uint64_t end_of(const struct ddfs_extent *e)
{
	return (uint64_t)ddfs_le32(e->lblk) + ddfs_le32(e->len);
}

static bool run_has(const struct ddfs_extent *e, const struct ddfs_pin_record *r)
{
	uint64_t lblk = ddfs_le32(r->lblk);

	return lblk >= ddfs_le32(e->lblk) && lblk + ddfs_le32(r->len) <= end_of(e) &&
	       ddfs_le64(r->start) - lblk == ddfs_le64(e->start) - ddfs_le32(e->lblk);
}

/* Records of one generation of a file, and its runs, both in the order of the file. */
static int judge(const struct fsck *f, struct fsck_pin *p, size_t nr)
{
	struct fsck_extents x = { 0 };
	int err = find_runs(f, &p->rec, &x);

	for (size_t i = 0, run = 0; i < nr && !err; i++) {
		while (run < x.nr && end_of(&x.e[run]) <= ddfs_le32(p[i].rec.lblk))
			run++;
		if (!p[i].fault && (run == x.nr || !run_has(&x.e[run], &p[i].rec)))
			p[i].fault = "names blocks that the file has not";
	}
	fsck_extents_fini(&x);
	return err;
}

static int compare(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static bool is_same_file(const struct ddfs_pin_record *a, const struct ddfs_pin_record *b)
{
	return a->ino.raw == b->ino.raw && a->gen.raw == b->gen.raw;
}

static int by_file(const void *a, const void *b)
{
	const struct ddfs_pin_record *x = &((const struct fsck_pin *)a)->rec;
	const struct ddfs_pin_record *y = &((const struct fsck_pin *)b)->rec;

	if (x->ino.raw != y->ino.raw)
		return compare(ddfs_le32(x->ino), ddfs_le32(y->ino));
	if (x->gen.raw != y->gen.raw)
		return compare(ddfs_le32(x->gen), ddfs_le32(y->gen));
	return compare(ddfs_le32(x->lblk), ddfs_le32(y->lblk));
}

static int judge_all(const struct fsck *f, struct list *l)
{
	int err = 0;

	if (l->nr)
		qsort(l->e, l->nr, sizeof(*l->e), by_file);
	for (size_t from = 0, to; from < l->nr && !err; from = to) {
		for (to = from + 1; to < l->nr; to++)
			if (!is_same_file(&l->e[to].rec, &l->e[from].rec))
				break;
		err = judge(f, l->e + from, to - from);
	}
	return err;
}

int fsck_pin_list(const struct fsck *f, uint32_t nr_slots, struct fsck_pin **out, size_t *nr)
{
	struct list l = { 0 };
	int err = read_records(f, nr_slots, &l);

	if (!err && !(f->opt->flags & DDFS_FSCK_STRAY_PINS))
		err = judge_all(f, &l);
	if (err) {
		free(l.e);
		return err;
	}
	*out = l.e;
	*nr = l.nr;
	return 0;
}
