/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random calls on files whose memory goes bad, against a model that knows which blocks are lost.
 * Every byte that was written and not lost is there, every lost one gives EIO, and at the end all
 * space is free but what is bad. DDFS_TEST_SEED and DDFS_TEST_STEPS change the run.
 */
#include <check.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/extent.h"
#include "tests/unit/bad_stage.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEPS 1500
#else
#define STEPS 4000
#endif
#define SIZE	  (128 * MIB)
#define NR_FILES  2
#define MAX_NR	  1024u
#define MAX_BYTES (MAX_NR * BLK)
#define MOST_BAD  40u /* where none is cleared: each may take a unit out of use */

struct file {
	char name[8];
	uint64_t size;
	uint8_t data[MAX_BYTES];
	bool lost[MAX_NR];
};

struct world {
	struct bad_stage s;
	struct rng rng;
	bool dax;
	unsigned int nr_bad; /* that were made */
	struct file file[NR_FILES];
	uint8_t buf[MAX_BYTES];
};

static uint64_t below(struct world *w, uint64_t n)
{
	return rng_below(&w->rng, n);
}

/* Often at a block's edge. */
static uint64_t place(struct world *w, uint64_t limit)
{
	uint64_t at = below(w, limit + 1);

	return below(w, 3) ? at / BLK * BLK : at;
}

static bool covers(uint64_t off, uint64_t end, uint64_t b)
{
	return b * BLK >= off && (b + 1) * BLK <= end;
}

/* Whether the write of [pos, end) may stop at pos. */
static bool may_stop(
	struct world *w, struct file *f, struct ddfs_inode *ip, uint64_t pos, uint64_t end)
{
	uint64_t b = pos / BLK, unit = w->dax ? 512 : 1, first = b / unit * unit;
	struct ddfs_range r = { bad_stage_block(ip, b), 1 };

	if (!ddfs_bad_find(w->s.m.fs, r).len)
		return false;
	if (f->lost[b] && !covers(pos, end, b))
		return true;
	for (uint64_t o = first; o < first + unit && !w->s.can_clear; o++)
		if (f->lost[o] && !covers(pos, end, o))
			return true;
	return false;
}

static void heal(struct file *f, uint64_t off, uint64_t end)
{
	for (uint64_t b = off / BLK; b < MAX_NR && b * BLK < end; b++)
		if (covers(off, end, b))
			f->lost[b] = false;
}

static void do_write(struct world *w, struct file *f, struct ddfs_inode *ip)
{
	uint64_t off = place(w, MAX_BYTES - 1), len = place(w, below(w, 4) ? 8 * BLK : MIB);
	ssize_t n;

	len = len ? len : 1;
	len = len < MAX_BYTES - off ? len : MAX_BYTES - off;
	memset(w->buf, (int)below(w, 255) + 1, len);
	n = ddfs_write(ip, off, w->buf, len, 0);
	if (n < (ssize_t)len) {
		ck_assert(n > 0 || n == -EIO);
		n = n > 0 ? n : 0;
		ck_assert(may_stop(w, f, ip, off + (uint64_t)n, off + len));
	}
	memcpy(f->data + off, w->buf, (size_t)n);
	heal(f, off, off + (uint64_t)n);
	/* Whoever wrote a part of a lost block was told so. */
	for (uint64_t b = off / BLK; n && b * BLK < off + (uint64_t)n; b++)
		ck_assert(!f->lost[b]);
	if (n && off + (uint64_t)n > f->size)
		f->size = off + (uint64_t)n;
}

static void do_read(struct world *w, struct file *f, struct ddfs_inode *ip)
{
	uint64_t off = place(w, MAX_BYTES), len = place(w, MAX_BYTES - off), end = off + len;
	ssize_t want, n = ddfs_pread(ip, w->buf, len, off);

	if (end > f->size)
		end = f->size > off ? f->size : off;
	for (uint64_t at = off; at < end; at = (at / BLK + 1) * BLK)
		if (f->lost[at / BLK])
			end = at;
	want = (ssize_t)(end - off);
	if (!want && off < f->size && len && f->lost[off / BLK])
		want = -EIO;
	ck_assert_int_eq(n, want);
	ck_assert(n <= 0 || !memcmp(w->buf, f->data + off, (size_t)n));
}

static void do_punch(struct world *w, struct file *f, struct ddfs_inode *ip)
{
	uint64_t off = place(w, MAX_BYTES - 1), len = place(w, 40 * BLK), end;
	int ret;

	len = len ? len : 1;
	end = off + len < MAX_BYTES ? off + len : MAX_BYTES;
	ret = ddfs_fallocate(ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, end - off, NULL);
	if (ret) {
		ck_assert_int_eq(ret, -EIO);
		ck_assert((off % BLK && f->lost[off / BLK]) || (end % BLK && f->lost[end / BLK]));
		return;
	}
	ck_assert(!(off % BLK && f->lost[off / BLK]) && !(end % BLK && f->lost[end / BLK]));
	memset(f->data + off, 0, end - off);
	heal(f, off, end);
}

