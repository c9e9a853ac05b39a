/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread that changes files which others have pinned. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/pins_crowd.h"
#include "tests/unit/tree.h"

struct change {
	struct thread *t;
	struct ddfs_inode *ip, *from;
	unsigned int kind;
	uint64_t off, len; /* bytes */
};

enum { TRUNCATE, OPEN, PUNCH, ZERO, COLLAPSE, INSERT, COPY, NR_KINDS };

static int64_t call_change(void *arg, struct ddfs_wait *w)
{
	struct change *c = arg;
	struct ddfs_attr a = { .size = c->off };
	int err;

	switch (c->kind) {
	case TRUNCATE:
		return ddfs_setattr(c->ip, &a, DDFS_SET_SIZE, NULL, w);
	case OPEN:
		err = ddfs_open(c->ip, O_RDWR | O_TRUNC, false, w);
		if (!err)
			ddfs_release(c->ip);
		return err;
	case PUNCH:
		return ddfs_fallocate(
			c->ip, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, c->off, c->len, w);
	case ZERO:
		return ddfs_fallocate(c->ip, FALLOC_FL_ZERO_RANGE, c->off, c->len, w);
	case COLLAPSE:
		return ddfs_fallocate(c->ip, FALLOC_FL_COLLAPSE_RANGE, c->off, c->len, w);
	case INSERT:
		return ddfs_fallocate(c->ip, FALLOC_FL_INSERT_RANGE, c->off, c->len, w);
	default:
		/* From a part of the file that holds what is its own. */
		return ddfs_copy_range(c->ip, c->off, c->ip, c->off + FILE_MAX * BLK, c->len, w);
	}
}

static void expect(const char *what, int64_t got)
{
	static const int fine[] = { EBUSY, EINTR, ESTALE, EINVAL, ENOSPC, ENOENT, EEXIST };
	size_t i = 0;

	if (got >= 0)
		return;
	while (i < sizeof(fine) / sizeof(fine[0]) && fine[i] != -got)
		i++;
	if (i == sizeof(fine) / sizeof(fine[0]))
		ck_abort_msg("%s: %s", what, strerror((int)-got));
}

static void change_one(struct thread *t, struct ddfs_inode *ip)
{
	struct change c = { .t = t, .ip = ip };

	c.kind = (unsigned int)rng_below(&t->rng, NR_KINDS);
	c.off = rng_below(&t->rng, FILE_MAX) * BLK;
	c.len = (1 + rng_below(&t->rng, 8)) * BLK;
	if (rng_below(&t->rng, 6) == 0)
		expect("change", call_change(&c, NULL));
	else
		expect("change", crowd_wait(t, "change", call_change, &c));
}

static void write_some(struct thread *t, struct ddfs_inode *ip)
{
	uint64_t buf[8 * BLK / 8] = { 0 };

	for (unsigned int i = 0; i < 8; i++)
		buf[i * BLK / 8] = ddfs_inode_id(ip) << 8 | 1;
	expect("write", ddfs_write(ip, rng_below(&t->rng, FILE_MAX) * BLK, buf, sizeof(buf), 0));
}

/* ---- names ---------------------------------------------------------------------------------- */

static void change_name(struct thread *t, unsigned int nr)
{
	struct crowd *crowd = t->crowd;
	char name[16], other[16];

	snprintf(name, sizeof(name), "f%u", nr);
	snprintf(other, sizeof(other), "f%u", (unsigned int)rng_below(&t->rng, NR_FILES));
	switch (rng_below(&t->rng, 4)) {
	case 0:
		expect("unlink", tree_unlink(crowd->root, name));
		break;
	case 1:
		expect("rename", tree_rename(crowd->root, name, crowd->root, other, 0));
		break;
	default:
		expect("create", tree_make(crowd->root, name, S_IFREG | 0644));
	}
}

/* ---- all space ------------------------------------------------------------------------------ */

static void check_ballast(struct crowd *crowd, uint64_t size)
{
	struct ddfs_file_extent e[8];
	uint64_t at = 0;

	pthread_mutex_lock(&crowd->books);
	while (at < size) {
		int n = ddfs_layout_query(crowd->ballast, at, size - at, false, e, 8, &at);

		for (int i = 0; i < n; i++)
			for (uint64_t b = 0; b < e[i].len / BLK && !e[i].hole; b++)
				if (crowd->held[e[i].device_off / BLK + b].nr)
					ck_abort_msg("a pinned block was handed out");
	}
	pthread_mutex_unlock(&crowd->books);
}

/* What is free becomes the ballast's, for a moment. */
static void fill(struct thread *t)
{
	uint64_t size = 0, piece = t->crowd->nr_blocks / 4 * BLK;
	struct ddfs_attr a = { .size = 0 };
	int err;

	while (piece >= 16 * BLK) {
		err = ddfs_fallocate(t->crowd->ballast, 0, size, piece, NULL);
		if (err)
			piece /= 2;
		else
			size += piece;
	}
	check_ballast(t->crowd, size);
	err = ddfs_setattr(t->crowd->ballast, &a, DDFS_SET_SIZE, NULL, NULL);
	ck_assert_int_eq(err, 0);
}

void *crowd_change(void *thread)
{
	struct thread *t = thread;
	struct ddfs_inode *ip;
	unsigned int nr;

	for (uint64_t i = 0; atomic_load(&t->crowd->nr_pins) < t->crowd->steps; i++) {
		atomic_fetch_add(&t->progress, 1);
		ip = crowd_file(t, &nr);
		if (!ip || rng_below(&t->rng, 12) == 0)
			change_name(t, nr);
		if (ip && rng_below(&t->rng, 2))
			write_some(t, ip);
		if (ip)
			change_one(t, ip);
		if (ip)
			ddfs_inode_put(ip);
		if (t->nr == NR_HOLDERS && i % 256 == 0)
			fill(t);
	}
	if (atomic_fetch_sub(&t->crowd->nr_changing, 1) == 1)
		atomic_store(&t->crowd->hurry, true);
	atomic_store(&t->progress, THREAD_ENDED);
	return NULL;
}