static void do_truncate(struct world *w, struct file *f, struct ddfs_inode *ip)
{
	struct ddfs_attr attr = { .size = place(w, MAX_BYTES) };

	ck_assert_int_eq(ddfs_setattr(ip, &attr, DDFS_SET_SIZE, NULL, NULL), 0);
	if (attr.size < f->size) {
		memset(f->data + attr.size, 0, f->size - attr.size);
		for (uint64_t b = (attr.size + BLK - 1) / BLK; b < MAX_NR; b++)
			f->lost[b] = false;
	}
	f->size = attr.size;
}

/* Some block of the file goes bad, and that is found out: by being told, or by reading. */
static void do_poison(struct world *w, struct file *f, struct ddfs_inode *ip)
{
	uint64_t b = below(w, MAX_NR), block;
	struct ddfs_map m;

	ck_assert_int_eq(
		ddfs_extent_lookup(w->s.m.fs, NULL, ddfs_inode_view(ip, NULL), (uint32_t)b, &m), 0);
	if (m.kind == DDFS_MAP_HOLE || b * BLK >= f->size ||
		(!w->s.can_clear && w->nr_bad >= MOST_BAD))
		return;
	w->nr_bad++;
	block = bad_stage_poison(&w->s, ip, b);
	if (m.kind == DDFS_MAP_WRITTEN)
		f->lost[b] = true;
	if (m.kind == DDFS_MAP_UNWRITTEN || below(w, 2))
		ddfs_bad_note(w->s.m.fs, (struct ddfs_range){ block, 1 });
	else
		ck_assert_int_eq(ddfs_pread(ip, w->buf, 1, b * BLK), -EIO);
}

static void do_mount(struct world *w)
{
	ddfs_fs_writeback(w->s.m.fs);
	if (below(w, 2))
		bad_stage_crash(&w->s);
	else
		bad_stage_remount(&w->s);
	ck_image(&w->s.m.ram.media);
}

static void step(struct world *w)
{
	struct file *f = &w->file[below(w, NR_FILES)];
	struct ddfs_inode *ip = tree_get(w->s.m.root, f->name);
	uint64_t what = below(w, 100);

	if (what < 40)
		do_write(w, f, ip);
	else if (what < 65)
		do_read(w, f, ip);
	else if (what < 72)
		do_punch(w, f, ip);
	else if (what < 76)
		do_truncate(w, f, ip);
	else if (what < 98)
		do_poison(w, f, ip);
	ddfs_inode_put(ip);
	if (what >= 98)
		do_mount(w);
}

static void verify(struct world *w, struct file *f)
{
	struct ddfs_inode *ip = tree_get(w->s.m.root, f->name);

	for (uint64_t b = 0; b * BLK < f->size; b++) {
		uint64_t left = f->size - b * BLK;
		ssize_t want = f->lost[b] ? -EIO : (ssize_t)(left < BLK ? left : BLK);

		ck_assert_int_eq(ddfs_pread(ip, w->buf, BLK, b * BLK), want);
		ck_assert(want < 0 || !memcmp(w->buf, f->data + b * BLK, (size_t)want));
	}
	ddfs_inode_put(ip);
	ck_assert_int_eq(tree_unlink(w->s.m.root, f->name), 0);
}

/* Loop index: bit 0, the device can clear; bit 1, units of 2 MiB. */
START_TEST(against_model)
{
	uint64_t steps = env_number("DDFS_TEST_STEPS", STEPS), nr_free;
	struct world *w = calloc(1, sizeof(*w));

	w->dax = _i & 2;
	bad_stage_init(&w->s, SIZE, w->dax ? 2 * MIB : BLK);
	w->s.can_clear = _i & 1;
	rng_seed(&w->rng, env_number("DDFS_TEST_SEED", 1) * 4 + (uint64_t)_i);
	nr_free = bad_stage_free(&w->s);
	for (int i = 0; i < NR_FILES; i++) {
		snprintf(w->file[i].name, sizeof(w->file[i].name), "file%d", i);
		ck_assert_int_eq(tree_make(w->s.m.root, w->file[i].name, S_IFREG | 0644), 0);
	}
	while (steps--)
		step(w);
	ck_assert_uint_gt(w->nr_bad, 20);
	for (int i = 0; i < NR_FILES; i++)
		verify(w, &w->file[i]);
	ddfs_fs_writeback(w->s.m.fs);
	ck_assert_uint_eq(bad_stage_free(&w->s) + ddfs_bad_count(w->s.m.fs), nr_free);
	ck_assert_uint_eq(ddfs_bad_count(w->s.m.fs) == 0, w->s.can_clear);
	bad_stage_fini(&w->s);
	free(w);
}
END_TEST

int main(void)
{
	struct suite_case cases[] = {
		{ "against model", against_model, 4 },
	};

	return suite_run("fs_bad_random", cases, sizeof(cases) / sizeof(cases[0]));
}
